"""Two versions of a product: headers, image sets, tables, and what cannot be compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from calib.reprocessing.product_differences import (
    MOST_CARDS,
    MOST_PICTURES,
    Compared,
    Pair,
    compare_products,
)


def product(path: Path, *, sets: int = 1, shape: tuple[int, int] = (6, 8)) -> Path:
    """Write a product of image sets: SCI 100, ERR 2, DQ 0."""
    primary = fits.PrimaryHDU(header=fits.Header({"ROOTNAME": "j8bt05njq", "DATE": "2026-01-01"}))
    primary.header["DARKFILE"] = "jref$a_drk.fits"
    hdus = fits.HDUList([primary])
    for version in range(1, sets + 1):
        for name, value, kind in (("SCI", 100, "f4"), ("ERR", 2, "f4"), ("DQ", 0, "i2")):
            header = fits.Header({"BUNIT": "ELECTRONS"}) if name == "SCI" else None
            data = np.full(shape, value, kind)
            hdus.append(fits.ImageHDU(data, header, name=name, ver=version))
    hdus.writeto(path, overwrite=True)
    return path


def changed(folder: Path, change: Callable[[fits.HDUList], object], *, sets: int = 1) -> Compared:
    """Compare a product with one that was changed."""
    old, new = product(folder / "old.fits", sets=sets), product(folder / "new.fits", sets=sets)
    with fits.open(old, memmap=False) as hdus:
        change(hdus)
        fits.HDUList(hdus).writeto(new, overwrite=True)
    return compare_products(Pair(old, new, "j8bt05njq_flt.fits", "flt", "acs"))


def test_numbers_of_an_image_set(tmp_path: Path) -> None:
    """Two pixels 3 and 10 higher, of which one is beyond 3 sigma; one flag gained."""

    def change(hdus: fits.HDUList) -> None:
        hdus["SCI", 1].data[0, :2] += (3, 10)
        hdus["ERR", 1].data[0, 0] = 4
        hdus["DQ", 1].data[5, 7] = 16
        hdus[0].header["DARKFILE"] = "jref$b_drk.fits"

    found = changed(tmp_path, change)
    told = found.difference
    assert told.state == "data"
    (one,) = told.sets
    science, error = one.planes
    assert (science.name, science.total, science.changed) == ("SCI,1", 48, 2)
    assert science.where_changed is not None
    assert (science.where_changed.mean, science.where_changed.maximum) == (6.5, 10)
    assert science.significance is not None
    assert science.significance.beyond == {"1": 2, "3": 1, "5": 0}  # 1.5 and 5 errors
    assert (error.name, error.changed) == ("ERR,1", 1)
    assert one.flags is not None
    assert [(bit.name, bit.gained, bit.lost) for bit in one.flags.bits] == [("hot", 1, 0)]
    assert one.unit == "electrons"
    (card,) = told.headers
    assert (card.keyword, card.is_reference) == ("DARKFILE", True)
    assert "b_drk" in str(card.new)
    assert set(found.pictures) == {1}
    assert told.tables == ()


@pytest.mark.parametrize(
    ("change", "state"),
    [
        (lambda hdus: None, "identical"),
        (lambda hdus: hdus[0].header.set("DATE", "2027-01-01"), "dates"),
        (lambda hdus: hdus[0].header.set("TARGNAME", "<b>&"), "header"),
        (lambda hdus: hdus["DQ", 1].data.__setitem__((0, 0), 4), "data"),
        (lambda hdus: hdus.pop(), "form"),
        (lambda hdus: setattr(hdus["SCI", 1], "data", np.zeros((3, 3), "f4")), "form"),
        (lambda hdus: hdus.append(fits.ImageHDU(np.zeros((2, 2)), name="WHT")), "form"),
    ],
)
def test_states(tmp_path: Path, change: Callable[[fits.HDUList], object], state: str) -> None:
    """From every byte the same to other extensions; forms say what is there now."""
    found = changed(tmp_path, change).difference
    assert found.state == state
    assert bool(found.forms) == (state == "form")


def test_a_nan_is_drawn_and_counted(tmp_path: Path) -> None:
    """A pixel that becomes NaN has no number, and does not spoil the picture."""
    found = changed(tmp_path, lambda h: h["SCI", 1].data.__setitem__((2, 2), np.nan))
    plane = found.difference.sets[0].planes[0]
    assert (plane.changed, plane.became_nan, plane.unmeasured) == (1, 1, 1)
    assert plane.histogram is None
    assert found.pictures


def test_only_what_differs_is_told_and_drawn(tmp_path: Path) -> None:
    """Of six image sets the five that differ, and of those no more pictures than a few."""

    def change(hdus: fits.HDUList) -> None:
        for version in range(2, 7):
            hdus["SCI", version].data[1, 1] = version

    found = changed(tmp_path, change, sets=6)
    assert [one.version for one in found.difference.sets] == [2, 3, 4, 5, 6]
    assert sorted(found.pictures) == [2, 3, 4, 5][:MOST_PICTURES]


def test_history_does_not_drown_the_rest(tmp_path: Path) -> None:
    """Cards are told up to a number, references first, HISTORY last."""

    def change(hdus: fits.HDUList) -> None:
        for line in range(MOST_CARDS + 10):
            hdus[0].header["HISTORY"] = f"line {line}"
        hdus[0].header["DARKFILE"] = "jref$b_drk.fits"
        hdus[0].header["TARGNAME"] = "NGC104"

    told = changed(tmp_path, change).difference
    assert [card.keyword for card in told.headers[:3]] == ["DARKFILE", "TARGNAME", "HISTORY"]
    assert (len(told.headers), told.more_headers) == (MOST_CARDS, 12)


def table(path: Path, flux: list[float]) -> Path:
    """Write a spectrum as COS does: a table."""
    column = fits.Column("FLUX", "E", array=np.array(flux))
    hdus = [fits.PrimaryHDU(), fits.BinTableHDU.from_columns([column], name="SCI")]
    fits.HDUList(hdus).writeto(path)
    return path


def test_tables_are_compared_by_values(tmp_path: Path) -> None:
    """A spectrum has values and no pixels."""
    old, new = table(tmp_path / "a.fits", [1, 2, 3]), table(tmp_path / "b.fits", [1, 2, 5])
    found = compare_products(Pair(old, new, "x_x1d.fits", "x1d", "cos")).difference
    assert (found.state, found.sets) == ("data", ())
    (one,) = found.tables
    assert (one.values, one.total, one.largest) == (1, 3, 2)


def test_the_only_image_of_a_file(tmp_path: Path) -> None:
    """Pixels of the primary HDU are an image set as well."""
    for name, value in (("old", 1.0), ("new", 2.0)):
        fits.PrimaryHDU(np.full((4, 4), value, "f4")).writeto(tmp_path / f"{name}.fits")
    pair = Pair(tmp_path / "old.fits", tmp_path / "new.fits", "x_drz.fits", "drz", "acs")
    found = compare_products(pair).difference
    assert found.sets[0].planes[0].changed == 16
    assert found.tables == ()


def test_what_is_no_fits_is_said(tmp_path: Path) -> None:
    """A file that is cut short, and a text."""
    old, new = product(tmp_path / "old.fits"), tmp_path / "new.fits"
    new.write_bytes(old.read_bytes()[:-2880])
    found = compare_products(Pair(old, new, "x_flt.fits", "flt", "acs")).difference
    assert found.state == "unreadable"
    assert found.problem
    found = compare_products(Pair(old, new, "x.txt", "txt", "acs")).difference
    assert (found.state, found.forms) == ("data", ("other bytes",))
