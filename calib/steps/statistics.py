"""Statistics of the good pixels of a product (NGOODPIX, GOODMEAN, SNRMEAN...).

Source: calacs dostat.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from calib.arithmetic.flags import is_good
from calib.compiled import Planes, compiled, planes
from calib.image import Image
from calib.steps.line import Doubles


class Range(NamedTuple):
    """Smallest, largest and mean value; zeros where there is no good pixel."""

    minimum: float
    maximum: float
    mean: float


class Statistics(NamedTuple):
    """Statistics of an image.

    Attributes
    ----------
    good
        Number of pixels with no serious flag and a positive error.
    sci, err, snr
        Of the values, the errors and SCI / ERR of these pixels.
    not_finite
        How many pixels without a serious flag have a NaN or infinite value or error. A NaN
        value with a positive error makes the means NaN; a NaN error leaves the pixel out.
    """

    good: int
    sci: Range
    err: Range
    snr: Range
    not_finite: int


def measure(image: Image, serious: int) -> Statistics:
    """Measure the good pixels: (DQ & serious) == 0 and ERR > 0.

    Parameters
    ----------
    serious
        Mask of flags (SDQFLAGS).
    """
    values = np.zeros((3, 3))
    counts = np.zeros(2, np.int64)
    _measure(planes(image), serious, values, counts)
    sci, err, snr = (Range(*map(float, row)) for row in values)
    return Statistics(int(counts[0]), sci, err, snr, int(counts[1]))


@compiled("void", "planes", "i4", "out f8[:,:]", "out i8[:]")
def _measure(image: Planes, serious: int, values: Doubles, counts: npt.NDArray[np.int64]) -> None:
    ny, nx = image.sci.shape
    for y in range(ny):
        for x in range(nx):
            signal, error = image.sci[y, x], image.err[y, x]
            if not is_good(image.dq[y, x], serious):
                continue
            if not (np.isfinite(signal) and np.isfinite(error)):
                counts[1] += 1
            if error > 0:
                sample = (signal, error, signal / error)
                for k in range(3):
                    if counts[0] == 0 or sample[k] < values[k, 0]:
                        values[k, 0] = sample[k]
                    if counts[0] == 0 or sample[k] > values[k, 1]:
                        values[k, 1] = sample[k]
                    values[k, 2] += sample[k]
                counts[0] += 1
    for k in range(3):
        values[k, 2] = values[k, 2] / max(counts[0], 1)
