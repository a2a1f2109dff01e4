"""Pixels beyond the edge of the aperture: they see no sky (part of DQICORR).

Sources: STIS Data Handbook 3.4.7; calstis flagfilter. Apertures such as F28X50LP leave the
lower and upper part of the CCD dark.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from calib.dq import StisDq
from calib.image import Image
from calib.steps.section import PixelMapping, Region, nearest

SIDE = 1024  # rows and columns of the CCD without overscan
MARGIN = 10  # detector pixels by which wheels may be off (calstis STIS_APERTURE_BORDER)
SHORT, LONG = 5.0, 45.0  # arcsec: only heights between these leave pixels dark (calstis)


@dataclasses.dataclass(frozen=True)
class Aperture:
    """Size of an aperture on the sky.

    Attributes
    ----------
    height, width
        Arcsec, along y and x.
    scale_x, scale_y
        Arcsec per detector pixel; positive.
    """

    height: float
    width: float
    scale_x: float
    scale_y: float

    @property
    def leaves_dark(self) -> bool:
        """Whether the program flags what lies beyond: neither for slits nor for open ones."""
        return SHORT <= self.height <= LONG


def find_lit_region(aperture: Aperture, mapping: PixelMapping) -> Region:
    """Return the image pixels behind the aperture; they may lie outside of the image.

    Parameters
    ----------
    mapping
        From detector to image pixels.
    """
    ends = []
    for axis, (size, scale) in enumerate(
        ((aperture.width, aperture.scale_x), (aperture.height, aperture.scale_y))
    ):
        half = size / scale / 2 + MARGIN
        ends.append([_place(SIDE / 2 + side * half, mapping, axis) for side in (-1, 1)])
    (x0, x1), (y0, y1) = ends
    return Region(y0, y1 + 1, x0, x1 + 1)


def flag_beyond(image: Image, lit: Region, mapping: PixelMapping, *, sides: bool) -> Image:
    """Flag with 4 what is on the detector, but beyond the aperture; overscan is not flagged.

    Parameters
    ----------
    lit
        Of :func:`find_lit_region`. Where it does not touch the image nothing is flagged.
    sides
        Flag left and right of it too: not in spectra, which reach beyond.
    """
    ny, nx = image.shape
    if lit.y0 >= ny or lit.y1 <= 0 or (sides and (lit.x0 >= nx or lit.x1 <= 0)):
        return image
    y, x = np.mgrid[:ny, :nx]
    (x0, x1), (y0, y1) = (
        (_place(0, mapping, axis), _place(SIDE - 1, mapping, axis)) for axis in (0, 1)
    )
    beyond = (y < lit.y0) | (y >= lit.y1)
    if sides:
        beyond |= (x < lit.x0) | (x >= lit.x1)
    beyond &= (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
    bit = np.int16(StisDq.BAD_PIXEL)
    return dataclasses.replace(image, dq=np.where(beyond, image.dq | bit, image.dq))


def _place(detector: float, mapping: PixelMapping, axis: int) -> int:
    """Return the image pixel of a detector pixel; both are counted from 0."""
    ltm = mapping.ltm[axis]
    return nearest(detector * ltm + mapping.ltv[axis] + ltm - 1)
