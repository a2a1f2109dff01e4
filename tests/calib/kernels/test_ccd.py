"""Fused loops give the same bits as the steps one after the other."""

from __future__ import annotations

import numpy as np
from factories import images
from hypothesis import given
from hypothesis import strategies as st

from calib.compiled import new_planes, planes
from calib.image import Image
from calib.kernels.ccd import bias_to_electrons, dark_to_flat, level_to_error
from calib.steps.bias import subtract_bias
from calib.steps.bias_level import BiasLevel, levels_and_drifts, subtract_bias_level
from calib.steps.dark import mean_of, subtract_dark
from calib.steps.flat import divide_flat
from calib.steps.full_well import flag_full_well
from calib.steps.gain import to_electrons
from calib.steps.noise import initialise_error
from calib.steps.section import Region, trim_overscan

FACTORS = st.floats(0.125, 1000, width=32)


def same_bits(made: Image, wanted: Image) -> bool:
    """Whether all three arrays are equal, NaN where NaN."""
    return all(
        np.array_equal(getattr(made, name), getattr(wanted, name), equal_nan=name != "dq")
        for name in ("sci", "err", "dq")
    )


@given(image=images(), bias=images(), gain=FACTORS)
def test_bias_to_electrons(image: Image, bias: Image, gain: float) -> None:
    """Bias and gain in one pass."""
    out = new_planes(image.shape)
    bias_to_electrons(planes(image), planes(bias), gain, out)
    assert same_bits(Image(*out), to_electrons(subtract_bias(image, bias), gain))


@given(
    image=images(),
    limit=images(),
    noise=FACTORS,
    numbers=st.tuples(*[st.floats(-100, 100)] * 5),
)
def test_level_to_error(
    image: Image, limit: Image, noise: float, numbers: tuple[float, float, float, float, float]
) -> None:
    """Bias level, full well, error and trimming in one pass."""
    level, region = BiasLevel(*numbers), Region(1, 4, 1, 3)
    out = new_planes((3, 2))
    lines = levels_and_drifts(level, region)
    level_to_error(planes(image), *lines, planes(limit), noise, np.array([1, 1]), out)
    stepwise = flag_full_well(subtract_bias_level(image, level, region), limit, region)
    stepwise = trim_overscan(initialise_error(stepwise, noise), (1, 2), (1, 0))
    assert same_bits(Image(*out), stepwise)


@given(image=images(), dark=images(), flat=images(), seconds=FACTORS)
def test_dark_to_flat(image: Image, dark: Image, flat: Image, seconds: float) -> None:
    """Dark and flat in one pass, and the same mean of the dark."""
    out, sums = new_planes(image.shape), np.zeros(2)
    dark_to_flat(planes(image), planes(dark), seconds, planes(flat), 31743, out, sums)
    subtracted, mean = subtract_dark(image, dark, seconds, 31743)
    assert same_bits(Image(*out), divide_flat(subtracted, flat))
    assert mean_of(sums) == mean
