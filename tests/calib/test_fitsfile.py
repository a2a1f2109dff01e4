"""Reading and writing FITS."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from factories import CCD_ROW, frozen, make_raw, make_sky, write_image, write_table

from calib.errors import ArchiveError, CorruptFile, MissingReference, NotFound
from calib.fitsfile import (
    Exposure,
    open_reference,
    primary_header,
    read_exposure,
    read_table,
    write_atomically,
    write_exposure,
)
from calib.image import Header, Imset


def test_raw_is_read_as_numbers(tmp_path: Path) -> None:
    """16-bit SCI becomes float32, constant ERR and DQ become arrays; all native."""
    exposure = read_exposure(make_raw(tmp_path))
    image = exposure.imsets[0].image
    assert np.array_equal(image.sci, np.rint(make_sky()).astype("f4"))
    assert (image.sci.dtype, image.err.dtype, image.dq.dtype) == (np.float32, np.float32, np.int16)
    assert image.sci.dtype.isnative
    assert not image.err.any()
    assert image.unit == "COUNTS"


def test_image_of_an_unknown_kind_of_pixels(tmp_path: Path) -> None:
    """BITPIX 17 is a damaged file, not an error of the program."""
    path = make_raw(tmp_path)
    bits = b"BITPIX  =                   16"
    path.write_bytes(path.read_bytes().replace(bits, bits[:-1] + b"7"))
    with pytest.raises(CorruptFile, match=path.name):
        read_exposure(path)


def test_missing_file(tmp_path: Path) -> None:
    """Said as such."""
    with pytest.raises(NotFound):
        read_exposure(tmp_path / "none_raw.fits")


@pytest.mark.parametrize("keep", [0, 100, 2880, 6000])
def test_file_cut_short(tmp_path: Path, keep: int) -> None:
    """Wherever it ends, the file is corrupt, and the message names it."""
    path = make_raw(tmp_path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CorruptFile, match=path.name):
        read_exposure(path)


@pytest.mark.parametrize("name", ["SCI", "ERR", "DQ"])
def test_missing_extension(tmp_path: Path, name: str) -> None:
    """An image set needs all three."""
    path = make_raw(tmp_path)
    with fits.open(path) as hdus:
        left = fits.HDUList([hdu.copy() for hdu in hdus if hdu.name != name])
    left.writeto(path, overwrite=True)
    with pytest.raises(CorruptFile, match=path.name):
        read_exposure(path)


def test_extension_without_pixels(tmp_path: Path) -> None:
    """Neither pixels nor NPIX1: corrupt."""
    path = make_raw(tmp_path)
    with fits.open(path, mode="update") as hdus:
        del hdus["ERR"].header["NPIX1"]
    with pytest.raises(CorruptFile, match="no pixels"):
        read_exposure(path)


def test_written_exposure_is_read_back(tmp_path: Path) -> None:
    """Pixels and values round-trip; order and comments of cards stay; raw scaling goes."""
    exposure = read_exposure(make_raw(tmp_path))
    imset = exposure.imsets[0]
    image = frozen(np.arange(6).reshape(2, 3), 1.5, 4)
    imset = Imset(
        image, imset.sci.with_values({"BUNIT": "ELECTRONS", "MEANDARK": 1.5}, {"MEANDARK": "mean"}),
        imset.err, imset.dq,
    )  # fmt: skip
    path = tmp_path / "made_flt.fits"
    primary = exposure.primary.with_values({"DARKCORR": "COMPLETE"}).with_history("one", "two")
    write_exposure(path, Exposure(primary, (imset,)))
    again = read_exposure(path)
    assert np.array_equal(again.imsets[0].image.sci, image.sci)
    assert np.array_equal(again.imsets[0].image.dq, image.dq)
    assert again.imsets[0].image.unit == "ELECTRONS"
    assert again.primary["DARKCORR"] == "COMPLETE"
    with fits.open(path) as hdus:
        assert list(hdus[0].header["HISTORY"]) == ["one", "two"]
        assert hdus["SCI"].header.comments["MEANDARK"] == "mean"
        assert "BZERO" not in hdus["SCI"].header
        assert "NPIX1" not in hdus["ERR"].header
        order = [key for key in hdus[0].header if key in {"TELESCOP", "EXPTIME", "DARKCORR"}]
        assert order == ["TELESCOP", "EXPTIME", "DARKCORR"]


def test_equal_exposures_give_equal_bytes(tmp_path: Path) -> None:
    """No date or other chance gets into a product."""
    exposure = read_exposure(make_raw(tmp_path))
    for name in ("a.fits", "b.fits"):
        write_exposure(tmp_path / name, exposure)
    assert (tmp_path / "a.fits").read_bytes() == (tmp_path / "b.fits").read_bytes()


def test_failed_writing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a half file nor a temporary one."""

    def fail(*_args: object, **_options: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(fits.HDUList, "writeto", fail)
    with pytest.raises(ArchiveError, match="cannot be written: disk full") as caught:
        write_atomically(fits.HDUList([fits.PrimaryHDU()]), tmp_path / "a.fits")
    assert caught.value.path == str(tmp_path / "a.fits")
    assert not list(tmp_path.iterdir())


def test_extensions_that_were_announced(tmp_path: Path) -> None:
    """A file cut between two extensions is sound but for NEXTEND; without it nobody can know."""
    path = make_raw(tmp_path, NEXTEND=6)
    with pytest.raises(CorruptFile, match=r"absent.*NEXTEND 6.*SCI,1.*DQ,1"):
        read_exposure(path)
    fits.delval(path, "NEXTEND")
    assert len(read_exposure(path).imsets) == 1


def test_reference_of_a_chip(tmp_path: Path) -> None:
    """The image set with the CCDCHIP asked for; another chip is said with those there."""
    path = write_image(tmp_path / "ref.fits", np.ones((2, 2)), chip=2, pedigree="INFLIGHT")
    found = open_reference(path, 2)
    assert found.rows(0, 2).sci.tolist() == [[1, 1], [1, 1]]
    assert found.primary["PEDIGREE"] == "INFLIGHT"
    with pytest.raises(MissingReference, match=r"CCDCHIP 1.*CCDCHIP \[2\]"):
        open_reference(path, 1)


def test_table_columns(tmp_path: Path) -> None:
    """Columns by name, native, text without blanks; an absent one is said with the others."""
    path = write_table(tmp_path / "ccd.fits", [CCD_ROW, CCD_ROW])
    table = read_table(path)
    assert len(table) == 2
    assert table.column("CCDAMP").tolist() == ["C", "C"]
    assert table.column("ATODGNC").dtype.isnative
    with pytest.raises(MissingReference, match="NONSENSE"):
        table.column("NONSENSE")


@pytest.mark.parametrize("extension", [0, 2, "PHOTFLAM"])
def test_no_such_table(tmp_path: Path, extension: int | str) -> None:
    """An absent extension, or one that is no table, is corrupt."""
    path = write_table(tmp_path / "ccd.fits", [CCD_ROW])
    with pytest.raises(CorruptFile):
        read_table(path, extension)


def test_primary_header_is_a_copy(tmp_path: Path) -> None:
    """It lives on after the file is closed."""
    assert primary_header(make_raw(tmp_path))["DETECTOR"] == "HRC"


def test_header_of_plain_values_is_no_obstacle() -> None:
    """A header may be any mapping."""
    assert Header({"A": 1}).get("A") == 1
