"""Errors: Poisson noise of the signal, read noise, error of the bias image.

Sources: ACS Data Handbook 3.4.6; calacs donoise.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from calib.arithmetic.error import initial_error
from calib.compiled import Planes, compiled, planes
from calib.errors import DataError
from calib.image import Float, Image


def check_read_noise(read_noise: float) -> None:
    """Refuse a read noise that would give nonsense.

    Raises
    ------
    DataError
        It is NaN, infinite, zero or negative.
    """
    if not (math.isfinite(read_noise) and read_noise > 0):
        raise DataError("the read noise is not usable", expected="electrons > 0", found=read_noise)


def initialise_error(image: Image, read_noise: float) -> Image:
    """Fill ERR with sqrt(max(SCI, 0) + read_noise² + ERR²).

    Parameters
    ----------
    image
        In electrons; its ERR is what the bias contributed. Flagged pixels are computed too,
        a NaN signal gives a NaN error.
    read_noise
        Of the amplifier [electrons].

    Raises
    ------
    DataError
        The read noise is NaN, infinite, zero or negative.
    """
    check_read_noise(read_noise)
    err = np.empty(image.shape, np.float32)
    _initialise(planes(image), read_noise, err)
    return dataclasses.replace(image, err=err)


def initialise_error_of_bias(image: Image, read_noise: float) -> Image:
    """Fill ERR with the read noise alone: calacs does so where TARGNAME begins with BIAS.

    Raises
    ------
    DataError
        The read noise is NaN, infinite, zero or negative.
    """
    check_read_noise(read_noise)
    return dataclasses.replace(image, err=np.full(image.shape, read_noise, np.float32))


@compiled("void", "planes", "f4", "out f4[:,:]")
def _initialise(image: Planes, read_noise: float, err: Float) -> None:
    ny, nx = image.sci.shape
    for y in range(ny):
        for x in range(nx):
            err[y, x] = initial_error(image.sci[y, x], read_noise, image.err[y, x])
