"""Straight lines through the overscan. Source: calacs blevfit, blevdrift."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from calib.compiled import compiled

Doubles = npt.NDArray[np.float64]

# A fit whose determinant is below the smallest normal float counts as singular (FLT_MIN).
SINGULAR = float(np.finfo(np.float32).tiny)


def fit_line(
    positions: npt.NDArray[Any],
    values: Doubles,
    keep: npt.NDArray[np.bool_],
    *,
    singular: float = SINGULAR,
) -> tuple[float, float] | None:
    """Return slope and intercept of the least-squares line, None if there is none.

    Sums run in order in 64 bits, as in the program, so the result is the same to the bit.
    """
    sums = np.zeros(5)
    _line_sums(positions.astype(np.float64), values, keep, sums)
    count, x, y, xy, xx = map(float, sums)
    if count < 1:
        return None
    determinant = xx - x * x / count
    if abs(determinant) <= singular:
        return None
    slope = (xy - (x / count) * (y / count) * count) / determinant
    return slope, y / count - slope * (x / count)


@compiled("f8", "f8[:]")
def ordered_sum(values: Doubles) -> float:
    """Return the sum of an array, added one after the other as a C loop does; 0 if empty."""
    total = 0.0
    for value in values:
        total += value
    return total


@compiled("void", "f8[:]", "f8[:]", "b1[:]", "out f8[:]")
def _line_sums(
    positions: Doubles, values: Doubles, keep: npt.NDArray[np.bool_], sums: Doubles
) -> None:
    for i in range(positions.size):
        if keep[i]:
            sums[0] += 1.0
            sums[1] += positions[i]
            sums[2] += values[i]
            sums[3] += positions[i] * values[i]
            sums[4] += positions[i] * positions[i]
