"""Shutter shading and low-order flat."""

from __future__ import annotations

import numpy as np
import pytest
from factories import frozen

from calib.steps.low_order_flat import divide_empty_flat
from calib.steps.shading import correct_shading


def test_longer_open_pixels_are_scaled_down() -> None:
    """25 % longer open: 100 becomes 80; errors 4 and 0.01 * 100 / 1.25 / 1.25 are joined."""
    made = correct_shading(frozen([[100.0]], 5.0, 16), frozen([[2.5]], 0.1, 4), 10.0)
    assert made.sci[0, 0] == 80
    assert made.err[0, 0] == pytest.approx(np.hypot(4, 0.64), rel=2e-7)
    assert made.dq[0, 0] == 16 | 4


def test_no_shading_changes_nothing() -> None:
    """A shading of 0 s divides by 1."""
    image = frozen([[1.1, np.nan, -3.0]], 0.7, 8)
    made = correct_shading(image, frozen([[0.0, 0.0, 0.0]]), 0.5)
    assert np.array_equal(made.sci, image.sci, equal_nan=True)
    assert np.array_equal(made.err[0, ::2], image.err[0, ::2])


def test_shutter_that_never_opens_is_flagged() -> None:
    """A pixel with no time at all stays as it is and gets 512."""
    made = correct_shading(frozen([[7.0]], 2.0), frozen([[-10.0]]), 10.0)
    assert (made.sci[0, 0], made.err[0, 0], made.dq[0, 0]) == (7, 2, 512)


def test_low_order_flat_flags_everything_and_divides_nothing() -> None:
    """A trap: the program divides by a line that it never fills."""
    image = frozen([[1.0, 2.0]], 3.0, [[0, 16]])
    made = divide_empty_flat(image)
    assert made.dq.tolist() == [[512, 512 | 16]]
    assert made.sci is image.sci
    assert made.err is image.err
