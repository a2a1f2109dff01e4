"""From pixel values to grey levels."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calib.preview.limits import Limits
from calib.preview.stretch import stretch_asinh


def test_numbers_of_the_stretch() -> None:
    """255 asinh(10 x) / asinh(10), asinh(10) = 2.99822: x = 0.1 gives 75, 0.5 gives 197."""
    data = np.array([[-5, 0, 1, 5, 10, 99]], np.float32)
    assert stretch_asinh(data, Limits(0, 10)).tolist() == [[0, 0, 75, 197, 255, 255]]


def test_nan_is_black_and_infinities_are_the_nearer_limit() -> None:
    """A pixel without a value is not sky."""
    data = np.array([[np.nan, np.inf, -np.inf, 3e38]], np.float32)
    assert stretch_asinh(data, Limits(-3e38, 1)).tolist() == [[0, 255, 0, 255]]


def test_input_is_not_changed() -> None:
    """The same pixels are painted twice, at two sizes."""
    data = np.array([[1, np.nan]], np.float32)
    data.flags.writeable = False
    stretch_asinh(data, Limits(0, 2))


@given(
    hnp.arrays(np.float32, (4, 5), elements=st.floats(width=32)),
    st.floats(-1e30, 1e30),
    st.floats(0, 1e30),
)
def test_brighter_never_gets_darker(data: np.ndarray, low: float, span: float) -> None:
    """The mapping keeps the order of any two pixels that have a value."""
    grey = stretch_asinh(data, Limits(low, low + span)).ravel()
    values = data.ravel()
    order = np.argsort(values[~np.isnan(values)], kind="stable")
    assert (np.diff(grey[~np.isnan(values)][order].astype(int)) >= 0).all()
