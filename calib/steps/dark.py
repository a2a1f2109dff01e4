"""Dark current: subtract the superdark scaled by the dark time (DARKCORR).

Sources: ACS Data Handbook 3.4.9; ACS ISR 2018-03 (dark time); calacs dodark.
"""

from __future__ import annotations

from typing import NamedTuple

from calib.arithmetic.error import add_in_quadrature
from calib.arithmetic.flags import merge
from calib.arithmetic.signal import scale, subtract
from calib.compiled import Planes, compiled, new_planes, planes
from calib.image import Image
from calib.steps.totals import Totals, sum_good


class Subtracted(NamedTuple):
    """An image after subtraction, and the sums of what was subtracted over good pixels."""

    image: Image
    totals: Totals


def subtract_dark(image: Image, dark: Image, seconds: float, serious: int) -> Subtracted:
    """Subtract a dark rate times a dark time; row-wise.

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
        The image, and the sums of the scaled dark over good dark pixels; their mean is
        MEANDARK.

    Raises
    ------
    DataError
        Shapes differ.
    """
    out = new_planes(image.shape)
    _subtract_scaled(planes(image), planes(dark, image.shape), seconds, out)
    totals = sum_good(dark.sci, dark.dq, seconds, serious)
    return Subtracted(Image(*out, unit=image.unit), totals)


@compiled("void", "planes", "planes", "f4", "out planes")
def _subtract_scaled(image: Planes, dark: Planes, seconds: float, out: Planes) -> None:
    ny, nx = image.sci.shape
    for y in range(ny):
        for x in range(nx):
            error = scale(dark.err[y, x], seconds)
            out.sci[y, x] = subtract(image.sci[y, x], scale(dark.sci[y, x], seconds))
            out.err[y, x] = add_in_quadrature(image.err[y, x], error)
            out.dq[y, x] = merge(image.dq[y, x], dark.dq[y, x])
