"""Rows of the ACS tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from factories import (
    BAD_ROW,
    CCD_ROW,
    NX,
    NY,
    OSCN_ROW,
    PRIMARY,
    write_photometry,
    write_table,
)

from calib.errors import MissingReference
from calib.fitsfile import Table, read_table
from calib.instruments.acs_tables import (
    photometry_rows,
    select_bad_runs,
    select_ccd,
    select_overscan,
)
from calib.steps.bad_pixels import BadRun
from calib.steps.section import Region


def table(tmp_path: Path, *rows: dict[str, Any]) -> Table:
    """Write and read a table."""
    return read_table(write_table(tmp_path / "table.fits", list(rows)))


def test_ccd_row_of_the_exposure(tmp_path: Path) -> None:
    """The first row with amplifier, gain, offsets and chip; other amplifiers are 0 in headers."""
    wrong = {**CCD_ROW, "CCDOFSTC": 4, "ATODGNC": 9.0}
    later = {**CCD_ROW, "ATODGNC": 8.0}
    found = select_ccd(table(tmp_path, wrong, CCD_ROW, later), PRIMARY, 1)
    assert (found.gain, found.read_noise, found.default_level) == (2, 4, 2000)
    assert found.saturation == 65534
    assert found.overheads == (3.5, 0.5)
    assert found.description == "row of a tiny HRC"
    assert found.keywords()["ATODGNC"] == 2
    assert found.keywords()["READNSEA"] == 0


@pytest.mark.parametrize("gain", [2, 2.0])
def test_gain_column_may_be_whole_or_not(tmp_path: Path, gain: float) -> None:
    """Tables from before Servicing Mission 4 have integers, later ones floats."""
    row = {**CCD_ROW, "CCDGAIN": gain}
    assert select_ccd(table(tmp_path, row), {**PRIMARY, "CCDGAIN": 2.0}, 1).gain == 2


def test_no_ccd_row_says_what_was_wanted(tmp_path: Path) -> None:
    """Amplifier, gain, chip and offsets are in the message."""
    with pytest.raises(MissingReference, match=r"CCDAMP=C.*CCDGAIN=4.*CCDOFSTA=3"):
        select_ccd(table(tmp_path, CCD_ROW), {**PRIMARY, "CCDGAIN": 4}, 1)


def test_old_ccd_table_without_a_column(tmp_path: Path) -> None:
    """A table from before ATODSAT cannot be used, and the message names the column."""
    old = {key: value for key, value in CCD_ROW.items() if key != "ATODSAT"}
    with pytest.raises(MissingReference, match="ATODSAT"):
        select_ccd(table(tmp_path, old), PRIMARY, 1)


def test_overscan_row_counts_from_zero(tmp_path: Path) -> None:
    """Columns 3..9 become 2..8; both bias sections are used, the left one first."""
    ccd = select_ccd(table(tmp_path, CCD_ROW), PRIMARY, 1)
    found = select_overscan(table(tmp_path, OSCN_ROW), ccd, 1, (NY, NX))
    assert found
    assert found.overscan.bias_sections == ((2, 8), (53, 59))
    assert (found.overscan.virtual_x, found.overscan.virtual_y) == ((12, 49), (33, 42))
    assert found.region == Region(0, 32, 9, 53)
    assert select_overscan(table(tmp_path, OSCN_ROW), ccd, 1, (NY, NX + 1)) is None


@pytest.mark.parametrize(
    ("changes", "sections"),
    [
        ({"BIASSECTB1": 0, "BIASSECTB2": 0}, ((2, 8),)),
        ({"BIASSECTA1": 0, "BIASSECTA2": 0}, ((53, 59),)),
    ],
)
def test_one_bias_section(
    tmp_path: Path, changes: dict[str, int], sections: tuple[tuple[int, int], ...]
) -> None:
    """The section that is given."""
    ccd = select_ccd(table(tmp_path, CCD_ROW), PRIMARY, 1)
    found = select_overscan(table(tmp_path, {**OSCN_ROW, **changes}), ccd, 1, (NY, NX))
    assert found
    assert found.overscan.bias_sections == sections


def test_amplifier_boundary_wider_than_the_image(tmp_path: Path) -> None:
    """AMPX and AMPY of a WFC subarray: the region ends at the edges."""
    ccd = select_ccd(table(tmp_path, {**CCD_ROW, "AMPX": 4144, "AMPY": 2048}), PRIMARY, 1)
    found = select_overscan(table(tmp_path, OSCN_ROW), ccd, 1, (NY, NX))
    assert found
    assert found.region == Region(0, NY, 9, NX)


@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        ({}, True),
        ({"CCDAMP": "C"}, True),
        ({"CCDAMP": "A"}, False),
        ({"CCDCHIP": -999}, True),
        ({"CCDCHIP": 2}, False),
        ({"CCDGAIN": 2.0}, True),
        ({"CCDGAIN": 4.0}, False),
        ({"CCDGAIN": -999}, True),
    ],
)
def test_bad_pixel_rows(tmp_path: Path, changes: dict[str, Any], fits: bool) -> None:
    """N/A and -999 fit every exposure; pixels are counted from 0."""
    found = select_bad_runs(table(tmp_path, {**BAD_ROW, **changes}), PRIMARY, 1)
    assert found == ((BadRun(4, 6, 3, 2, 16),) if fits else ())


def test_bad_pixel_table_without_amplifier_and_gain(tmp_path: Path) -> None:
    """Absent columns fit every exposure."""
    row = {key: value for key, value in BAD_ROW.items() if key not in {"CCDAMP", "CCDGAIN"}}
    assert len(select_bad_runs(table(tmp_path, row), PRIMARY, 1)) == 1


def test_photometry_rows_of_an_extension(tmp_path: Path) -> None:
    """DATACOL says over how many parameters the results run."""
    path = write_photometry(tmp_path / "imp.fits")
    (row,) = photometry_rows(read_table(path, "PHOTPLAM"), "PHOTPLAM")
    assert row.mode == "acs,hrc,f555w,mjd#"
    assert row.grids == ((52000.0, 53000.0),)
    assert row.results == (5356.0, 10712.0)
