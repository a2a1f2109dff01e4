"""Steps of STIS images in DN: samples, noise, dark, virtual overscan, aperture."""

from __future__ import annotations

import math

import numpy as np
import pytest
from factories import NUMBERS, arrays, frozen
from hypothesis import given

from calib.errors import DataError
from calib.steps.analog_to_digital import correct_samples, flag_saturated
from calib.steps.aperture import Aperture, find_lit_region, flag_beyond
from calib.steps.count_noise import initialise_error_of_dn
from calib.steps.dark_scale import housing_factor, median_unflagged
from calib.steps.high_values import replace_high_values
from calib.steps.section import PixelMapping, Region

PLAIN = PixelMapping((0.0, 0.0))
SCALE = 0.05  # arcsec per pixel: 28 arcsec are 560 pixels, 50 arcsec 1000


def test_samples_above_the_limit_are_saturated() -> None:
    """The limit itself is not, nor a fraction above it: 100.9 counts as 100."""
    made = flag_saturated(frozen([[100.0, 100.9, 101.0, np.nan]], dq=4), 100.0)
    assert made.dq.tolist() == [[4, 4, 260, 4]]


def test_samples_are_looked_up() -> None:
    """Sample n becomes value n; beyond the end the last value with flag 256; below 0 nothing."""
    image = frozen([[0.0, 2.0, 3.0, 9.0, -4.0, np.nan]])
    made = correct_samples(image, np.array([0.5, 1.5, 2.5], np.float32))
    assert made.sci[0, :5].tolist() == [0.5, 2.5, 2.5, 2.5, -4]
    assert np.isnan(made.sci[0, 5])
    assert made.dq.tolist() == [[0, 0, 256, 256, 0, 0]]


def test_empty_table_of_samples_is_refused() -> None:
    """There is nothing to look up."""
    with pytest.raises(DataError, match="no values"):
        correct_samples(frozen([[1.0]]), np.empty(0, np.float32))


def test_error_is_that_of_electrons_in_counts() -> None:
    """(36 - 4) DN at 2 electrons and 6 of read noise: sqrt(64 + 36) / 2 = 5; below bias 6 / 2."""
    made = initialise_error_of_dn(frozen([[36.0, 4.0, -90.0, np.nan]]), 4.0, 2.0, 6.0)
    assert made.err.tolist() == [[5, 3, 3, 3]]


@given(sci=arrays(NUMBERS, np.float32))
def test_error_is_never_below_the_read_noise(sci: np.ndarray) -> None:
    """A negative signal has no negative variance."""
    made = initialise_error_of_dn(frozen(sci), 0.0, 4.0, 8.0)
    assert (made.err >= np.float32(2)).all()


def test_dark_grows_with_the_temperature_of_the_housing() -> None:
    """7 % per degree above 18; a temperature of 0 and less says nothing."""
    assert housing_factor(20.0) == pytest.approx(1.14)
    assert housing_factor(19.0, 20.0, 0.1) == pytest.approx(0.9)
    assert housing_factor(-1.0) == 1
    assert housing_factor(0.0) == 1


def test_mean_dark_is_the_median_of_what_has_no_flag() -> None:
    """Of 1, 2, 6 and a flagged 100 the median is 2, times 3; 0 where all are flagged."""
    assert median_unflagged(frozen([[1.0, 2.0, 6.0, 100.0]], dq=[[0, 0, 0, 16]]), 3.0) == 6
    assert median_unflagged(frozen([[1.0]], dq=16), 3.0) == 0


def test_hot_column_of_the_virtual_overscan_is_replaced() -> None:
    """A column of 900 above 5 +- 1 becomes the median of 21 values around it; below it stays."""
    sci = np.full((6, 60), 5.0) + np.where(np.arange(60) % 2, 1.0, -1.0)
    sci[:, 30] = 900.0
    made = replace_high_values(frozen(sci), Region(2, 6, 0, 60), 50.0)
    assert set(made.sci[2:, 30].tolist()) == {6.0}  # the 11th of ten 4, ten 6 and one 900
    assert (made.sci[:2] == sci[:2]).all()
    changed = made.sci != sci.astype(np.float32)
    assert changed.sum() == 4


def test_clip_is_in_units_of_the_scatter() -> None:
    """Median 5, sigma 1: 5 + 50 stays with a clip of 51, and goes with one of 49."""
    sci = np.full((2, 50), 5.0) + np.where(np.arange(50) % 2, 1.0, -1.0)
    sci[0, 7] = 55.0
    kept = replace_high_values(frozen(sci), Region(0, 2, 0, 50), 51.0)
    gone = replace_high_values(frozen(sci), Region(0, 2, 0, 50), 49.0)
    assert kept.sci[0, 7] == 55
    assert gone.sci[0, 7] == 4  # columns 0 to 20: eleven of 4, nine of 6 and 55


def test_region_without_any_number_stays() -> None:
    """NaN everywhere has no median."""
    image = frozen(np.full((2, 30), math.nan))
    assert np.isnan(replace_high_values(image, Region(0, 2, 0, 30), 50.0).sci).all()


def test_rows_beyond_a_long_pass_filter_are_flagged() -> None:
    """28 arcsec are 560 rows around 512, and 10 more: 222 to 802; nothing in the overscan."""
    mapping = PixelMapping((19.0, 20.0))
    lit = find_lit_region(Aperture(28.0, 50.0, SCALE, SCALE), mapping)
    assert lit == Region(242, 823, 21, 1042)
    made = flag_beyond(frozen(np.zeros((1044, 1062))), lit, mapping, sides=True)
    flagged = made.dq == 4
    assert not flagged[:20].any()
    assert flagged[20:242, 19:1043].all()
    assert not flagged[:, :19].any()
    assert not flagged[:, 1043:].any()
    assert flagged[242:823, 19:21].all()
    assert not flagged[242:823, 21:1042].any()
    assert flagged[823:1044, 19:1043].all()


def test_sides_of_spectra_are_not_flagged() -> None:
    """A spectrum reaches beyond its slit."""
    lit = Region(2, 4, 3, 5)
    made = flag_beyond(frozen(np.zeros((6, 8))), lit, PLAIN, sides=False)
    assert (made.dq == 4).any(axis=1).tolist() == [True, True, False, False, True, True]


@pytest.mark.parametrize("lit", [Region(8, 9, 0, 8), Region(-4, 0, 0, 8), Region(0, 6, 9, 12)])
def test_subarray_beside_the_aperture_is_not_flagged(lit: Region) -> None:
    """Where the two do not touch, the header is not believed."""
    assert not flag_beyond(frozen(np.zeros((6, 8))), lit, PLAIN, sides=True).dq.any()


@pytest.mark.parametrize(("height", "dark"), [(0.2, False), (28.0, True), (50.0, False)])
def test_slits_and_open_apertures_leave_nothing_dark(height: float, dark: bool) -> None:
    """Only heights of 5 to 45 arcsec do, as in the program."""
    assert Aperture(height, 50.0, SCALE, SCALE).leaves_dark is dark
