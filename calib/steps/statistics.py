"""Statistics of the good pixels of a product (NGOODPIX, GOODMEAN, SNRMEAN...).

Source: calacs dostat.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from calib.arithmetic.flags import is_good
from calib.compiled import Planes, compiled, planes
from calib.image import Float, Image
from calib.steps.totals import Doubles, fold_min, fold_sum


class Range(NamedTuple):
    """Smallest, largest and mean value; zeros where there is no good pixel."""

    minimum: float
    maximum: float
    mean: float


class RowStatistics(NamedTuple):
    """What statistics are made of, row by row.

    Attributes
    ----------
    sums
        Sums over the good pixels of SCI, ERR and SCI / ERR, shape (ny, 3), 64 bits.
    limits
        Smallest values of these three, then the largest ones with the other sign,
        shape (ny, 6), 32 bits; infinite where no pixel is good.
    counts
        Number of good pixels, and of NaN or infinite ones without a serious flag, (ny, 2).
    """

    sums: Doubles
    limits: Float
    counts: Doubles

    def put(self, first: int, rows: RowStatistics) -> None:
        """Write the statistics of some rows, the first of which is `first`."""
        part = slice(first, first + len(rows.sums))
        self.sums[part], self.limits[part], self.counts[part] = rows


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
    return summarise(measure_rows(image, serious))


def new_row_statistics(rows: int) -> RowStatistics:
    """Return statistics to be filled, as of rows without good pixels."""
    limits = np.full((rows, 6), np.inf, np.float32)
    return RowStatistics(np.zeros((rows, 3)), limits, np.zeros((rows, 2)))


def measure_rows(image: Image, serious: int) -> RowStatistics:
    """Measure the good pixels of each row."""
    made = new_row_statistics(image.shape[0])
    _measure(planes(image), serious, *made)
    return made


def summarise(rows: RowStatistics) -> Statistics:
    """Put the statistics of all rows together."""
    good, not_finite = (int(count) for count in rows.counts.sum(axis=0))
    if not good:
        nothing = Range(0.0, 0.0, 0.0)
        return Statistics(0, nothing, nothing, nothing, not_finite)
    means = rows.sums.sum(axis=0) / good
    limits = np.min(rows.limits, axis=0)
    sci, err, snr = (
        Range(float(limits[k]), -float(limits[k + 3]), float(means[k])) for k in range(3)
    )
    return Statistics(good, sci, err, snr, not_finite)


@compiled("void", "planes", "i4", "out f8[:,:]", "out f4[:,:]", "out f8[:,:]")
def _measure(image: Planes, serious: int, sums: Doubles, limits: Float, counts: Doubles) -> None:
    ny, nx = image.sci.shape
    ratio, good = np.empty(nx, np.float32), np.empty(nx, np.bool_)
    for y in range(ny):
        found = bad = 0
        for x in range(nx):
            signal, error = image.sci[y, x], image.err[y, x]
            unflagged = is_good(image.dq[y, x], serious)
            good[x] = unflagged and error > 0
            ratio[x] = signal / error
            found += 1 if good[x] else 0
            finite = (signal - signal) + (error - error) == 0
            bad += 1 if unflagged and not finite else 0
        counts[y, 0], counts[y, 1] = found, bad
        _reduce(image.sci[y], good, 0, sums[y], limits[y])
        _reduce(image.err[y], good, 1, sums[y], limits[y])
        _reduce(ratio, good, 2, sums[y], limits[y])


@compiled("void", "f4[:]", "b1[:]", "i8", "out f8[:]", "out f4[:]")
def _reduce(
    values: Float, good: npt.NDArray[np.bool_], k: int, sums: Doubles, limits: Float
) -> None:
    """Write the sum, the smallest and (with the other sign) the largest good value."""
    nothing = np.float32(np.inf)
    total = np.empty(values.size)
    low, high = np.empty(values.size, np.float32), np.empty(values.size, np.float32)
    for x in range(values.size):
        total[x] = values[x] if good[x] else np.float32(0)
        low[x] = values[x] if good[x] else nothing
        high[x] = -values[x] if good[x] else nothing
    sums[k] = fold_sum(total)
    limits[k], limits[k + 3] = fold_min(low), fold_min(high)
