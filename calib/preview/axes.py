"""Axes of a plot: round numbers along them, and where values lie in a picture."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from calib.preview.limits import Limits
from calib.preview.spectrum import Values

_ROUND = (1.0, 2.0, 5.0, 10.0)

# Numbers up to four digits are read without a power of ten.
_PLAIN = range(-1, 4)


@dataclass(frozen=True)
class Axis:
    """Values along a side of a picture.

    Attributes
    ----------
    limits
        Values at the first and the last pixel edge.
    first, last
        Pixels of those edges; `last` is the smaller one where values grow upwards.
    """

    limits: Limits
    first: float
    last: float

    def place(self, values: Values) -> Values:
        """Return the pixels of values; NaN stays NaN.

        Values far outside are put within three lengths of the axis: drawing needs no more.
        """
        span = self.limits.high - self.limits.low
        share = np.clip((values - self.limits.low) / span, -3.0, 4.0)
        pixels: Values = self.first + share * (self.last - self.first)
        return pixels


def round_ticks(limits: Limits, wanted: int) -> tuple[float, ...]:
    """Choose round numbers within limits: multiples of 1, 2 or 5 times a power of ten.

    Parameters
    ----------
    limits
        Finite, low below high.
    wanted
        About how many.

    Returns
    -------
    tuple of float
        Rising; empty only where the limits are closer together than numbers are.
    """
    rough = (limits.high - limits.low) / max(wanted, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((factor * power for factor in _ROUND), key=lambda each: abs(each - rough))
    first, last = math.ceil(limits.low / step), math.floor(limits.high / step)
    return tuple(number * step for number in range(first, min(last, first + 10 * wanted) + 1))


def common_power(limits: Limits) -> int:
    """Return the power of ten that the labels of an axis leave out; 0 for handy numbers."""
    largest = max(abs(limits.low), abs(limits.high))
    power = math.floor(math.log10(largest)) if largest > 0 else 0
    return 0 if power in _PLAIN else power


def tick_labels(ticks: tuple[float, ...], power: int = 0) -> tuple[str, ...]:
    """Write numbers with as many decimals as tell them apart, divided by ``10**power``."""
    scaled = [tick / 10.0**power for tick in ticks]
    step = min((b - a for a, b in itertools.pairwise(scaled)), default=1.0)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
    texts = [f"{value:.{decimals}f}" for value in scaled]
    return tuple(text.lstrip("-") if float(text) == 0 else text for text in texts)
