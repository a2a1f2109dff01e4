"""Rows of the ACS tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
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

from calib.errors import DataError, MissingReference, UnsupportedMode
from calib.fitsfile import Table, read_table
from calib.instruments.acs_tables import (
    photometry_rows,
    select_bad_runs,
    select_ccd,
    select_overscan,
)
from calib.steps.bad_pixels import BadRun
from calib.steps.readout import Amplifier
from calib.steps.section import Region


def table(tmp_path: Path, *rows: dict[str, Any]) -> Table:
    """Write and read a table."""
    return read_table(write_table(tmp_path / "table.fits", list(rows)))


def test_ccd_row_of_the_exposure(tmp_path: Path) -> None:
    """The first row with amplifier, gain, offsets and chip; other amplifiers are 0 in headers."""
    wrong = {**CCD_ROW, "CCDOFSTC": 4, "ATODGNC": 9.0}
    later = {**CCD_ROW, "ATODGNC": 8.0}
    found = select_ccd(table(tmp_path, wrong, CCD_ROW, later), PRIMARY, 1)
    assert found.amplifiers == (Amplifier("C", 2, 4, 2000),)
    assert found.saturation == 65534
    assert found.overheads == (3.5, 0.5)
    assert found.description == "row of a tiny HRC"
    assert found.keywords()["ATODGNC"] == 2
    assert found.keywords()["READNSEA"] == 0


@pytest.mark.parametrize("gain", [2, 2.0])
def test_gain_column_may_be_whole_or_not(tmp_path: Path, gain: float) -> None:
    """Tables from before Servicing Mission 4 have integers, later ones floats."""
    row = {**CCD_ROW, "CCDGAIN": gain}
    assert select_ccd(table(tmp_path, row), {**PRIMARY, "CCDGAIN": 2.0}, 1).amplifiers[0].gain == 2


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
    readout = ccd.readout(NX, 9)
    found = select_overscan(table(tmp_path, OSCN_ROW), ccd, readout, (NY, NX))
    assert found
    (only,) = found.amplifiers
    assert only.bias_sections == ((2, 8), (53, 59))
    assert (only.virtual_x, only.virtual_y) == ((12, 49), (33, 42))
    assert only.region == Region(0, 32, 9, 53) == found.science_region((NY, NX))
    assert select_overscan(table(tmp_path, OSCN_ROW), ccd, readout, (NY, NX + 1)) is None


@pytest.mark.parametrize(
    ("changes", "sections"),
    [
        ({"BIASSECTB1": 0, "BIASSECTB2": 0}, ((2, 8),)),
        ({"BIASSECTA1": 0, "BIASSECTA2": 0}, ((53, 59),)),
        (dict.fromkeys(("BIASSECTA1", "BIASSECTA2", "BIASSECTB1", "BIASSECTB2"), 0), ((-1, -1),)),
    ],
)
def test_one_bias_section(
    tmp_path: Path, changes: dict[str, int], sections: tuple[tuple[int, int], ...]
) -> None:
    """The section that is given."""
    ccd = select_ccd(table(tmp_path, CCD_ROW), PRIMARY, 1)
    osc = table(tmp_path, {**OSCN_ROW, **changes})
    found = select_overscan(osc, ccd, ccd.readout(NX, 9), (NY, NX))
    assert found
    assert found.amplifiers[0].bias_sections == sections


def test_amplifier_boundary_wider_than_the_image(tmp_path: Path) -> None:
    """AMPX and AMPY of a WFC subarray: the region ends at the edges."""
    ccd = select_ccd(table(tmp_path, {**CCD_ROW, "AMPX": 4144, "AMPY": 2048}), PRIMARY, 1)
    found = select_overscan(table(tmp_path, OSCN_ROW), ccd, ccd.readout(NX, 9), (NY, NX))
    assert found
    assert found.amplifiers[0].region == Region(0, NY, 9, NX)


WFC = {**PRIMARY, "DETECTOR": "WFC", "CCDAMP": "ABCD"}
WFC_ROW = {
    **CCD_ROW,
    "CCDAMP": "ABCD",
    "AMPX": 20,
    "AMPY": 32,
    **{f"ATODGN{amp}": gain for amp, gain in zip("ABCD", (2.02, 1.886, 2.017, 2.011), strict=True)},
}


@pytest.mark.parametrize(("chip", "names"), [(1, ("A", "B")), (2, ("C", "D"))])
def test_wfc_chip_read_by_two_amplifiers(tmp_path: Path, chip: int, names: tuple[str, ...]) -> None:
    """Chip 1 by A and B, chip 2 by C and D; keywords are of all four, in 32 bits."""
    found = select_ccd(table(tmp_path, {**WFC_ROW, "CCDCHIP": chip}), WFC, chip)
    readout = found.readout(NX, 9)
    assert readout.names == names
    assert readout.boundary == 29
    assert found.keywords()["ATODGNB"] == np.float32(1.886)
    assert "".join(a.name for a in found.amplifiers) == "ABCD"
    assert found.readout(29, 9).names == names[:1]


@pytest.mark.parametrize(
    ("ccdamp", "chip", "name", "boundary"),
    [
        ("AD", 1, "A", NX),
        ("AD", 2, "D", 0),
        ("BC", 1, "B", 0),
        ("BC", 2, "C", NX),
        ("B", 1, "B", 0),
    ],
)
def test_wfc_chip_read_by_one_amplifier(
    tmp_path: Path, ccdamp: str, chip: int, name: str, boundary: int
) -> None:
    """The amplifier of the chip has all columns; those of the other chip are in the keywords."""
    row = {**WFC_ROW, "CCDAMP": ccdamp, "CCDCHIP": chip}
    found = select_ccd(table(tmp_path, row), {**WFC, "CCDAMP": ccdamp}, chip)
    readout = found.readout(NX, 9)
    assert (readout.names, readout.boundary) == ((name,), boundary)
    used = {key for key, value in found.keywords().items() if value}
    assert used == {f"{key}{amp}" for key in ("ATODGN", "READNSE") for amp in ccdamp}


def test_right_amplifier_alone_where_the_boundary_is_zero(tmp_path: Path) -> None:
    """AMPX 0 in a row of four amplifiers: all columns are the right one's."""
    found = select_ccd(table(tmp_path, {**WFC_ROW, "AMPX": 0}), WFC, 1)
    assert found.readout(NX, -5).names == ("B",)


