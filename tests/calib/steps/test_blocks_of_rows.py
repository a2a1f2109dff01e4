"""Steps that treat each row by itself give the same bits on any block of rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from factories import images
from hypothesis import given, settings
from hypothesis import strategies as st

from calib.image import Image
from calib.steps.exposure_sum import sum_exposures
from calib.steps.linearity import scale_counts
from calib.steps.low_order_flat import divide_empty_flat
from calib.steps.occulting_spots import multiply_flat
from calib.steps.photon_noise import initialise_error_of_counts
from calib.steps.shading import correct_shading

STEPS: dict[str, Callable[[Image, Image], Image]] = {
    "scale": lambda image, _: scale_counts(image, 1.0004),
    "error": lambda image, _: initialise_error_of_counts(image),
    "shading": lambda image, other: correct_shading(image, other, 33.0),
    "low-order flat": lambda image, _: divide_empty_flat(image),
    "spots": multiply_flat,
    "sum": lambda image, other: sum_exposures([image, other]),
}


@pytest.mark.parametrize("name", STEPS)
@settings(max_examples=15)
@given(image=images((5, 3)), other=images((5, 3)), size=st.integers(1, 5))
def test_any_block_of_rows_gives_the_bits_of_the_whole(
    name: str, image: Image, other: Image, size: int
) -> None:
    """Blocks of 1 to 5 rows, joined, are what the whole image gives; inputs are read-only."""
    step = STEPS[name]
    whole = step(image, other)
    parts = [
        step(_rows(image, start, size), _rows(other, start, size)) for start in range(0, 5, size)
    ]
    for plane in ("sci", "err", "dq"):
        joined = np.concatenate([getattr(part, plane) for part in parts])
        assert np.array_equal(joined, getattr(whole, plane), equal_nan=plane != "dq")


def _rows(image: Image, start: int, size: int) -> Image:
    part = slice(start, start + size)
    return Image(image.sci[part], image.err[part], image.dq[part], unit=image.unit)
