"""Linearity of the MAMA: counts that are lost between others (GLINCORR, LFLGCORR).

The electronics need a time tau per event of the whole detector, so they see x exp(-tau x) of
x events per second. Where one pixel gets too many, its channel runs dry: such pixels cannot
be corrected and are flagged with their neighbours.

Sources: ACS Data Handbook 3.4.7; calacs dononlin.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from calib.arithmetic.flags import flag_if
from calib.arithmetic.signal import scale
from calib.compiled import Planes, compiled, new_planes, planes
from calib.dq import AcsDq
from calib.errors import DataError
from calib.image import Flags, Image

NEWTON_STEPS = 3  # calacs FindRate


@dataclass(frozen=True)
class LinearityLimits:
    """What the detector counts in order: a row of MLINTAB.

    Attributes
    ----------
    global_limit
        Largest rate of the whole detector that can be corrected [counts/s].
    local_limit
        Largest rate of one pixel that is not flagged [counts/s].
    tau
        Time per event [s].
    radius
        Neighbours up to this distance are flagged too [pixels].
    """

    global_limit: float
    local_limit: float
    tau: float
    radius: float


def exceeds_global_limit(rate: float, limits: LinearityLimits) -> bool:
    """Whether the rate of the whole detector is too high to be corrected.

    Parameters
    ----------
    rate
        GLOBRATE [counts/s].

    Raises
    ------
    DataError
        The rate is NaN or infinite.
    """
    if not math.isfinite(rate):
        raise DataError("GLOBRATE is not usable", expected="counts per second", found=rate)
    return rate > limits.global_limit


def find_true_ratio(rate: float, tau: float) -> float:
    """Return the true rate over the observed one: x / y for x exp(-tau x) = y, in 64 bits.

    Three Newton steps from x = y, as in the program; 1 where nothing was counted.

    Raises
    ------
    DataError
        tau * rate is 1/e or more: no true rate gives so high an observed one.
    """
    if rate <= 0:
        return 1.0
    if not 0 <= tau * rate < math.exp(-1):
        raise DataError(
            "GLOBRATE is beyond what the detector can count",
            expected="tau * GLOBRATE from 0 to less than 1/e",
            found=tau * rate,
        )
    true = rate
    for _ in range(NEWTON_STEPS):
        passed = math.exp(-tau * true)
        true += (rate - true * passed) / ((1 - tau * true) * passed)
    return true / rate


def scale_counts(image: Image, ratio: float) -> Image:
    """Multiply SCI and ERR by the ratio of true to observed rate, in 32 bits.

    Flags are kept, flagged pixels are computed too, NaN stays NaN. Row by row: any block of
    rows gives the bits of the whole.
    """
    out = new_planes(image.shape)
    _scale(planes(image), ratio, out)
    return Image(*out, unit=image.unit)


@compiled("void", "planes", "f4", "out planes")
def _scale(image: Planes, ratio: float, out: Planes) -> None:
    ny, nx = image.sci.shape
    for y in range(ny):
        for x in range(nx):
            out.sci[y, x] = scale(image.sci[y, x], ratio)
            out.err[y, x] = scale(image.err[y, x], ratio)
            out.dq[y, x] = image.dq[y, x]


def flag_local(image: Image, limits: LinearityLimits, seconds: float) -> Image:
    """Flag pixels above the local limit, and all within the radius, with 256.

    Needs the whole image: neighbours lie on other rows.

    Parameters
    ----------
    image
        Counts. NaN is not flagged.
    seconds
        EXPTIME.
    """
    dq = np.array(image.dq, np.int16, order="C")
    most = limits.local_limit * seconds
    _flag_above(planes(image), most, limits.radius, int(AcsDq.FULL_WELL), dq)
    return dataclasses.replace(image, dq=dq)


@compiled("void", "planes", "f8", "f4", "i4", "out i2[:,:]")
def _flag_above(image: Planes, most: float, radius: float, bit: int, dq: Flags) -> None:
    ny, nx = image.sci.shape
    for y in range(ny):
        for x in range(nx):
            if image.sci[y, x] > most:
                _flag_circle(y, x, radius, bit, dq)


@compiled("void", "i8", "i8", "f4", "i4", "out i2[:,:]")
def _flag_circle(y0: int, x0: int, radius: float, bit: int, dq: Flags) -> None:
    """Flag what is not farther than the radius; squares are compared in 32 bits."""
    ny, nx = dq.shape
    reach = int(radius)
    for y in range(max(y0 - reach, 0), min(y0 + reach + 1, ny)):
        for x in range(max(x0 - reach, 0), min(x0 + reach + 1, nx)):
            distance = np.float32((y - y0) ** 2 + (x - x0) ** 2)
            dq[y, x] = flag_if(dq[y, x], bool(distance <= radius * radius), bit)
