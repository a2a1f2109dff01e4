"""Sums of the good pixels of each row.

Sums that end in a keyword are made row by row, so that they do not depend on how many rows
are computed at a time. Within a row the second half is added to the first one until one
number is left: as fast as the processor can add, and more exact than adding in order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from calib.arithmetic.flags import is_good
from calib.arithmetic.signal import scale
from calib.compiled import compiled, readonly
from calib.image import Flags, Float

Doubles = npt.NDArray[np.float64]


class Totals(NamedTuple):
    """Sum and number of the good pixels of each row, shape (ny,), 64 bits."""

    sums: Doubles
    counts: Doubles

    @property
    def mean(self) -> float:
        """Mean over all rows; 0 where no pixel is good."""
        count = self.counts.sum()
        return float(self.sums.sum() / count) if count else 0.0

    def put(self, first: int, rows: Totals) -> None:
        """Write the totals of some rows, the first of which is `first`."""
        for mine, new in zip(self, rows, strict=True):
            mine[first : first + len(new)] = new


def new_totals(rows: int) -> Totals:
    """Return totals to be filled, as of rows without good pixels."""
    return Totals(np.zeros(rows), np.zeros(rows))


def sum_good(values: Float, flags: Flags, factor: float, serious: int) -> Totals:
    """Sum values times a factor over the pixels without a serious flag, row by row.

    Parameters
    ----------
    values, flags
        Shape (ny, nx). NaN in a good pixel makes the sum of its row NaN.
    factor
        Applied in 32 bits before summing.
    serious
        Mask of flags.

    Raises
    ------
    DataError
        Shapes differ.
    """
    totals = new_totals(values.shape[0])
    _sum_good(
        readonly(values, np.float32),
        readonly(flags, np.int16, values.shape),
        factor,
        serious,
        *totals,
    )
    return totals


@compiled("void", "f4[:,:]", "i2[:,:]", "f4", "i4", "out f8[:]", "out f8[:]")
def _sum_good(
    values: Float, flags: Flags, factor: float, serious: int, sums: Doubles, counts: Doubles
) -> None:
    ny, nx = values.shape
    row = np.empty(nx)
    for y in range(ny):
        count = 0
        for x in range(nx):
            good = is_good(flags[y, x], serious)
            row[x] = scale(values[y, x], factor) if good else 0.0
            count += 1 if good else 0
        sums[y] = fold_sum(row)
        counts[y] = count


@compiled("f8", "out f8[:]")
def fold_sum(row: Doubles) -> float:
    """Return the sum of a row, which is used up on the way; 0 for none."""
    length = row.size
    while length > 1:
        half = (length + 1) // 2
        for x in range(length - half):
            row[x] += row[x + half]
        length = half
    return row[0] if row.size else 0.0


@compiled("f4", "out f4[:]")
def fold_min(row: Float) -> float:
    """Return the smallest number of a row, which is used up; NaN does not count beside others."""
    length = row.size
    while length > 1:
        half = (length + 1) // 2
        for x in range(length - half):
            other = row[x + half]
            if other < row[x]:  # noqa: PLR1730 - min() would not become one instruction
                row[x] = other
        length = half
    return float(row[0]) if row.size else np.inf
