"""Tables: columns with their types, units and masks, and the headers around them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import QTable, Table

from calib.errors import ConfigError, CorruptFile, NotFound
from calib.formats import Reading, read_file, write_file


def write_spectra(path: Path, count: int = 1, name: str = "SCI") -> Path:
    """Write tables as those of STIS spectra, each with its number in SPORDER."""
    hdus = [fits.PrimaryHDU(header=fits.Header({"ROOTNAME": "otst01010"}))]
    for version in range(1, count + 1):
        columns = [
            fits.Column("SPORDER", "I", array=[version, -32767], null=-32767),
            fits.Column("WAVELENGTH", "3D", unit="Angstroms", array=np.ones((2, 3))),
            fits.Column("FLUX", "3E", unit="erg/s/cm**2/Angstrom", array=np.full((2, 3), np.nan)),
            fits.Column("NET", "3E", unit="Counts/s", array=np.ones((2, 3))),
            fits.Column("DQ", "3I", array=np.full((2, 3), -32768)),
            fits.Column("NAME", "8A", array=["one", ""]),
        ]
        hdu = fits.BinTableHDU.from_columns(columns, name=name, ver=version)
        hdu.header["EXPTIME"] = 10.0 * version
        hdus.append(hdu)
    hdus.append(fits.BinTableHDU.from_columns([fits.Column("START", "D", array=[0])], name="GTI"))
    fits.HDUList(hdus).writeto(path)
    return path


def assert_equal(one: Table, other: Table) -> None:
    """Compare columns: numbers, types, units and masks."""
    assert one.colnames == other.colnames
    for name in one.colnames:
        before, after = one[name], other[name]
        assert before.dtype == after.dtype
        assert before.unit == after.unit
        assert np.array_equal(np.ma.getmaskarray(before), np.ma.getmaskarray(after))
        kind: dict[str, Any] = {"equal_nan": True} if before.dtype.kind == "f" else {}
        assert np.array_equal(np.ma.filled(before), np.ma.filled(after), **kind)


def test_columns_keep_type_unit_and_mask(tmp_path: Path) -> None:
    """Whole numbers stay whole, NaN stays NaN, TNULL is masked, units are astropy's."""
    table = read_file(write_spectra(tmp_path / "otst01010_x1d.fits"))

    assert table["SPORDER"].tolist() == [1, None]
    assert table["DQ"].dtype == np.int16
    assert table["FLUX"].dtype == np.float32
    assert np.isnan(table["FLUX"]).all()
    assert table["WAVELENGTH"].unit == u.AA
    assert table["NET"].unit == u.ct / u.s
    assert table["NAME"].tolist() == ["one", ""]
    assert (table.meta["ROOTNAME"], table.meta["EXPTIME"]) == ("otst01010", 10)
    assert QTable(table)["FLUX"].unit == u.erg / u.s / u.cm**2 / u.AA


def test_several_exposures_are_a_list(tmp_path: Path) -> None:
    """Tables of the first one's name only; one of them by number."""
    path = write_spectra(tmp_path / "otst01010_x1d.fits", 3)

    tables = read_file(path)

    assert [table["SPORDER"][0] for table in tables] == [1, 2, 3]
    assert read_file(path, Reading(imset=2))["SPORDER"][0] == 2
    with pytest.raises(NotFound, match="3"):
        read_file(path, Reading(imset=4))


@pytest.mark.parametrize("count", [1, 2])
def test_what_was_written_is_read_again(tmp_path: Path, count: int) -> None:
    """Columns, extension name and both headers come back."""
    path = write_spectra(tmp_path / "ltst01aaq_rawtag_a.fits", count, "EVENTS")

    write_file(tmp_path / "lagn01aaq_rawtag_a.fits", read_file(path))

    before, after = read_file(path), read_file(tmp_path / "lagn01aaq_rawtag_a.fits")
    pairs = zip(before, after, strict=True) if count > 1 else [(before, after)]
    for one, other in pairs:
        assert_equal(one, other)
        assert dict(one.meta) == dict(other.meta)
    with fits.open(tmp_path / "lagn01aaq_rawtag_a.fits") as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", *["EVENTS"] * count]
        assert "EXPTIME" not in hdus[0].header


def test_table_of_ones_own_is_written(tmp_path: Path) -> None:
    """A table without any header, and one with quantities, become files."""
    write_file(tmp_path / "a_x1d.fits", QTable({"X": [1.0, 2.0] * u.m, "N": [1, 2]}))

    table = read_file(tmp_path / "a_x1d.fits")

    assert table["X"].unit == u.m
    assert table["N"].tolist() == [1, 2]
    assert table.meta["EXTNAME"] == "SCI"


def test_real_spectrum_comes_back(shared: Path, tmp_path: Path) -> None:
    """A STIS echelle spectrum of forty orders."""
    table = read_file(shared / "data" / "real" / "odbue5030_x1d.fits")

    write_file(tmp_path / "odbue5030_x1d.fits", table)

    assert len(table) == 40
    assert_equal(table, read_file(tmp_path / "odbue5030_x1d.fits"))


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    """Both ways: an image under the name of a table, and a dictionary."""
    fits.PrimaryHDU(np.ones((2, 2))).writeto(tmp_path / "a_x1d.fits")

    with pytest.raises(CorruptFile, match="no table"):
        read_file(tmp_path / "a_x1d.fits")
    with pytest.raises(ConfigError, match="Table"):
        write_file(tmp_path / "b_x1d.fits", {"X": [1]})
