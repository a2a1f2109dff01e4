"""Rules that every step keeps, checked on any image."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from factories import frozen, images
from hypothesis import given
from hypothesis import strategies as st

from calib.image import Image
from calib.steps.bad_pixels import BadRun, flag_bad_pixels, flag_saturated_samples, place_runs
from calib.steps.bias import subtract_bias
from calib.steps.bias_level import BiasLevel, subtract_bias_levels, subtract_default_level
from calib.steps.dark import subtract_dark
from calib.steps.flash import subtract_flash
from calib.steps.flat import divide_flat
from calib.steps.full_well import flag_full_well
from calib.steps.gain import to_electrons
from calib.steps.noise import initialise_error
from calib.steps.section import Region

Pair = Callable[[Image, Image], Image]

SHAPE = (4, 5)
ALL = Region(0, 4, 0, 5)
RUNS = place_runs([BadRun(1, 1, 2, 1, 4)], (0.0, 0.0))
LEVEL = BiasLevel(ALL, slope=0.01, intercept=3.0, middle_row=2, drift=0.001, zero_column=1.0)
GAIN, NOISE, DEFAULT = (np.linspace(low, low + 1, 5, dtype=np.float32) for low in (2, 3, 7))

WITH_REFERENCE: dict[str, Pair] = {
    "bias": subtract_bias,
    "dark": lambda image, other: subtract_dark(image, other, 12.5, 31743).image,
    "flash": lambda image, other: subtract_flash(image, other, 1.5, 31743).image,
    "flat": divide_flat,
    "full well": lambda image, other: flag_full_well(image, other.sci, ALL),
}
ALONE: dict[str, Pair] = {
    "gain": lambda image, _: to_electrons(image, GAIN),
    "bias level": lambda image, _: subtract_bias_levels(image, (LEVEL,)),
    "default level": lambda image, _: subtract_default_level(image, DEFAULT),
    "saturated": lambda image, _: flag_saturated_samples(image, 65534),
    "bad pixels": lambda image, _: flag_bad_pixels(image, RUNS),
    "error": lambda image, _: initialise_error(image, NOISE),
}
EVERY = {**WITH_REFERENCE, **ALONE}


@pytest.mark.parametrize("name", EVERY)
@given(image=images(), other=images())
def test_flags_are_never_lost(name: str, image: Image, other: Image) -> None:
    """Every bit of the input is in the output. The arrays are read-only: writing would fail."""
    made = EVERY[name](image, other)
    assert np.array_equal(made.dq & image.dq, image.dq)


@pytest.mark.parametrize("name", ["bias", "dark", "flash", "error"])
@given(image=images(), other=images())
def test_errors_never_shrink(name: str, image: Image, other: Image) -> None:
    """Subtracting something and adding noise can only make errors larger."""
    made = EVERY[name](image, other)
    assert (made.err >= image.err * np.float32(0.999999)).all()


@pytest.mark.parametrize("name", ["bias", "dark", "flash"])
@given(image=images(), other=images())
def test_flags_of_the_reference_are_added(name: str, image: Image, other: Image) -> None:
    """Bad pixels of a reference are bad in the image."""
    assert np.array_equal(EVERY[name](image, other).dq, image.dq | other.dq)


@pytest.mark.parametrize(
    ("name", "value"), [("bias", 0), ("dark", 0), ("flash", 0), ("flat", 1), ("full well", 1e9)]
)
@given(image=images())
def test_identity_reference_does_nothing(name: str, value: float, image: Image) -> None:
    """A bias, dark, flash of 0, a flat of 1 and an endless well leave the image as it is."""
    neutral = frozen(np.full(SHAPE, value))
    made = EVERY[name](image, neutral)
    assert np.array_equal(made.sci, image.sci)
    assert np.allclose(made.err, image.err, rtol=1e-6)
    assert np.array_equal(made.dq, image.dq)


@pytest.mark.parametrize("name", ["gain", "bias level", "bias", "dark", "flash", "flat"])
@given(
    image=images(),
    other=images(),
    factor=st.sampled_from((2.0, 0.5, -4.0)),
)
def test_linear_in_the_signal(name: str, image: Image, other: Image, factor: float) -> None:
    """Any step f has f(k a) - f(0) = k (f(a) - f(0)); powers of two keep all digits."""
    step = EVERY[name]
    other = frozen(np.abs(other.sci) / 100 + 1)
    zero = step(frozen(np.zeros(SHAPE)), other).sci.astype(float)
    once = step(image, other).sci.astype(float) - zero
    scaled = step(frozen(image.sci * np.float32(factor), image.err), other).sci.astype(float) - zero
    size = np.abs(image.sci).max() * 8 + np.abs(zero).max() + 1
    assert np.allclose(scaled, factor * once, atol=size * 1e-5, rtol=0)


@pytest.mark.parametrize("name", [name for name in EVERY if name not in {"saturated", "full well"}])
def test_nan_stays_in_its_pixel(name: str) -> None:
    """A NaN is not spread, hidden or raised."""
    sci = np.ones(SHAPE, np.float32)
    sci[1, 2] = np.nan
    made = EVERY[name](frozen(sci, 1), frozen(np.ones(SHAPE)))
    assert np.isnan(made.sci).sum() == 1
    assert np.isnan(made.sci[1, 2])


def test_nan_is_never_called_saturated() -> None:
    """A NaN is neither above the converter's limit nor above the full well."""
    image = frozen(np.full(SHAPE, np.nan))
    assert not flag_saturated_samples(image, 10).dq.any()
    assert not flag_full_well(image, frozen(np.ones(SHAPE)).sci, ALL).dq.any()


def test_big_endian_and_sliced_arrays_are_taken() -> None:
    """Arrays as FITS files and slices give them are converted at the edge."""
    odd = np.arange(40, dtype=">f4").reshape(4, 10)[:, ::2]
    image = Image(odd, odd, np.zeros(SHAPE, ">i2"))
    assert np.array_equal(to_electrons(image, np.full(5, 2, np.float32)).sci, odd * 2)
