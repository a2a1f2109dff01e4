"""Units of HST headers: known in their own spelling, and written back in it."""

from __future__ import annotations

import pytest
from astropy import units as u

from calib.fitsfile.units import unit_of, unit_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ELECTRONS", u.electron),
        ("ELECTRONS/S", u.electron / u.s),
        ("COUNTS", u.ct),
        ("Counts/s", u.ct / u.s),
        ("count /s", u.ct / u.s),
        ("UNITLESS", u.dimensionless_unscaled),
        ("", u.dimensionless_unscaled),
        (None, u.dimensionless_unscaled),
        ("Angstroms", u.AA),
        ("erg/s/cm**2/angstrom/arcsec**2", u.erg / u.s / u.cm**2 / u.AA / u.arcsec**2),
        ("e/cm**2", u.Unit("e/cm**2", parse_strict="silent")),
    ],
)
def test_units_of_headers_are_known(text: str | None, expected: u.UnitBase) -> None:
    """Whatever its case and number; a blank or absent one is a pure number."""
    assert unit_of(text) == expected


@pytest.mark.parametrize(
    ("unit", "before", "expected"),
    [
        (u.electron / u.s, "ELECTRONS/S", "ELECTRONS/S"),
        (u.electron / u.s, "ELECTRONS", "ELECTRONS/S"),
        (u.ct, None, "COUNTS"),
        (u.ct / u.s, "count /s", "count /s"),
        (u.dimensionless_unscaled, None, "UNITLESS"),
        (u.Jy, None, "Jy"),
    ],
)
def test_spelling_of_the_file_stays(unit: u.UnitBase, before: str | None, expected: str) -> None:
    """A unit that did not change keeps its text, another gets the name that HST gives it."""
    assert unit_text(unit, before) == expected
    assert unit_of(unit_text(unit, before)) == unit