def test_overscan_of_two_amplifiers(tmp_path: Path) -> None:
    """Left: section A and columns up to AMPX + TRIMX1; right: section B and the rest."""
    ccd = select_ccd(table(tmp_path, WFC_ROW), WFC, 1)
    osc = table(tmp_path, {**OSCN_ROW, "CCDAMP": "ABCD"})
    found = select_overscan(osc, ccd, ccd.readout(NX, 9), (NY, NX))
    assert found
    left, right = found.amplifiers
    assert (left.bias_sections, left.region) == (((2, 8),), Region(0, 32, 9, 29))
    assert (right.bias_sections, right.region) == (((53, 59),), Region(0, 32, 29, 53))
    assert left.virtual_x == right.virtual_x == (12, 49)


@pytest.mark.parametrize("ccdamp", ["", "E", "BA", "AA", "C D"])
def test_unknown_amplifiers_are_refused(tmp_path: Path, ccdamp: str) -> None:
    """CCDAMP is some of A B C D, in order."""
    with pytest.raises(DataError, match="not a set of amplifiers"):
        select_ccd(table(tmp_path, WFC_ROW), {**WFC, "CCDAMP": ccdamp}, 1)


def test_amplifiers_of_the_other_chip_are_refused(tmp_path: Path) -> None:
    """C cannot read chip 1, and there is no chip 3."""
    with pytest.raises(DataError, match="no amplifier of CCDAMP C reads chip 1"):
        select_ccd(table(tmp_path, WFC_ROW), {**WFC, "CCDAMP": "C"}, 1)
    with pytest.raises(DataError, match="reads chip 3"):
        select_ccd(table(tmp_path, WFC_ROW), WFC, 3)


def test_hrc_of_several_amplifiers_is_refused(tmp_path: Path) -> None:
    """Its quadrants share columns, which steps by columns cannot tell apart."""
    with pytest.raises(UnsupportedMode, match="several amplifiers"):
        select_ccd(table(tmp_path, CCD_ROW), {**PRIMARY, "CCDAMP": "ABCD"}, 1)


def test_unusable_gain_names_the_table(tmp_path: Path) -> None:
    """Which amplifier, which file."""
    bad = {**WFC_ROW, "ATODGND": 0.0}
    with pytest.raises(DataError, match=r"gain of amplifier D .* CCDTAB \(file .*table.fits"):
        select_ccd(table(tmp_path, bad), WFC, 1)


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
