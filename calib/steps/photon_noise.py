"""Errors of counted photons: detectors without read noise (MAMA).

Source: ACS Data Handbook 3.4.6; calacs donoise.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from calib.arithmetic.error import counting_error
from calib.compiled import Planes, compiled, planes
from calib.image import Float, Image


def is_without_error(image: Image) -> bool:
    """Whether all errors are 0: only then they are filled."""
    return not image.err.any()


def initialise_error_of_counts(image: Image) -> Image:
    """Fill ERR with the square root of the counts, but at least 1.

    Flagged pixels are computed too. Row by row: any block of rows gives the bits of the whole.

    Parameters
    ----------
    image
        Counts. See :func:`calib.arithmetic.error.counting_error` for negative ones and NaN.
    """
    err = np.empty(image.shape, np.float32)
    _initialise(planes(image), err)
    return dataclasses.replace(image, err=err)


@compiled("void", "planes", "out f4[:,:]")
def _initialise(image: Planes, err: Float) -> None:
    ny, nx = image.sci.shape
    for y in range(ny):
        for x in range(nx):
            err[y, x] = counting_error(image.sci[y, x])
