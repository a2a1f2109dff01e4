"""PHOTMODE and the interpolation of photometry tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.errors import MissingReference
from calib.steps.photometry import (
    PhotometryRow,
    find_row,
    interpolate,
    name_photmode,
    parse_photmode,
    same_mode,
)

DATE = PhotometryRow("acs,hrc,f555w,mjd#", ("MJD#",), ((100.0, 200.0, 400.0),), (1.0, 2.0, 4.0))
RAMP = PhotometryRow(
    "acs,hrc,fr459m#,mjd#",
    ("FR459M#", "MJD#"),
    ((10.0, 20.0), (0.0, 1.0)),
    (1.0, 2.0, 11.0, 12.0),  # fr459m runs fastest
)


@pytest.mark.parametrize(
    ("obstype", "filters", "ramp", "photmode"),
    [
        ("IMAGING", ["F555W", "CLEAR2S"], 0.0, "ACS HRC F555W MJD#52377.7615"),
        ("IMAGING", ["CLEAR1S", "F330W"], 0.0, "ACS HRC F330W MJD#52377.7615"),
        ("CORONAGRAPHIC", ["F606W", "N/A"], 0.0, "ACS HRC CORON F606W MJD#52377.7615"),
        ("IMAGING", ["F606W", "POL0UV"], 0.0, "ACS HRC F606W POL_UV MJD#52377.7615"),
        ("IMAGING", ["F606W", "POL60V"], 0.0, "ACS HRC F606W POL_V MJD#52377.7615"),
        ("IMAGING", ["CLEAR1S", "FR459M"], 4590.0, "ACS HRC FR459M#4590 MJD#52377.7615"),
    ],
)
def test_photmode(obstype: str, filters: list[str], ramp: float, photmode: str) -> None:
    """Detector, coronagraph, filters that are not clear, date; ramps with their wavelength."""
    assert name_photmode("HRC", obstype, filters, ramp, 52377.76152356) == photmode


def test_parse_photmode() -> None:
    """Values go, their # stays."""
    mode, values = parse_photmode("ACS HRC FR459M#4590 MJD#52377.7615")
    assert mode == "acs,hrc,fr459m#,mjd#"
    assert values == {"fr459m#": 4590.0, "mjd#": 52377.7615}


def test_modes_compare_in_any_order_and_case() -> None:
    """Equal length, and every word of the row somewhere in the mode."""
    assert same_mode("ACS,F555W,hrc,mjd#", "acs,hrc,f555w,mjd#")
    assert not same_mode("acs,hrc,f606w,mjd#", "acs,hrc,f555w,mjd#")
    assert not same_mode("acs,hrc,f555w", "acs,hrc,f555w,mjd#")


def test_no_row_is_said_with_the_mode() -> None:
    """The message names the mode that is missing."""
    with pytest.raises(MissingReference, match="acs,hrc,f625w,mjd#"):
        find_row([DATE], "acs,hrc,f625w,mjd#")


@pytest.mark.parametrize(("date", "value"), [(100, 1), (150, 1.5), (200, 2), (300, 3), (400, 4)])
def test_interpolation_over_dates(date: float, value: float) -> None:
    """Linear between points, exact at points."""
    assert interpolate(DATE, {"mjd#": date}, extrapolate=False) == value


@pytest.mark.parametrize(("date", "value"), [(50, 0.5), (500, 5.0)])
def test_dates_are_extrapolated_only_with_leave(date: float, value: float) -> None:
    """Outside the grid: along the last segment with EXTRAP, else nothing."""
    assert interpolate(DATE, {"mjd#": date}, extrapolate=True) == value
    assert interpolate(DATE, {"mjd#": date}, extrapolate=False) is None


def test_wavelengths_are_never_extrapolated() -> None:
    """EXTRAP is for dates."""
    assert interpolate(RAMP, {"fr459m#": 30.0, "mjd#": 0.5}, extrapolate=True) is None


def test_two_parameters_first_one_fastest() -> None:
    """Wavelength 15 at date 0.5: midway between 1.5 and 11.5."""
    assert interpolate(RAMP, {"fr459m#": 15.0, "mjd#": 0.5}, extrapolate=False) == 6.5


def test_scalar_row_needs_no_parameter() -> None:
    """A row without parameters is its one number, a grid of one point its value."""
    assert interpolate(PhotometryRow("m", (), (), (3.0,)), {}, extrapolate=False) == 3.0
    one = PhotometryRow("m", ("MJD#",), ((5.0,),), (3.0,))
    assert interpolate(one, {"mjd#": 5.0}, extrapolate=False) == 3.0


def test_missing_parameter_is_said() -> None:
    """A row that wants a wavelength cannot serve a mode without one."""
    with pytest.raises(MissingReference, match="lacks"):
        interpolate(RAMP, {"mjd#": 0.5}, extrapolate=True)


@given(st.floats(100, 400))
def test_interpolation_stays_between_its_neighbours(date: float) -> None:
    """No overshoot."""
    found = interpolate(DATE, {"mjd#": date}, extrapolate=False)
    assert found == pytest.approx(date / 100)
