"""Linearity of the MAMA: correction of the whole, flags around bright pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from factories import frozen, images
from hypothesis import given, settings
from hypothesis import strategies as st

from calib.errors import DataError
from calib.image import Image
from calib.steps.linearity import (
    LinearityLimits,
    exceeds_global_limit,
    find_true_ratio,
    flag_local,
    scale_counts,
)

LIMITS = LinearityLimits(global_limit=2e5, local_limit=20.0, tau=3e-7, radius=2.0)


@settings(max_examples=25)
@given(true=st.floats(1, 2e5))
def test_true_rate_is_found_again(true: float) -> None:
    """The ratio leads from the observed rate x exp(-tau x) back to x."""
    observed = true * math.exp(-LIMITS.tau * true)
    assert observed * find_true_ratio(observed, LIMITS.tau) == pytest.approx(true, rel=1e-9)


def test_three_newton_steps_and_no_more() -> None:
    """Near 1 / (e tau) three steps are not the end: the program's number is kept."""
    observed = 0.35  # with tau = 1 s; the true rate is 0.71664
    x = observed
    for _ in range(3):
        x += (observed - x * math.exp(-x)) / ((1 - x) * math.exp(-x))
    assert x == pytest.approx(0.71469, abs=1e-5)
    assert find_true_ratio(observed, 1.0) == x / observed


@pytest.mark.parametrize("rate", [0.0, -3.0])
def test_nothing_counted_needs_no_correction(rate: float) -> None:
    """Without a rate the ratio is 1, not 0 / 0."""
    assert find_true_ratio(rate, LIMITS.tau) == 1.0


@pytest.mark.parametrize("rate", [1 / math.e, 2.0, math.inf])
def test_rate_that_no_true_rate_gives_is_refused(rate: float) -> None:
    """Above 1 / (e tau) Newton's steps go anywhere: an error, not a number."""
    with pytest.raises(DataError, match="beyond what the detector can count"):
        find_true_ratio(rate, 1.0)


def test_global_limit_itself_is_allowed() -> None:
    """Only a rate above the limit exceeds it."""
    assert not exceeds_global_limit(2e5, LIMITS)
    assert exceeds_global_limit(200000.1, LIMITS)


@pytest.mark.parametrize("rate", [math.nan, math.inf])
def test_unusable_global_rate_is_refused(rate: float) -> None:
    """GLOBRATE that is NaN or infinite compares as nothing sensible."""
    with pytest.raises(DataError, match="GLOBRATE is not usable"):
        exceeds_global_limit(rate, LIMITS)


@settings(max_examples=25)
@given(image=images())
def test_signal_and_error_are_scaled_alike(image: Image) -> None:
    """SCI and ERR are multiplied in 32 bits, flags stay."""
    made = scale_counts(image, 1.0004)
    assert np.array_equal(made.sci, image.sci * np.float32(1.0004))
    assert np.array_equal(made.err, image.err * np.float32(1.0004))
    assert np.array_equal(made.dq, image.dq)


def test_neighbours_within_the_radius_are_flagged() -> None:
    """One pixel above 20 counts/s in 100 s flags a disc of 13 pixels of radius 2."""
    sci = np.zeros((7, 7))
    sci[3, 3] = 2001
    sci[0, 0] = 2000  # the limit itself
    dq = flag_local(frozen(sci, dq=16), LIMITS, 100.0).dq
    y, x = np.mgrid[-3:4, -3:4]
    assert np.array_equal(dq == 16 | 256, x**2 + y**2 <= 4)
    assert np.array_equal(dq == 16, x**2 + y**2 > 4)


def test_disc_is_cut_at_the_edge() -> None:
    """A bright pixel in a corner flags what lies inside of the image, and does not wrap."""
    sci = np.zeros((4, 5))
    sci[0, 0] = 1e6
    dq = flag_local(frozen(sci), LIMITS, 100.0).dq
    wanted = np.zeros((4, 5), np.int16)
    wanted[0, :3] = wanted[1, :2] = wanted[2, :1] = 256
    assert np.array_equal(dq, wanted)


def test_nan_is_not_flagged_and_zero_radius_flags_one() -> None:
    """NaN exceeds no limit; a radius of 0 flags the pixel alone."""
    limits = LinearityLimits(2e5, 20.0, 3e-7, 0.0)
    dq = flag_local(frozen([[np.nan, 5000.0, 0.0]]), limits, 100.0).dq
    assert dq.tolist() == [[0, 256, 0]]
