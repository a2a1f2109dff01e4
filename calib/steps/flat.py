"""Flat field: divide by the flat, flagging where it is zero (FLATCORR).

Sources: ACS Data Handbook 3.4.11; calacs doflat, div1d. The gain is not applied here.
"""

from __future__ import annotations

from calib.arithmetic.flags import flag_if, merge
from calib.arithmetic.flat import divide_error, divide_signal
from calib.compiled import Planes, compiled, new_planes, planes
from calib.dq import AcsDq
from calib.image import Image


def divide_flat(image: Image, flat: Image) -> Image:
    """Divide by a flat field with its error; row-wise.

    Parameters
    ----------
    image
        In electrons, overscan removed. Flagged pixels are divided too; NaN stays NaN.
    flat
        Relative sensitivity, same shape. Where it is zero, SCI and ERR stay untouched and
        the pixel gets 512; NaN gives NaN. Its flags are added.

    Raises
    ------
    DataError
        Shapes differ.
    """
    out = new_planes(image.shape)
    _divide(planes(image), planes(flat, image.shape), int(AcsDq.BAD_REFERENCE), out)
    return Image(*out, unit=image.unit)


@compiled("void", "planes", "planes", "i4", "out planes")
def _divide(image: Planes, flat: Planes, bit: int, out: Planes) -> None:
    ny, nx = image.sci.shape
    for y in range(ny):
        for x in range(nx):
            signal, gain = image.sci[y, x], flat.sci[y, x]
            out.err[y, x] = divide_error(signal, image.err[y, x], gain, flat.err[y, x])
            out.sci[y, x] = divide_signal(signal, gain)
            out.dq[y, x] = flag_if(merge(image.dq[y, x], flat.dq[y, x]), gain == 0, bit)
