"""Gain: from DN to electrons (ACS Data Handbook 3.4.5)."""

from __future__ import annotations

import math

from calib.arithmetic.signal import scale
from calib.compiled import Planes, compiled, new_planes, planes
from calib.errors import DataError
from calib.image import Image


def check_gain(gain: float) -> None:
    """Refuse a gain that would give nonsense.

    Raises
    ------
    DataError
        The gain is NaN, infinite, zero or negative.
    """
    if not (math.isfinite(gain) and gain > 0):
        raise DataError("the gain is not usable", expected="electrons per DN > 0", found=gain)


def to_electrons(image: Image, gain: float) -> Image:
    """Multiply SCI and ERR by the gain of the amplifier; flags are kept, NaN stays NaN.

    Parameters
    ----------
    image
        In DN, read out through one amplifier.
    gain
        Electrons per DN.

    Raises
    ------
    DataError
        The gain is NaN, infinite, zero or negative.
    """
    check_gain(gain)
    out = new_planes(image.shape)
    _scale(planes(image), gain, out)
    return Image(*out, unit="ELECTRONS")


@compiled("void", "planes", "f4", "out planes")
def _scale(image: Planes, gain: float, out: Planes) -> None:
    ny, nx = image.sci.shape
    for y in range(ny):
        for x in range(nx):
            out.sci[y, x] = scale(image.sci[y, x], gain)
            out.err[y, x] = scale(image.err[y, x], gain)
            out.dq[y, x] = image.dq[y, x]
