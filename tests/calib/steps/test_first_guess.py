"""First guess: smallest or middle rate of each pixel."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from calib.compiled import Stack
from calib.steps.first_guess import take_median, take_minimum

BAD = 39


def stack(rates: Sequence[float], flags: Sequence[int]) -> Stack:
    """Return images of one pixel."""
    sci = np.array(rates, np.float32).reshape(-1, 1, 1)
    return Stack(sci, np.zeros_like(sci), np.array(flags, np.int16).reshape(-1, 1, 1))


@pytest.mark.parametrize(
    ("rates", "flags", "wanted"),
    [
        ((3, 2, 4), (0, 0, 0), 2),
        ((3, 2, 4), (16, 16, 16), 2),  # not in BADINPDQ
        ((3, 2, 4), (0, 1, 0), 0),  # the smallest is flagged: 0
        ((3, 2, 4), (1, 0, 0), 0),  # the first is flagged: 0, and no other is below
        ((3, -2, 4), (1, 0, 0), -2),
        ((3, 2, 4), (0, 0, 1), 2),
        ((3, 2, -1), (0, 1, 0), -1),
        ((np.nan, 2), (0, 0), np.nan),
        ((2, np.nan), (0, 0), 2),
    ],
)
def test_minimum(rates: Sequence[float], flags: Sequence[int], wanted: float) -> None:
    """A flagged value is not passed over: it enters as 0."""
    assert take_minimum(stack(rates, flags), BAD).item() == pytest.approx(wanted, nan_ok=True)


@pytest.mark.parametrize(
    ("rates", "flags", "wanted"),
    [
        ((3, 2, 9), (0, 0, 0), 3),
        ((3, 2, 9, 5), (0, 0, 0, 0), 4),
        ((3, 2, 9), (1, 0, 0), 5.5),
        ((3, 2, 9), (1, 0, 1), 2),
        ((3, 2, 9), (1, 1, 1), 0),
        ((3, np.nan, 9), (0, 0, 0), 6),
    ],
)
def test_median(rates: Sequence[float], flags: Sequence[int], wanted: float) -> None:
    """Of the unflagged ones; the mean of the middle two for an even number."""
    assert take_median(stack(rates, flags), BAD).item() == pytest.approx(wanted)


@pytest.mark.parametrize("guess", [take_minimum, take_median])
def test_input_is_not_changed(guess: Callable[[Stack, int], np.ndarray]) -> None:
    """The arrays that came are the same afterwards."""
    rates = stack((3, 2, 9), (1, 0, 0))
    before = rates.sci.copy()
    guess(rates, BAD)
    assert np.array_equal(rates.sci, before)
