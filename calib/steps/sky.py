"""Sky level of an exposure: the mode of its pixels.

Source: calacs acsrej (sky "mode"). Cosmic-ray rejection compares exposures after
subtracting it; the sum of all levels is added again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from calib.compiled import compiled, planes
from calib.errors import DataError
from calib.image import Flags, Float, Image

FLOOR = -15000  # darker pixels do not set the range of the histogram (acsrej)
FEWEST_BINS, MOST_BINS = 1000, 10000  # acsrej; above the latter bins get wider than 1
LANES = 4  # histograms filled in turn: one after the other to the same bin would wait

Counts = npt.NDArray[np.int32]


class Histogram(NamedTuple):
    """Where the bins lie: their number, lower end of the first one, width [electrons]."""

    bins: int
    start: int
    width: float


class Survey(NamedTuple):
    """What sets the range of the histogram: smallest value, 32-bit sum and number of pixels."""

    minimum: float
    total: float
    pixels: int


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
    histogram = choose_bins(survey(images[0], bad))
    return tuple(find_mode(count_values(image, histogram), histogram) for image in images)


def survey(image: Image, bad: int) -> Survey:
    """Find the smallest value and the sum of the pixels without a flag of a mask.

    The sum runs in 32 bits, one value after the other: a trap. A running 32-bit sum of a
    million pixels is off in the fourth digit; it decides where the bins end, and so
    sometimes the mode.

    Raises
    ------
    DataError
        There is no such pixel.
    """
    pixels, found = planes(image), np.array([np.inf, 0], np.float32)
    count = _survey(pixels.sci, pixels.dq, bad, found)
    _require_good(count)
    return Survey(float(found[0]), float(found[1]), count)


@compiled("i8", "f4[:,:]", "i2[:,:]", "i4", "out f4[:]")
def _survey(sci: Float, dq: Flags, bad: int, found: Float) -> int:
    rows, columns = sci.shape
    least, total, count = found[0], found[1], 0
    for y in range(rows):
        for x in range(columns):
            good = (dq[y, x] & bad) == 0 and np.isfinite(sci[y, x])
            least = sci[y, x] if good and sci[y, x] < least else least
            total += sci[y, x] if good else np.float32(0)
            count += good
    found[0], found[1] = least, total
    return count


def choose_bins(found: Survey) -> Histogram:
    """Choose a range from the smallest value to twice the mean minus the smallest value.

    The smallest value is cut to a whole number and not below -15000, the mean is cut
    after adding 1 (at least 1), as the program does.
    """
    start = int(max(found.minimum, FLOOR))
    total = np.float32(found.total)
    mean = int(np.float64(total / np.float32(found.pixels)) + 1) if total > 0 else 1
    bins = 2 * mean - start - start + 1
    if bins > MOST_BINS:
        return Histogram(MOST_BINS, start, float(np.float32(bins / float(MOST_BINS))))
    return Histogram(max(bins, FEWEST_BINS), start, 1.0)


def count_values(image: Image, histogram: Histogram) -> Counts:
    """Count the pixels without any flag per bin; one just below the start is in the first one.

    Raises
    ------
    DataError
        There is no such pixel, inside the range or not.
    """
    pixels, counts = planes(image), np.zeros((LANES, histogram.bins + 1), np.int32)
    number = _count(pixels.sci, pixels.dq, histogram.start, histogram.width, counts)
    _require_good(number)
    total: Counts = counts[:, :-1].sum(axis=0, dtype=np.int32)
    return total


@compiled("i8", "f4[:,:]", "i2[:,:]", "f4", "f4", "out i4[:,:]")
def _count(sci: Float, dq: Flags, start: float, width: float, counts: Counts) -> int:
    """Count per lane and bin, what is outside in the last one; return how many are good."""
    rows, columns = sci.shape
    outside = counts.shape[1] - 1
    places = np.empty(columns, np.int32)
    number = 0
    for y in range(rows):
        for x in range(columns):
            good = dq[y, x] == 0 and np.isfinite(sci[y, x])
            place = (sci[y, x] - start) / width
            inside = good and place > -1 and place < outside
            places[x] = np.int32(place if inside else np.float32(outside))
            number += good
        for x in range(columns):
            counts[x % LANES, places[x]] += 1
    return number


def find_mode(counts: Counts, histogram: Histogram) -> float:
    """Return the mode: the top of a parabola through the fullest bin and its neighbours.

    The middle of the bin where it is the first or the last one, or where all three are
    equally full. Of several fullest bins the first one counts.
    """
    peak = int(counts.argmax())
    place = peak + 0.5
    if 0 < peak < histogram.bins - 1:
        left, right = (int(counts[peak] - counts[peak + side]) for side in (-1, 1))
        place += 0.5 * (left - right) / (left + right) if left + right else 0.0
    return float(histogram.start + np.float32(place) * np.float32(histogram.width))


def _require_good(number: int) -> None:
    if number == 0:
        raise DataError("an image has no good pixel to measure the sky in")
