"""First guess: smallest or middle rate of each pixel."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from factories import frozen

from calib.compiled import planes
from calib.image import Float
from calib.steps.count_rates import CountRates
from calib.steps.first_guess import take_median, take_minimum

BAD = 39


def stack(
    rates: Sequence[float], flags: Sequence[int], times: Sequence[float] = ()
) -> list[CountRates]:
    """Return exposures of one pixel, of 2 s if nothing else is said, over a sky of 10 e-."""
    seconds = times or [2.0] * len(rates)
    images = [
        frozen([[rate * time + 10]], 0, dq)
        for rate, dq, time in zip(rates, flags, seconds, strict=True)
    ]
    scales = [np.array([10, time], np.float32) for time in seconds]
    return [CountRates(planes(i), scale) for i, scale in zip(images, scales, strict=True)]


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


@pytest.mark.parametrize(
    ("guess", "times", "wanted"),
    [
        (take_minimum, (0, 2, 2), 0),  # as if flagged
        (take_minimum, (2, 2, 0), 0),
        (take_median, (0, 2, 2), 3.5),
        (take_median, (2, 2, 0), 4),
    ],
)
def test_exposure_of_0_seconds(
    guess: Callable[[Sequence[CountRates], int], Float], times: Sequence[float], wanted: float
) -> None:
    """It has no rates: the minimum sees 0, a trap, and the median does not see it."""
    assert guess(stack((5, 3, 4), (0, 0, 0), times), BAD).item() == wanted


@pytest.mark.parametrize("guess", [take_minimum, take_median])
def test_blocks_have_the_bits_of_the_whole(
    guess: Callable[[Sequence[CountRates], int], Float],
) -> None:
    """Five rows at once, or three and two."""
    rng = np.random.default_rng(4)
    scale = np.array([10, 3], np.float32)
    images = [frozen(rng.normal(30, 9, (5, 4)), 0, rng.choice([0, 0, 1], (5, 4))) for _ in "123"]
    whole = [CountRates(planes(image), scale) for image in images]
    parts = [guess([rates.rows(*rows) for rates in whole], BAD) for rows in ((0, 3), (3, 9))]
    assert np.array_equal(guess(whole, BAD), np.concatenate(parts))
