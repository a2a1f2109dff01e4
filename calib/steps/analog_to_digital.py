"""Errors of the analog-to-digital converter (ATODCORR), and samples above its range.

Sources: STIS Data Handbook 3.4.2 and 3.4.3; calstis doatod, dodqi.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from calib.dq import StisDq
from calib.errors import DataError
from calib.image import Float, Image


def flag_saturated(image: Image, limit: float) -> Image:
    """Flag what lies above a limit with 256.

    Parameters
    ----------
    image
        Raw, in DN. Its fraction does not count, as in the program; NaN is not flagged.
    limit
        SATURATE of the CCD table [DN].
    """
    above = np.trunc(image.sci) > np.float32(limit)
    return _flagged(image, above)


def correct_samples(image: Image, values: Float) -> Image:
    """Replace each sample by what the converter should have said.

    Parameters
    ----------
    image
        Raw, in DN: whole numbers. Values below 0 and NaN are kept.
    values
        Corrected value of each sample from 0 on, shape (n,). A sample of n and more becomes
        the last one and is flagged with 256.

    Raises
    ------
    DataError
        There is no value.
    """
    if values.size == 0:
        raise DataError("there are no values to correct samples with", expected="NELEM > 0")
    known = image.sci >= 0
    samples = np.where(known, np.minimum(image.sci, values.size - 1), 0).astype(np.int64)
    sci = np.where(known, values[samples], image.sci).astype(np.float32)
    return _flagged(dataclasses.replace(image, sci=sci), image.sci >= values.size)


def _flagged(image: Image, where: np.ndarray) -> Image:
    bit = np.int16(StisDq.SATURATED)
    return dataclasses.replace(image, dq=np.where(where, image.dq | bit, image.dq))
