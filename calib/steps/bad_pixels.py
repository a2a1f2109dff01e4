"""Data quality initialisation: saturated samples and the bad pixel table (DQICORR).

Sources: ACS Data Handbook 3.4.1; calacs dodqi.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from calib.arithmetic.flags import flag_if
from calib.compiled import Planes, compiled, planes
from calib.dq import AcsDq
from calib.errors import DataError
from calib.image import Flags, Image

# Set by calacs at one pixel where the table has no row for the exposure (dodqi, dq_fill).
NO_ROW_FLAG = 64

ALONG_X, ALONG_Y = 1, 2  # AXIS of a BPIXTAB row

BadRuns = npt.NDArray[np.int64]


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


def flag_bad_pixels(image: Image, runs: BadRuns, first_row: int = 0) -> Image:
    """Add the flags of bad pixel runs; what lies outside the image is left out; row-wise.

    Parameters
    ----------
    runs
        Of :func:`place_runs`, in image coordinates.
    first_row
        Row of the whole image at which this part of it begins.
    """
    dq = np.array(image.dq, np.int16, order="C")
    _flag_runs(runs, first_row, dq)
    return Image(image.sci, image.err, dq, image.unit)


def place_runs(runs: Iterable[BadRun], offset: tuple[float, float]) -> BadRuns:
    """Return runs in image coordinates: shape (n, 5) of x, y, length, axis, flag.

    Parameters
    ----------
    runs
        Rows of the table that fit the exposure.
    offset
        LTV1 and LTV2: image = detector + offset (overscan, subarray). The sum is cut towards
        zero, as C converts.

    Raises
    ------
    DataError
        A run has no length, or an axis other than 1 and 2.
    """
    placed = [_placed(run, offset) for run in runs]
    return np.array(placed, np.int64).reshape(-1, len(BadRun._fields))


def _placed(run: BadRun, offset: tuple[float, float]) -> tuple[int, ...]:
    if run.axis not in {ALONG_X, ALONG_Y} or run.length < 1:
        raise DataError(
            "the bad pixel table has an impossible row",
            expected="AXIS 1 or 2, LENGTH > 0",
            found=run,
        )
    return int(run.x + offset[0]), int(run.y + offset[1]), run.length, run.axis, run.flag


def flag_no_table_row(image: Image, first_row: int = 0) -> Image:
    """Flag one pixel with 64, as calacs does where no row of the table fits the exposure.

    The program does so because it could not go on without any bad pixel; we keep the pixel
    (1, 1) counted from 0, so that the flags are equal.
    """
    return flag_bad_pixels(image, np.array([[1, 1, 1, ALONG_X, NO_ROW_FLAG]]), first_row)


@compiled("void", "i8[:,:]", "i8", "out i2[:,:]")
def _flag_runs(runs: BadRuns, first_row: int, dq: Flags) -> None:
    ny, nx = dq.shape
    for k in range(runs.shape[0]):
        x0, y0 = runs[k, 0], runs[k, 1] - first_row
        along_x = runs[k, 3] == ALONG_X
        x1 = x0 + (runs[k, 2] if along_x else 1)
        y1 = y0 + (1 if along_x else runs[k, 2])
        for y in range(max(y0, 0), min(y1, ny)):
            for x in range(max(x0, 0), min(x1, nx)):
                dq[y, x] |= runs[k, 4]
