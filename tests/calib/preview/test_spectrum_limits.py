"""How much of a spectrum is shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calib.preview.limits import Limits
from calib.preview.spectrum import Curve
from calib.preview.spectrum_limits import airglow, find_fluxes, find_wavelengths

ALL = Limits(0, 1e5)
MARGIN = 0.08


def curve(flux: Any, *, good: Any = True, start: float = 4000.0, error: Any = 0.0) -> Curve:
    """Return a curve of one Angstrom a pixel."""
    flux = np.asarray(flux, np.float64)
    mask = np.isfinite(flux) & np.broadcast_to(good, flux.shape)
    waves = start + np.arange(flux.size)
    zeros = np.zeros(flux.size, np.int16)
    errors = np.broadcast_to(error, flux.shape).astype(np.float64)
    return Curve("", 0, 1, waves, flux, errors, zeros, mask)


def test_zero_is_shown_and_a_margin() -> None:
    """A spectrum between 2 and 10: from 0 to 10, and 8 % at either end."""
    low, high = find_fluxes([curve(np.linspace(2, 10, 2000))], ALL)
    assert low == pytest.approx(-0.8, rel=0.02)
    assert high == pytest.approx(10.8, rel=0.02)


def test_line_counts_and_a_spike_does_not() -> None:
    """Five pixels are an emission line, one is a cosmic ray."""
    line, spike = np.ones(1000), np.ones(1000)
    line[500:505] = 20
    spike[500] = 20
    assert find_fluxes([curve(line)], ALL).high > 20
    assert find_fluxes([curve(spike)], ALL).high < 1.2


def test_flagged_points_do_not_count_unless_there_is_nothing_else() -> None:
    """A fifth of the spectrum at a hundred times the flux, flagged."""
    flux = np.ones(1000)
    flux[:200] = 100
    good = np.arange(1000) >= 200
    assert find_fluxes([curve(flux, good=good)], ALL).high == pytest.approx(1 + MARGIN)
    assert find_fluxes([curve(flux, good=False)], ALL).high > 100


def test_airglow_does_not_set_the_scale() -> None:
    """Lyman alpha of the atmosphere, 1212 to 1219 Angstrom, is cut off."""
    flux = np.ones(200)
    flux[65:68] = 1e4  # 1215 to 1217
    spectrum = curve(flux, start=1150.0)
    assert find_fluxes([spectrum], ALL).high == pytest.approx(1 + MARGIN)
    only = curve(flux[65:68], start=1215.0)
    assert find_fluxes([only], ALL).high > 1e4


def test_noise_where_the_sensitivity_ends_does_not_set_the_scale() -> None:
    """Errors of 100 and fluxes of 80 mean nothing; a peak of 80 with an error of 8 does."""
    flux, error = np.ones(1000), np.full(1000, 0.1)
    flux[:50], error[:50] = 80, 100
    assert find_fluxes([curve(flux, error=error)], ALL).high == pytest.approx(1 + MARGIN)
    error[:50] = 8
    assert find_fluxes([curve(flux, error=error)], ALL).high > 80


@pytest.mark.parametrize("flux", [[], [0.0], [0.0] * 50, [np.nan] * 9])
def test_nothing_to_scale(flux: list[float]) -> None:
    """From a little below zero to a little above one."""
    assert find_fluxes([curve(flux)], ALL) == pytest.approx((-MARGIN, 1 + MARGIN))
    assert find_fluxes([], ALL) == pytest.approx((-MARGIN, 1 + MARGIN))


@given(
    hnp.arrays(np.float64, st.integers(0, 40), elements=st.floats(-1e30, 1e30)),
    st.booleans(),
)
def test_limits_are_numbers_in_order(flux: Any, good: bool) -> None:
    """Whatever the values, the axis has a length and holds zero."""
    low, high = find_fluxes([curve(flux, good=good)], ALL)
    assert np.isfinite([low, high]).all()
    assert low < 0 < high


def test_wavelengths_are_those_of_good_points() -> None:
    """Grey ends are cut off; a single wavelength and none at all give an axis."""
    flux = np.ones(100)
    good = (np.arange(100) >= 10) & (np.arange(100) < 90)
    assert find_wavelengths([curve(flux, good=good)]) == (4010, 4089)
    assert find_wavelengths([curve(flux, good=False)]) == (4000, 4099)
    assert find_wavelengths([curve(flux), curve(flux, start=9000.0)]) == (4000, 9099)
    assert find_wavelengths([curve([5.0])]) == (3999, 4001)
    assert find_wavelengths([curve([np.nan])]) == (3999, 4001)
    assert find_wavelengths([curve([])]) == (0, 1)


def test_airglow_windows() -> None:
    """Lyman alpha and the oxygen triplet; NaN is in neither."""
    waves = np.array([1211.9, 1215.67, 1299.9, 1302.2, 1306.0, 1308.1, np.nan])
    assert airglow(waves).tolist() == [False, True, False, True, True, False, False]
