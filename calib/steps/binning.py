"""Binning of references that are finer than the image: several of their pixels make one.

Source: calstis bin2d and findbin (STIS Data Handbook 3.4: the CCD can be binned by 2 or 4).
"""

from __future__ import annotations

import numpy as np

from calib.errors import MissingReference
from calib.image import Flags, Image
from calib.steps.section import PixelMapping


def bin_image(image: Image, by_x: int, by_y: int, *, average: bool) -> Image:
    """Put by_x times by_y pixels together; columns and rows that are left over are cut off.

    Parameters
    ----------
    image
        Shape (ny, nx). NaN makes the whole bin NaN.
    by_x, by_y
        Pixels of a bin; 1 and more.
    average
        Take the mean (flat fields) instead of the sum (bias, dark).

    Returns
    -------
    Image
        Sum or mean of SCI, the error of that, all flags of the bin; shape (ny // by_y,
        nx // by_x).
    """
    if by_x == 1 and by_y == 1:
        return image
    sci = _blocks(image.sci, by_x, by_y).sum(axis=(1, 3), dtype=np.float32)
    err = np.sqrt((_blocks(image.err, by_x, by_y) ** 2).sum(axis=(1, 3), dtype=np.float32))
    weight = np.float32(by_x * by_y if average else 1)
    dq = join_flags(image.dq, by_x, by_y)
    return Image(sci / weight, err / weight, dq, image.unit)


def join_flags(flags: Flags, by_x: int, by_y: int) -> Flags:
    """Return all flags of each bin, shape (ny // by_y, nx // by_x)."""
    joined: Flags = np.bitwise_or.reduce(
        np.bitwise_or.reduce(_blocks(flags, by_x, by_y), axis=3), axis=1
    )
    return joined


def match_finer(
    reference: Image,
    of_reference: PixelMapping,
    of_image: PixelMapping,
    shape: tuple[int, int],
    *,
    average: bool,
) -> Image:
    """Return the part of a reference that belongs to an image, binned like it.

    Parameters
    ----------
    of_reference, of_image
        Mappings from detector pixels.
    shape
        Of the image.
    average
        As for :func:`bin_image`.

    Raises
    ------
    MissingReference
        The reference is coarser than the image, does not cover it, or its pixels are no whole
        part of those of the image.
    """
    by_x, by_y = _ratio(of_reference, of_image)
    x, y = (
        (mine - other) // step
        for mine, other, step in zip(
            of_image.centred_corner, of_reference.centred_corner, of_reference.bins, strict=True
        )
    )
    (ny, nx), whole = shape, reference.shape
    if x < 0 or y < 0 or y + ny * by_y > whole[0] or x + nx * by_x > whole[1]:
        raise MissingReference(
            "the reference does not cover the image",
            expected=f"{nx * by_x} x {ny * by_y} pixels from ({x}, {y})",
            found=f"{whole[1]} x {whole[0]} pixels",
        )
    part = reference.cut(slice(y, y + ny * by_y), slice(x, x + nx * by_x))
    return bin_image(part, by_x, by_y, average=average)


def _ratio(of_reference: PixelMapping, of_image: PixelMapping) -> tuple[int, int]:
    pairs = list(zip(of_image.bins, of_reference.bins, strict=True))
    if any(mine % other for mine, other in pairs):
        raise MissingReference(
            "the reference is binned otherwise than the image",
            expected=f"{of_image.bins} or a whole part of it",
            found=of_reference.bins,
        )
    by_x, by_y = (mine // other for mine, other in pairs)
    return by_x, by_y


def _blocks(values: np.ndarray, by_x: int, by_y: int) -> np.ndarray:
    """Return bins as axes 1 and 3 of shape (ny // by_y, by_y, nx // by_x, by_x)."""
    ny, nx = values.shape[0] // by_y, values.shape[1] // by_x
    return values[: ny * by_y, : nx * by_x].reshape(ny, by_y, nx, by_x)
