"""Data quality initialisation: saturated samples and the bad pixel table (DQICORR).

Sources: ACS Data Handbook 3.4.1; calacs dodqi.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from calib.arithmetic.flags import flag_if
from calib.compiled import Planes, compiled, planes
from calib.dq import AcsDq
from calib.errors import DataError
from calib.image import Flags, Image

# Set by calacs at one pixel where the table has no row for the exposure (dodqi, dq_fill).
NO_ROW_FLAG = 64

ALONG_X, ALONG_Y = 1, 2  # AXIS of a BPIXTAB row


class BadRun(NamedTuple):
    """A row of the bad pixel table: a run of pixels with a flag, in detector coordinates.

    Attributes
    ----------
    x, y
        First pixel, counted from 0 in the trimmed full frame.
    length, axis
        Number of pixels, along x (1) or y (2).
    flag
        Bits to add.
    """

    x: int
    y: int
    length: int
    axis: int
    flag: int


def flag_saturated_samples(image: Image, limit: int) -> Image:
    """Flag samples at or above the top of the A-to-D converter with 2048.

    Parameters
    ----------
    image
        Raw, in DN. NaN is not flagged.
    limit
        ATODSAT of the CCD table [DN].
    """
    dq = np.empty_like(image.dq, order="C")
    _flag_at_least(planes(image), limit, int(AcsDq.A_TO_D), dq)
    return Image(image.sci, image.err, dq, image.unit)


@compiled("void", "planes", "i4", "i4", "out i2[:,:]")
def _flag_at_least(image: Planes, limit: int, bit: int, dq: Flags) -> None:
    ny, nx = image.sci.shape
    for y in range(ny):
        for x in range(nx):
            dq[y, x] = flag_if(image.dq[y, x], image.sci[y, x] >= limit, bit)


def flag_bad_pixels(image: Image, runs: Iterable[BadRun], offset: tuple[float, float]) -> Image:
    """Add the flags of bad pixel runs; what lies outside the image is left out.

    Parameters
    ----------
    runs
        Rows of the table that fit the exposure.
    offset
        LTV1 and LTV2: image = detector + offset (overscan, subarray).

    Raises
    ------
    DataError
        A run has no length, or an axis other than 1 and 2.
    """
    dq = image.dq.copy()
    for run in runs:
        _check_run(run)
        _flag_run(dq, run, offset)
    return Image(image.sci, image.err, dq, image.unit)


def flag_no_table_row(image: Image) -> Image:
    """Flag one pixel with 64, as calacs does where no row of the table fits the exposure.

    The program does so because it could not go on without any bad pixel; we keep the pixel
    (1, 1) counted from 0, so that the flags are equal.
    """
    dq = image.dq.copy()
    dq[1, 1] |= NO_ROW_FLAG
    return Image(image.sci, image.err, dq, image.unit)


def _check_run(run: BadRun) -> None:
    if run.axis not in {ALONG_X, ALONG_Y} or run.length < 1:
        raise DataError(
            "the bad pixel table has an impossible row",
            expected="AXIS 1 or 2, LENGTH > 0",
            found=run,
        )


def _flag_run(dq: Flags, run: BadRun, offset: tuple[float, float]) -> None:
    ny, nx = dq.shape
    x, y = int(run.x + offset[0]), int(run.y + offset[1])  # towards zero, as C converts
    along, across, size, breadth = (x, y, nx, ny) if run.axis == ALONG_X else (y, x, ny, nx)
    if not 0 <= across < breadth:
        return
    part = slice(max(along, 0), max(0, min(along + run.length, size)))
    line = dq[across, part] if run.axis == ALONG_X else dq[part, across]
    line |= np.int16(run.flag)
