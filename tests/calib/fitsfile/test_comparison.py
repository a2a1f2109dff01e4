"""Two FITS files of one name: every difference is found, and dates are told apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calib.errors import CorruptFile, NotFound
from calib.fitsfile.comparison import (
    CardDifference,
    DataDifference,
    ExtensionDifference,
    Tolerance,
    _compare_arrays,
    compare_fits,
)

SHAPE = (3, 4)
Change = Callable[[fits.HDUList], object]


def make(path: Path, change: Change = lambda hdus: None) -> Path:
    """Write a product with an image, flags and a table; `change` spoils it first."""
    sci = np.arange(12, dtype=np.float32).reshape(SHAPE)
    sci[0, 0] = np.nan
    columns = [
        fits.Column("NAME", "8A", array=np.array(["one", "two"])),
        fits.Column("FLUX", "E", array=np.array([1.0, 2.0])),
        fits.Column("LIST", "PJ()", array=np.array([[1, 2], [3]], dtype=object)),
    ]
    primary = fits.PrimaryHDU()
    primary.header["DATE"] = ("2024-01-01T00:00:00", "written")
    primary.header["TARGNAME"] = "NGC104"
    primary.header["GAIN"] = 2.0
    primary.header["HISTORY"] = "calibrated at 2024-01-01 00:00:00.123Z by step one"
    hdus = fits.HDUList(
        [
            primary,
            fits.ImageHDU(sci, name="SCI", ver=1),
            fits.ImageHDU(np.zeros(SHAPE, np.int16), name="DQ", ver=1),
            fits.BinTableHDU.from_columns(columns, name="EXTRACT"),
        ]
    )
    change(hdus)
    hdus.writeto(path)
    return path


def compare(
    folder: Path, change: Change, tolerance: Tolerance | None = None
) -> tuple[ExtensionDifference, ...]:
    """Compare the product with a spoiled one."""
    pair = make(folder / "old.fits"), make(folder / "new.fits", change)
    return compare_fits(*pair, *([tolerance] if tolerance else []))


def test_equal_files_do_not_differ(tmp_path: Path) -> None:
    """NaN is equal to NaN, and rows of variable length are compared too."""
    assert compare(tmp_path, lambda hdus: None) == ()


def test_dates_are_told_apart(tmp_path: Path) -> None:
    """DATE, and the time in a line of HISTORY, are no differences of content."""

    def later(hdus: fits.HDUList) -> None:
        hdus[0].header["DATE"] = "2026-06-01T12:00:00"
        hdus[0].header["HISTORY"][0] = "calibrated at 2026-06-01T12:00:00 by step one"

    (primary,) = compare(tmp_path, later)

    assert (primary.name, primary.cards, primary.data) == ("PRIMARY", (), None)
    assert primary.dates == ("DATE", "HISTORY")


def test_checksum_follows_a_date_but_nothing_else(tmp_path: Path) -> None:
    """CHECKSUM of a header with another DATE is another one; by itself it is a difference."""

    def summed(date: str, checksum: str) -> Change:
        def change(hdus: fits.HDUList) -> None:
            hdus[0].header["DATE"] = date
            hdus[0].header["CHECKSUM"] = checksum

        return change

    old = make(tmp_path / "old.fits", summed("2024-01-01", "aaa"))
    later = make(tmp_path / "later.fits", summed("2026-01-01", "bbb"))
    spoiled = make(tmp_path / "spoiled.fits", summed("2024-01-01", "bbb"))

    assert compare_fits(old, later)[0].dates == ("CHECKSUM", "DATE")
    assert [card.keyword for card in compare_fits(old, spoiled)[0].cards] == ["CHECKSUM"]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (
            lambda hdus: hdus[0].header.set("TARGNAME", "NGC105"),
            CardDifference("TARGNAME", "TARGNAME= 'NGC104  '", "TARGNAME= 'NGC105  '"),
        ),
        (
            lambda hdus: hdus[0].header.remove("TARGNAME"),
            CardDifference("TARGNAME", "TARGNAME= 'NGC104  '", None),
        ),
        (
            lambda hdus: hdus[0].header.set("NEW", 1),
            CardDifference("NEW", None, "NEW     =                    1"),
        ),
        (
            lambda hdus: hdus[0].header.add_history("once more"),
            CardDifference("HISTORY", None, "HISTORY once more"),
        ),
        (
            lambda hdus: hdus[0].header.set("DATE", "2024-01-01T00:00:00", "changed"),
            None,
        ),
    ],
)
def test_cards(tmp_path: Path, change: Change, found: CardDifference | None) -> None:
    """A card that is other, gone or new is named with both texts."""
    (primary,) = compare(tmp_path, change)

    assert primary.cards == (() if found is None else (found,))


def test_one_pixel_is_found(tmp_path: Path) -> None:
    """Its extension, how many, of how many, and by how much."""

    def spoil(hdus: fits.HDUList) -> None:
        hdus["SCI"].data[1, 2] += 0.5

    assert compare(tmp_path, spoil) == (
        ExtensionDifference("SCI,1", data=DataDifference(1, 12, 0.5, 1)),
    )


def test_what_is_finite_in_one_file_alone_has_no_size(tmp_path: Path) -> None:
    """A NaN in place of a number lies beyond every tolerance."""

    def spoil(hdus: fits.HDUList) -> None:
        hdus["SCI"].data[1, 2] = np.nan

    (sci,) = compare(tmp_path, spoil, Tolerance(rtol=1.0, atol=1e9))

    assert sci.data == DataDifference(1, 12, None, 1)


def test_tolerance_is_for_numbers_with_a_point(tmp_path: Path) -> None:
    """A float within it is not beyond; a flag that differs always is."""

    def spoil(hdus: fits.HDUList) -> None:
        hdus["SCI"].data[2, 3] *= 1.001
        hdus["SCI"].data[2, 2] *= 2
        hdus["DQ"].data[0, 0] = 1

    sci, flags = compare(tmp_path, spoil, Tolerance(rtol=0.01))

    assert sci.data is not None
    assert flags.data is not None
    assert (sci.data.values, sci.data.beyond) == (2, 1)
    assert (flags.data.values, flags.data.beyond) == (1, 1)


@pytest.mark.parametrize(
    ("column", "value", "count"), [("NAME", "three", 1), ("FLUX", 7.0, 1), ("LIST", [1, 3], 1)]
)
def test_table_cells(tmp_path: Path, column: str, value: Any, count: int) -> None:
    """Text, numbers and rows of variable length are compared cell by cell."""

    def spoil(hdus: fits.HDUList) -> None:
        hdus["EXTRACT"].data[column][0] = value

    (table,) = compare(tmp_path, spoil)

    assert table.name == "EXTRACT,1"
    assert table.data is not None
    assert table.data.values == count


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda hdus: hdus.pop(), "extensions PRIMARY SCI,1 DQ,1 in place of"),
        (lambda hdus: setattr(hdus["SCI"], "data", np.zeros((2, 2), "f4")), r"(2, 2) in place of"),
        (lambda hdus: setattr(hdus["DQ"], "data", np.ones(SHAPE, "i4")), ">i4"),
        (lambda hdus: setattr(hdus["DQ"], "data", None), "pixels: nothing in place of"),
    ],
)
def test_other_forms_are_said(tmp_path: Path, change: Change, words: str) -> None:
    """Extensions, shapes and types that cannot be compared value by value."""
    found = compare(tmp_path, change)

    assert words in found[0].form


@pytest.mark.parametrize("end", [100, 2880, 4000, 5760, 5800, 12000])
def test_a_file_cut_short_is_never_equal(tmp_path: Path, end: int) -> None:
    """It is refused, or extensions are missed, wherever it ends."""
    whole = make(tmp_path / "old.fits")
    cut = tmp_path / "cut.fits"
    cut.write_bytes(whole.read_bytes()[:end])

    try:
        found = compare_fits(whole, cut)
    except CorruptFile as error:
        assert "cut.fits" in str(error)  # noqa: PT017 - one of two good answers
    else:
        assert found


def test_an_absent_file_is_said(tmp_path: Path) -> None:
    """By its name."""
    with pytest.raises(NotFound, match="no such file"):
        compare_fits(make(tmp_path / "old.fits"), tmp_path / "absent.fits")


KINDS = st.sampled_from(["f4", ">f4", "f8", "i2", ">i2", "u1"])


def test_signalling_nan_is_no_warning() -> None:
    """Its bits are infinity's with the last one set; NumPy warns where such a one is widened."""
    old = np.full(3, np.inf, np.float32)
    new = old.copy()
    new.view(np.uint32)[1] |= 1

    found = _compare_arrays(old, new, Tolerance())

    assert (found.values, found.largest) == (1, None)


@given(hnp.arrays(KINDS, SHAPE), st.integers(0, 11), st.data())
def test_every_bit_counts(old: np.ndarray, place: int, data: Any) -> None:
    """One flipped bit of one value is one difference, but for one NaN in place of another."""
    new = old.copy()
    raw = new.reshape(-1).view(np.uint8).reshape(12, -1)
    raw[place, data.draw(st.integers(0, raw.shape[1] - 1))] ^= 1 << data.draw(st.integers(0, 7))
    still_nan = bool(np.isnan(old.flat[place]) and np.isnan(new.flat[place]))

    assert _compare_arrays(old, old.copy(), Tolerance()).values == 0
    assert _compare_arrays(old, new, Tolerance()).values == int(not still_nan)
