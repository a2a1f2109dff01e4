"""Full-well saturation: pixels whose charge exceeds the well of the CCD get 256.

Sources: ACS ISR 2020-03 (saturation image instead of one number); calacs dofwsat.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calib.arithmetic.flags import flag_if
from calib.compiled import Planes, compiled, planes, readonly
from calib.dq import AcsDq
from calib.image import Flags, Float, Image
from calib.steps.section import Offset, Region

Bounds = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FullWellParameters:
    """Which pixels of a subarray are tested.

    Attributes
    ----------
    whole_subarray
        Test all science pixels of a subarray (:func:`region_to_compare` says why not always).
    """

    whole_subarray: bool = False


def region_to_compare(
    trim_x: tuple[int, int], trim_y: tuple[int, int], shape: tuple[int, int], offset: Offset
) -> Region:
    """Return which pixels calacs compares with the saturation image: a trap of subarrays.

    In a full frame these are the science pixels. In a subarray the program begins at raw
    pixel 0 and stops after the trimmed width, so with a leading overscan of n columns it
    never tests the last n science columns. Kept, because archived data have it.
    """
    ny, nx = shape
    width, height = nx - sum(trim_x), ny - sum(trim_y)
    x0, y0 = (trim_x[0], trim_y[0]) if offset.same_size else (0, 0)
    return Region(y0, y0 + height, x0, x0 + width)


def flag_full_well(image: Image, limit: Float, region: Region) -> Image:
    """Flag pixels above the full well with 256; row-wise.

    Parameters
    ----------
    image
        Bias-subtracted, in electrons. NaN is not flagged.
    limit
        Saturation level [electrons], of the shape of the image.
    region
        Pixels to test; rows and columns outside the image do not count.

    Raises
    ------
    DataError
        Image and limit differ in shape.
    """
    dq = np.array(image.dq, np.int16, order="C")
    ny, nx = image.shape
    bounds = np.array(
        [max(region.y0, 0), min(region.y1, ny), max(region.x0, 0), min(region.x1, nx)], np.int64
    )
    _flag_above(
        planes(image), readonly(limit, np.float32, image.shape), bounds, int(AcsDq.FULL_WELL), dq
    )
    return dataclasses.replace(image, dq=dq)


@compiled("void", "planes", "f4[:,:]", "i8[:]", "i4", "out i2[:,:]")
def _flag_above(image: Planes, limit: Float, bounds: Bounds, bit: int, dq: Flags) -> None:
    begin, end = bounds[2], bounds[3]
    for y in range(bounds[0], bounds[1]):
        signals, limits = image.sci[y, begin:end], limit[y, begin:end]
        before, flags = image.dq[y, begin:end], dq[y, begin:end]
        for x in range(end - begin):
            flags[x] = flag_if(before[x], signals[x] > limits[x], bit)
