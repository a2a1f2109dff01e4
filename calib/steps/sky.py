"""Sky level of an exposure: the mode of its pixels.

Source: calacs acsrej (sky "mode"). Cosmic-ray rejection compares exposures after
subtracting it; the sum of all levels is added again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from calib.errors import DataError
from calib.image import Float, Image

FLOOR = -15000  # darker pixels do not set the range of the histogram (acsrej)
FEWEST_BINS, MOST_BINS = 1000, 10000  # acsrej; above the latter bins get wider than 1


class Histogram(NamedTuple):
    """Where the bins lie: their number, lower end of the first one, width [electrons]."""

    bins: int
    start: int
    width: float


def measure_skies(images: Sequence[Image], bad: int) -> tuple[float, ...]:
    """Measure the sky of each image: the mode of the pixels without any flag.

    Parameters
    ----------
    images
        In electrons, of one shape. NaN and infinite pixels do not count.
    bad
        Mask of flags (BADINPDQ): pixels of the first image that have one do not set the range.

    Returns
    -------
    tuple of float
        Levels [electrons], 32-bit.

    Raises
    ------
    DataError
        An image has no good pixel.
    """
    first = images[0]
    histogram = choose_bins(_finite(first.sci[(first.dq & bad) == 0]))
    return tuple(find_mode(_finite(image.sci[image.dq == 0]), histogram) for image in images)


def choose_bins(values: Float) -> Histogram:
    """Choose a range from the smallest value to twice the mean minus the smallest value.

    The smallest value is cut to a whole number and not below -15000, the mean is cut
    after adding 1 (at least 1), as the program does.
    """
    start = int(max(values.min(), FLOOR))
    total = running_sum(values)
    mean = int(np.float64(total / np.float32(values.size)) + 1) if total > 0 else 1
    bins = 2 * mean - start - start + 1
    if bins > MOST_BINS:
        return Histogram(MOST_BINS, start, float(np.float32(bins / float(MOST_BINS))))
    return Histogram(max(bins, FEWEST_BINS), start, 1.0)


def running_sum(values: Float) -> float:
    """Return the sum in 32 bits, one value after the other: a trap.

    A running 32-bit sum of a million pixels is off in the fourth digit; it decides where
    the bins end, and so sometimes the mode.
    """
    return float(np.cumsum(values, dtype=np.float32)[-1])


def find_mode(values: Float, histogram: Histogram) -> float:
    """Return the mode: the top of a parabola through the fullest bin and its neighbours.

    The middle of the bin where it is the first or the last one, or where all three are
    equally full. Of several fullest bins the first one counts.
    """
    counts = _count(values, histogram)
    peak = int(counts.argmax())
    place = peak + 0.5
    if 0 < peak < histogram.bins - 1:
        left, right = (int(counts[peak] - counts[peak + side]) for side in (-1, 1))
        place += 0.5 * (left - right) / (left + right) if left + right else 0.0
    return float(histogram.start + np.float32(place) * np.float32(histogram.width))


def _count(values: Float, histogram: Histogram) -> npt.NDArray[np.int64]:
    """Count the values per bin; a value just below the start counts in the first one."""
    places = (values - np.float32(histogram.start)) / np.float32(histogram.width)
    inside = (places > -1) & (places < histogram.bins)
    return np.bincount(places[inside].astype(np.int64), minlength=histogram.bins)


def _finite(values: Float) -> Float:
    found = values[np.isfinite(values)]
    if found.size == 0:
        raise DataError("an image has no good pixel to measure the sky in")
    return found
