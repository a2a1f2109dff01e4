"""Sections: which part of a full-frame reference belongs to an image, and trimming.

Sources: LTV/LTM keywords (ACS Data Handbook 2.4); calacs GetCorner, FindLine.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from calib.errors import MissingReference
from calib.image import Image


class PixelMapping(NamedTuple):
    """Linear mapping from detector to image pixels along both axes (LTV1, LTV2, LTM1_1, LTM2_2)."""

    ltv: tuple[float, float]
    ltm: tuple[float, float] = (1.0, 1.0)

    @property
    def corner(self) -> tuple[int, int]:
        """Detector pixel of the first image pixel (x, y); negative inside a leading overscan."""
        x, y = (nearest((1 / m - 1) - v / m) for v, m in zip(self.ltv, self.ltm, strict=True))
        return x, y

    @property
    def centred_corner(self) -> tuple[int, int]:
        """The same for STIS, whose LTV of a binned image maps the centres of pixels.

        Source: calstis getcorner. Without binning both agree.
        """
        x, y = (nearest((1 / m - 1) / 2 - v / m) for v, m in zip(self.ltv, self.ltm, strict=True))
        return x, y

    @property
    def bins(self) -> tuple[int, int]:
        """Detector pixels per image pixel along x and y."""
        x, y = (nearest(1 / m) for m in self.ltm)
        return x, y


class Region(NamedTuple):
    """Rows y0..y1 and columns x0..x1 of an image, ends excluded."""

    y0: int
    y1: int
    x0: int
    x1: int


class Offset(NamedTuple):
    """Reference pixel of the first image pixel, and whether the two cover the same pixels."""

    x: int
    y: int
    same_size: bool


def find_offset(
    image: PixelMapping, reference: PixelMapping, shape: tuple[int, int], whole: tuple[int, int]
) -> Offset:
    """Find an image in a reference.

    Parameters
    ----------
    image, reference
        Their mappings.
    shape, whole
        Their shapes (ny, nx).

    Raises
    ------
    MissingReference
        The reference is binned otherwise, or does not cover the image.
    """
    if image.bins != reference.bins:
        raise MissingReference(
            "the reference is binned otherwise than the image",
            expected=image.bins,
            found=reference.bins,
        )
    x = image.corner[0] - reference.corner[0]
    y = image.corner[1] - reference.corner[1]
    if x < 0 or y < 0 or y + shape[0] > whole[0] or x + shape[1] > whole[1]:
        raise MissingReference(
            "the reference does not cover the image",
            expected=f"{shape[1]} x {shape[0]} pixels from ({x}, {y})",
            found=f"{whole[1]} x {whole[0]} pixels",
        )
    return Offset(x, y, same_size=x == 0 and y == 0 and shape == whole)


def trim_overscan(image: Image, trim_x: tuple[int, int], trim_y: tuple[int, int]) -> Image:
    """Cut columns and rows off both sides."""
    ny, nx = image.shape
    return image.cut(slice(trim_y[0], ny - trim_y[1]), slice(trim_x[0], nx - trim_x[1]))


def nearest(value: float) -> int:
    """Round half away from zero, as the program does."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))
