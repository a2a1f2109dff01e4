"""Cosmic rays in the exposures of a split, in DN."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from factories import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from calib.errors import DataError
from calib.image import Image
from calib.steps.cosmic_rays import Rejection
from calib.steps.split_rejection import CountNoise, measure_sky, reject_split, spread

NOISE = CountNoise(gain=2.0, read_noise=4.0)
REJECTION = Rejection((5.0, 4.0), 1.5, 0.8, 0.0, bad=4, first_guess="min", sky="none")
SHAPE = (7, 9)


def exposures(*levels: float, dq: int = 0) -> list[Image]:
    """Return images with one value each."""
    return [frozen(np.full(SHAPE, level), 1, dq, "COUNTS") for level in levels]


def with_pixel(image: Image, value: float, flag: int = 0) -> Image:
    """Return an image with another value in the middle."""
    sci, dq = image.sci.copy(), image.dq.copy()
    sci[3, 4], dq[3, 4] = value, flag
    return dataclasses.replace(image, sci=sci, dq=dq)


def test_sum_of_clean_exposures_has_the_noise_of_both() -> None:
    """100 + 200 DN in 10 + 20 s: 300, variance 2 (4/2)² + 300/2 = 158; nothing is rejected."""
    made = reject_split(exposures(100, 200), [10, 20], NOISE, REJECTION)
    assert np.allclose(made.image.sci, 300)
    assert np.allclose(made.image.err, np.sqrt(158))
    assert (made.rejected, made.seconds, made.image.dq.any()) == (0, 30, False)


def test_cosmic_ray_is_left_out_and_marked_in_its_exposure_alone() -> None:
    """Left is 100 DN in 10 s: 300 in 30 s, error sqrt(4 + 50) * 3; neighbours agree and stay."""
    images = exposures(100, 200)
    images[1] = with_pixel(images[1], 900.0)
    made = reject_split(images, [10, 20], NOISE, REJECTION)
    assert made.image.sci[3, 4] == pytest.approx(300)
    assert made.image.err[3, 4] == pytest.approx(np.sqrt(54) * 3)
    assert made.rejected == 1
    assert [int(flags[3, 4]) for flags in made.flags] == [0, 8192]
    assert made.image.dq[3, 4] == 0


def test_limit_is_that_of_the_average_not_of_the_pixel() -> None:
    """At 100 DN sigma is sqrt(4 + 50) = 7.35: 5 sigma is 36.7, so 136 stays and 137 goes.

    The pixel's own error, sqrt(4 + 68.5) = 8.5, would let 140 pass.
    """
    once = dataclasses.replace(REJECTION, sigmas=(5.0,))
    for value, rejected in ((136.0, 0), (137.0, 1)):
        images = exposures(100, 100, 100)
        images[0] = with_pixel(images[0], value)
        assert reject_split(images, [10] * 3, NOISE, once).rejected == rejected


def test_faint_neighbour_of_a_hit_has_a_lower_limit() -> None:
    """0.8 of 4 sigma is 23.5 above 100: 130 beside a hit goes, 120 stays."""
    for value, rejected in ((130.0, 2), (120.0, 1)):
        images = exposures(100, 100, 100)
        sci = images[0].sci.copy()
        sci[3, 4], sci[3, 5] = 900.0, value
        images[0] = dataclasses.replace(images[0], sci=sci)
        made = reject_split(images, [10] * 3, NOISE, REJECTION)
        assert made.rejected == rejected


def test_flagged_pixels_are_not_used() -> None:
    """A pixel with flag 4 in one exposure is taken from the other; its flag is in the product."""
    images = exposures(100, 200)
    images[1] = with_pixel(images[1], 200.0, flag=4)
    made = reject_split(images, [10, 20], NOISE, dataclasses.replace(REJECTION, first_guess="med"))
    assert made.image.err[3, 4] == pytest.approx(np.sqrt(54) * 3)
    assert made.image.dq[3, 4] == 4


def test_nothing_left_is_the_sky_with_no_error() -> None:
    """A pixel that is flagged everywhere becomes the sum of the skies."""
    images = [with_pixel(image, 50.0, flag=4) for image in exposures(100, 100)]
    sky = dataclasses.replace(REJECTION, sky="mode")
    made = reject_split(images, [10, 10], NOISE, sky)
    assert made.image.sci[3, 4] == pytest.approx(made.sky)
    assert made.image.err[3, 4] == 0


def test_sky_is_the_mode_in_bins_of_one_count() -> None:
    """Most values are in the bin from 20 to 21: with empty neighbours the middle, 20.5."""
    values = np.array([20.2] * 6 + [35.0] + [4.0] * 2)
    assert measure_sky(frozen(values.reshape(3, 3))) == pytest.approx(20.5)


def test_sky_without_a_good_pixel_is_refused() -> None:
    """All are flagged."""
    with pytest.raises(DataError, match="no good pixel"):
        measure_sky(frozen(np.ones((2, 2)), dq=1))


def test_sky_is_taken_off_and_put_back() -> None:
    """Two clean exposures with sky make the same sum with and without measuring it."""
    sky = dataclasses.replace(REJECTION, sky="mode")
    made = reject_split(exposures(100, 205), [10, 20], NOISE, sky)
    assert np.allclose(made.image.sci, 305, rtol=1e-6)
    assert made.skies == pytest.approx((100.5, 205.5))


@pytest.mark.parametrize(("radius", "count"), [(0.0, 1), (1.0, 5), (1.5, 9), (2.0, 13)])
def test_hits_reach_as_far_as_the_radius(radius: float, count: int) -> None:
    """1, 5, 9 and 13 pixels lie within 0, 1, 1.5 and 2 of one."""
    hits = np.zeros(SHAPE, np.bool_)
    hits[3, 4] = True
    assert spread(hits, radius).sum() == count


@pytest.mark.parametrize("seconds", [(10.0,), (10.0, 0.0), (10.0, -1.0), (10.0, float("nan"))])
def test_unusable_times_are_refused(seconds: tuple[float, ...]) -> None:
    """One exposure is nothing to compare with."""
    with pytest.raises(DataError, match=r"EXPTIME|too few"):
        reject_split(exposures(*[100.0] * len(seconds)), seconds, NOISE, REJECTION)


def test_exposures_of_different_size_are_refused() -> None:
    """They cannot be compared."""
    images = [*exposures(1.0), frozen(np.ones((2, 2)))]
    with pytest.raises(DataError, match="differ in size"):
        reject_split(images, [1, 1], NOISE, REJECTION)


@settings(max_examples=20)
@given(scale=st.sampled_from((0.5, 2.0, 4.0)), seed=st.integers(0, 20))
def test_time_does_not_matter_to_what_is_rejected(scale: float, seed: int) -> None:
    """Seconds in another unit change no pixel of the sum."""
    rng = np.random.default_rng(seed)
    images = [frozen(rng.normal(100, 10, SHAPE) + (rng.random(SHAPE) > 0.9) * 500) for _ in "ab"]
    one, other = (reject_split(images, [10 * s, 20 * s], NOISE, REJECTION) for s in (1.0, scale))
    assert np.array_equal(one.image.dq, other.image.dq)
    assert np.allclose(one.image.sci, other.image.sci, rtol=1e-5)
    assert one.rejected == other.rejected
