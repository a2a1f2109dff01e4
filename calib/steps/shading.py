"""Shutter shading: pixels that the shutter leaves open for longer (SHADCORR).

The correction is SCI / (1 + shading / EXPTIME) with the shading in seconds. The shutters of
ACS need none: no archived exposure has it. Sources: ACS Data Handbook 3.4.12; calacs doshad.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from calib.image import Image
from calib.steps.flat import divide_flat


def correct_shading(image: Image, shading: Image, seconds: float) -> Image:
    """Divide by 1 + shading / seconds.

    Row by row: any block of rows gives the bits of the whole.

    Parameters
    ----------
    image
        In electrons. Flagged pixels are divided too; NaN stays NaN.
    shading
        Additional exposure [s] with its error, same shape; its flags are added. Where it is
        exactly -seconds, the pixel stays as it is and gets 512.
    seconds
        EXPTIME, of one exposure where several were combined; positive.

    Raises
    ------
    DataError
        Shapes differ.
    """
    return divide_flat(image, find_open_share(shading, seconds))


def find_open_share(shading: Image, seconds: float) -> Image:
    """Return 1 + shading / seconds with its error, in 32 bits as the program does."""
    rate = np.float32(1 / np.float64(np.float32(seconds)))
    return dataclasses.replace(
        shading, sci=rate * shading.sci + np.float32(1), err=rate * shading.err
    )
