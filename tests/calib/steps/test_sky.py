"""Sky level: the mode of the unflagged pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from factories import frozen
from hypothesis import given
from hypothesis import strategies as st

from calib.errors import DataError
from calib.steps.sky import (
    Histogram,
    Survey,
    choose_bins,
    count_values,
    find_mode,
    measure_skies,
    survey,
)


def bins_of(*values: float) -> Histogram:
    """Return the histogram for an image of these values."""
    return choose_bins(survey(frozen([values]), 0))


def mode_of(values: Sequence[float], histogram: Histogram) -> float:
    """Return the mode of an image of these values."""
    return find_mode(count_values(frozen([values]), histogram), histogram)


def test_range_of_the_histogram() -> None:
    """From the smallest value, cut to -3, to twice the mean + 1 = 11: 2 * 11 + 3 + 3 + 1 = 29."""
    assert bins_of(-3.9, 10.0, 26.0) == Histogram(1000, -3, 1.0)
    assert bins_of(0, 4000) == Histogram(2 * 2001 + 1, 0, 1.0)
    wide = bins_of(-20000, 100000)  # -15000, mean 40001: 110003 bins of 1
    assert wide == Histogram(10000, -15000, float(np.float32(11.0003)))
    assert bins_of(-5, -7).bins == 1000  # no positive sum: mean 1


def test_mode_is_the_top_of_a_parabola() -> None:
    """4, 10, 6 values in bins 2, 3, 4: d1 = 6, d2 = 4, so 3.5 + 0.5 * 2 / 10 = 3.6."""
    values = np.repeat([2.5, 3.5, 4.5], (4, 10, 6))
    assert mode_of(values, Histogram(1000, 0, 1.0)) == pytest.approx(3.6)
    assert mode_of(values * 2, Histogram(1000, 0, 2.0)) == pytest.approx(7.2)
    assert mode_of(values - 7, Histogram(1000, -7, 1.0)) == pytest.approx(-3.4)


def test_mode_at_an_edge_is_the_middle_of_the_bin() -> None:
    """No neighbour, no parabola; nor where three bins are equal."""
    assert mode_of((0.2, 0.3, 5), Histogram(10, 0, 1.0)) == 0.5
    assert mode_of((9.2, 9.3, 5), Histogram(10, 0, 1.0)) == 9.5
    assert mode_of((-99, 99), Histogram(10, 0, 1.0)) == 0.5
    assert mode_of((3, 4, 5), Histogram(10, 0, 1.0)) == pytest.approx(3.5 + 0.5)


def test_values_outside_do_not_count() -> None:
    """But one just below the start falls into the first bin, as cutting to whole numbers does."""
    assert mode_of((-0.5, -0.9, 3, 99, -1), Histogram(10, 0, 1.0)) == 0.5


@given(level=st.floats(5, 500), seed=st.integers(0, 5))
def test_sky_is_found_whatever_the_stars(level: float, seed: int) -> None:
    """Within 3 e- of the level for noise of 5 e-, stars and flagged and NaN pixels or not."""
    rng = np.random.default_rng(seed)
    sci = rng.normal(level, 5, (100, 100))
    sci[:10, :10] += rng.uniform(100, 1e4, (10, 10))
    dq = np.zeros(sci.shape, np.int16)
    dq[50:60], sci[50:60], sci[70] = 16, 0, np.nan
    plain = frozen(rng.normal(level, 5, (100, 100)))
    skies = measure_skies([plain, frozen(sci, 0, dq)], 39)
    assert skies == pytest.approx((level, level), abs=3)


def test_no_good_pixel_is_an_error() -> None:
    """In the first image by BADINPDQ, in any image by any flag."""
    good, bad = frozen(np.ones((3, 3))), frozen(np.ones((3, 3)), 0, 16)
    for images, mask in (([bad, good], 16), ([good, bad], 39), ([bad, good], 39)):
        with pytest.raises(DataError, match="no good pixel"):
            measure_skies(images, mask)


def test_running_sum_keeps_32_bits() -> None:
    """After 2**24 adding 1 changes nothing any more."""
    assert survey(frozen([[2**24, *[1.0] * 99]]), 0) == Survey(1.0, 2**24, 100)


def test_flagged_and_nan_pixels_do_not_set_the_range() -> None:
    """Of five values two are left: 3 and 4."""
    image = frozen([[3, -8, np.nan, 4, np.inf]], 0, [[0, 1, 0, 16, 0]])
    assert survey(image, 39) == Survey(3.0, 7.0, 2)


def test_only_pixels_without_any_flag_are_counted() -> None:
    """Two of six, in bins 1 and 2; NaN and values outside are in none."""
    image = frozen([[1.5, 2.5, 2.5, np.nan, 99, -1]], 0, [[0, 0, 16, 0, 0, 0]])
    assert count_values(image, Histogram(4, 0, 1.0)).tolist() == [0, 1, 1, 0]
