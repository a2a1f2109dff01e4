"""Chips above each other, row 0 at the bottom, thumbnails by averaging."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.preview.render import block_mean, fit_within, shrink_factor, stack_chips


def test_row_zero_is_at_the_bottom() -> None:
    """FITS counts rows upwards, pictures downwards."""
    chip = np.array([[1, 2], [3, 4]], np.uint8)
    assert stack_chips([chip]).tolist() == [[3, 4], [1, 2]]


def test_second_chip_stands_above_the_first_with_a_gap() -> None:
    """SCI,2 on top, a black gap of 1 % of the width, SCI,1 below; both upright."""
    first, second = (np.full((3, 200), level, np.uint8) for level in (10, 20))
    first[0], second[0] = 11, 21
    picture = stack_chips([first, second])
    assert picture[:, 0].tolist() == [20, 20, 21, 0, 0, 10, 10, 11]


def test_narrower_chip_is_filled_with_black() -> None:
    """Chips of two widths still make one picture."""
    picture = stack_chips([np.full((1, 3), 5, np.uint8), np.full((1, 2), 7, np.uint8)])
    assert picture.tolist() == [[7, 7, 0], [0, 0, 0], [5, 5, 5]]


def test_block_mean_of_good_pixels_with_partial_blocks() -> None:
    """3 x 3 in blocks of 2: the last row and column are averaged by themselves."""
    data = np.array([[1, 3, 5], [5, 99, 7], [2, 4, np.nan]], np.float32)
    mask = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0]], bool)
    result = block_mean(data, mask, 2)
    assert result[0].tolist() == [3, 6]  # (1+3+5)/3 and (5+7)/2
    assert result[1, 0] == 3  # (2+4)/2
    assert np.isnan(result[1, 1])


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5))
def test_constant_image_stays_constant(ny: int, nx: int, factor: int) -> None:
    """Whatever the shape, no block is weighed wrongly, and none is lost."""
    result = block_mean(np.full((ny, nx), 4, np.float32), np.ones((ny, nx), bool), factor)
    assert result.shape == (-(-ny // factor), -(-nx // factor))
    assert (result == 4).all()


@pytest.mark.parametrize(
    ("shape", "longest", "size", "factor"),
    [
        ((1024, 1024), 128, (128, 128), 8),
        ((1044, 1062), 128, (128, 126), 8),
        ((4137, 4096), 128, (127, 128), 32),
        ((32, 1022), 128, (128, 4), 7),
        ((2, 5000), 128, (128, 1), 39),
        ((100, 60), 128, (60, 100), 1),
        ((1, 1), 128, (1, 1), 1),
        ((500, 300), 1, (1, 1), 500),
    ],
)
def test_size_of_thumbnails(
    shape: tuple[int, int], longest: int, size: tuple[int, int], factor: int
) -> None:
    """Width and height keep their ratio, no side vanishes, small images keep their size."""
    assert fit_within(shape, longest) == size
    assert shrink_factor(shape, longest) == factor
