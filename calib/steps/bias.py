"""Bias structure: subtract the superbias, in DN (BIASCORR; ACS Data Handbook 3.4.3)."""

from __future__ import annotations

from calib.arithmetic.error import add_in_quadrature
from calib.arithmetic.flags import merge
from calib.arithmetic.signal import subtract
from calib.compiled import Planes, compiled, new_planes, planes
from calib.image import Image


def subtract_bias(image: Image, bias: Image) -> Image:
    """Subtract a bias image of the same shape and unit; row-wise.

    Parameters
    ----------
    image
        In DN, with overscan. Flagged pixels are corrected too; NaN stays NaN.
    bias
        Bias with its error; its flags are added to those of the image.

    Returns
    -------
    Image
        SCI - bias, sqrt(ERR² + bias error²), DQ of both.

    Raises
    ------
    DataError
        Shapes differ.
    """
    out = new_planes(image.shape)
    subtract_reference(planes(image), planes(bias, image.shape), out)
    return Image(*out, unit=image.unit)


@compiled("void", "planes", "planes", "out planes")
def subtract_reference(image: Planes, reference: Planes, out: Planes) -> None:
    """Subtract an image with its error, merging flags."""
    ny, nx = image.sci.shape
    for y in range(ny):
        for x in range(nx):
            out.sci[y, x] = subtract(image.sci[y, x], reference.sci[y, x])
            out.err[y, x] = add_in_quadrature(image.err[y, x], reference.err[y, x])
            out.dq[y, x] = merge(image.dq[y, x], reference.dq[y, x])
