"""Dark current: subtract the superdark scaled by the dark time (DARKCORR).

Sources: ACS Data Handbook 3.4.9; ACS ISR 2018-03 (dark time); calacs dodark.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from calib.arithmetic.error import add_in_quadrature
from calib.arithmetic.flags import is_good, merge
from calib.arithmetic.signal import scale, subtract
from calib.compiled import Planes, compiled, new_planes, planes
from calib.image import Image
from calib.steps.line import Doubles


class Subtracted(NamedTuple):
    """An image after subtraction, and the mean of what was subtracted [electrons]."""

    image: Image
    mean: float


def subtract_dark(image: Image, dark: Image, seconds: float, serious: int) -> Subtracted:
    """Subtract a dark rate times a dark time.

    Parameters
    ----------
    image
        In electrons, overscan removed. Flagged pixels are corrected too; NaN stays NaN.
    dark
        Dark rate [electrons/s] with its error, same shape; its flags are added.
    seconds
        DARKTIME; used as a 32-bit float, as the program does.
    serious
        Mask of flags (SDQFLAGS); dark pixels that have one do not count in the mean.

    Returns
    -------
    Subtracted
        The image, and the mean of the scaled dark over good dark pixels (MEANDARK; 0 where
        there is none).
    """
    out = new_planes(image.shape)
    sums = np.zeros(2)
    _subtract_scaled(planes(image), planes(dark), seconds, serious, out, sums)
    return Subtracted(Image(*out, unit=image.unit), mean_of(sums))


def mean_of(sums: Doubles) -> float:
    """Return sum / count, 0 for none."""
    return float(sums[0] / sums[1]) if sums[1] else 0.0


@compiled("void", "planes", "planes", "f4", "i4", "out planes", "out f8[:]")
def _subtract_scaled(
    image: Planes, dark: Planes, seconds: float, serious: int, out: Planes, sums: Doubles
) -> None:
    ny, nx = image.sci.shape
    for y in range(ny):
        for x in range(nx):
            level = scale(dark.sci[y, x], seconds)
            error = scale(dark.err[y, x], seconds)
            out.sci[y, x] = subtract(image.sci[y, x], level)
            out.err[y, x] = add_in_quadrature(image.err[y, x], error)
            out.dq[y, x] = merge(image.dq[y, x], dark.dq[y, x])
            if is_good(dark.dq[y, x], serious):
                sums[0] += level
                sums[1] += 1.0
