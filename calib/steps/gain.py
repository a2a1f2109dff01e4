"""Gain: from DN to electrons (ACS Data Handbook 3.4.5)."""

from __future__ import annotations

from calib.arithmetic.signal import scale
from calib.compiled import Planes, compiled, new_planes, planes
from calib.image import Float, Image
from calib.steps.readout import of_columns


def to_electrons(image: Image, gain: Float) -> Image:
    """Multiply SCI and ERR by the gain; flags are kept, NaN stays NaN. Each row by itself.

    Parameters
    ----------
    image
        In DN.
    gain
        Electrons per DN for each column, shape (nx,)
        (:meth:`calib.steps.readout.Readout.per_column`).
    """
    out = new_planes(image.shape)
    _scale(planes(image), of_columns(gain, image), out)
    return Image(*out, unit="ELECTRONS")


@compiled("void", "planes", "f4[:]", "out planes")
def _scale(image: Planes, gain: Float, out: Planes) -> None:
    ny, nx = image.sci.shape
    for y in range(ny):
        for x in range(nx):
            out.sci[y, x] = scale(image.sci[y, x], gain[x])
            out.err[y, x] = scale(image.err[y, x], gain[x])
            out.dq[y, x] = image.dq[y, x]
