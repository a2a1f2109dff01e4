"""Errors: Poisson noise of the signal, read noise, error of the bias image.

Sources: ACS Data Handbook 3.4.6; calacs donoise.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from calib.arithmetic.error import initial_error
from calib.compiled import Planes, compiled, planes
from calib.image import Float, Image
from calib.steps.readout import of_columns


def initialise_error(image: Image, read_noise: Float) -> Image:
    """Fill ERR with sqrt(max(SCI, 0) + read_noise² + ERR²). Each row by itself.

    Parameters
    ----------
    image
        In electrons; its ERR is what the bias contributed. Flagged pixels are computed too,
        a NaN signal gives a NaN error.
    read_noise
        Electrons for each column, shape (nx,)
        (:meth:`calib.steps.readout.Readout.per_column`).
    """
    err = np.empty(image.shape, np.float32)
    _initialise(planes(image), of_columns(read_noise, image), err)
    return dataclasses.replace(image, err=err)


def initialise_error_of_bias(image: Image, read_noise: Float) -> Image:
    """Fill ERR with the read noise alone: calacs does so where TARGNAME begins with BIAS."""
    err = np.broadcast_to(of_columns(read_noise, image), image.shape)
    return dataclasses.replace(image, err=err.copy())


@compiled("void", "planes", "f4[:]", "out f4[:,:]")
def _initialise(image: Planes, read_noise: Float, err: Float) -> None:
    ny, nx = image.sci.shape
    for y in range(ny):
        for x in range(nx):
            err[y, x] = initial_error(image.sci[y, x], read_noise[x], image.err[y, x])
