"""Enlargement of references that are coarser than the image: shading, low-order flat.

Sources: calacs unbinsect, interpinfo; calstis unbin2d.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from calib.errors import MissingReference
from calib.image import Flags, Float, Image
from calib.steps.section import PixelMapping, find_offset

Indices = npt.NDArray[np.int64]
PAIR = 2  # rows that the program expands at a time (SECTLINES)


class Weights(NamedTuple):
    """Where fine pixels lie among coarse ones along one axis.

    Attributes
    ----------
    low
        Coarse pixel before; the other one is the next.
    of_low, of_high
        Their weights. Beyond the outer centres one is negative: extrapolation.
    flag_low, flag_high
        Coarse pixels whose flags count; equal where it is one only.
    """

    low: Indices
    of_low: Float
    of_high: Float
    flag_low: Indices
    flag_high: Indices


def match_reference(
    reference: Image, of_reference: PixelMapping, of_image: PixelMapping, shape: tuple[int, int]
) -> Image:
    """Return the part of a reference that belongs to an image, enlarged where it is coarser.

    Parameters
    ----------
    of_reference, of_image
        Mappings from detector pixels.
    shape
        Of the image.

    Raises
    ------
    MissingReference
        The reference is finer than the image or no whole number of times coarser, has a
        single row or column to interpolate in, or does not cover the image.
    """
    ratio = tuple(
        whole // part if whole % part == 0 else 0
        for whole, part in zip(of_reference.bins, of_image.bins, strict=True)
    )
    if 0 in ratio:
        raise MissingReference(
            "the reference is binned otherwise than the image",
            expected=f"{of_image.bins} or a multiple",
            found=of_reference.bins,
        )
    by_x, by_y = ratio
    whole = enlarge(reference, by_x, by_y)
    offset = find_offset(of_image, finer(of_reference, by_x, by_y), shape, whole.shape)
    rows, columns = slice(offset.y, offset.y + shape[0]), slice(offset.x, offset.x + shape[1])
    return whole if offset.same_size else whole.cut(rows, columns)


def enlarge(image: Image, by_x: int, by_y: int, *, in_pairs: bool = True) -> Image:
    """Enlarge by linear interpolation between the centres of pixels, two rows at a time.

    The values of two rows are never connected with those of the next two, which is a trap:
    rows 0 and 1 give all fine rows up to 2 * by_y, extrapolated at both ends, rows 2 and 3
    the next ones. An odd last row goes with the one before it. Errors are interpolated as
    variances (0 where that is negative), flags of both neighbours are joined.

    Parameters
    ----------
    in_pairs
        False: connect all rows, as calstis (unbin2d) does for the low-order flat.

    Raises
    ------
    MissingReference
        There is a single row or column.
    """
    if by_x == 1 and by_y == 1:
        return image
    if min(image.shape) < PAIR:
        raise MissingReference(
            "the reference is too small to be enlarged",
            expected="at least two rows and columns",
            found=image.shape,
        )
    of_rows = _in_pairs if in_pairs else _weights
    y, x = of_rows(image.shape[0], by_y), _weights(image.shape[1], by_x)
    variance = _interpolate(image.err, y, x, power=2)
    err = np.sqrt(np.where(variance > 0, variance, np.float32(0)))
    return Image(_interpolate(image.sci, y, x), err, _join(image.dq, y, x), unit=image.unit)


def finer(mapping: PixelMapping, by_x: int, by_y: int) -> PixelMapping:
    """Return the mapping of an enlarged image: its pixels are parts of the coarse ones."""
    pairs = zip(mapping.ltv, (by_x, by_y), strict=True)
    x, y = (by * (ltv - 0.5) + 0.5 for ltv, by in pairs)
    ltm_x, ltm_y = mapping.ltm
    return PixelMapping((x, y), (ltm_x * by_x, ltm_y * by_y))


def _weights(size: int, by: int) -> Weights:
    if by == 1:
        same, one = np.arange(size), np.ones(size, np.float32)
        return Weights(same, one, 0 * one, same, same)
    fine = np.arange(size * by).astype(np.float32)
    place = (fine - np.float32((by - 1) / 2)) / np.float32(by)
    cut = place.astype(np.int64)  # towards zero
    low = np.clip(cut, 0, max(size - 2, 0))
    of_high = place - low.astype(np.float32)
    alone = (place == cut.astype(np.float32)) | (cut <= 0) | (cut >= size - 1)
    flag_low = np.clip(cut, 0, size - 1)
    return Weights(
        low, np.float32(1) - of_high, of_high, flag_low, np.where(alone, flag_low, flag_low + 1)
    )


def _in_pairs(rows: int, by: int) -> Weights:
    """Return the weights along y, found anew for each pair of rows."""
    if by == 1:
        return _weights(rows, by)
    pair = _weights(PAIR, by)
    starts = [min(start, rows - PAIR) for start in range(0, rows, PAIR)]
    parts = [
        pair._replace(
            low=pair.low + start,
            flag_low=pair.flag_low + start,
            flag_high=pair.flag_high + start,
        )
        for start in starts
    ]
    joined: list[Any] = [np.concatenate(column) for column in zip(*parts, strict=True)]
    if rows % PAIR:  # the last pair overlaps the one before: its first half is there already
        again = slice(len(joined[0]) - PAIR * by, len(joined[0]) - by)
        joined = [np.delete(column, again) for column in joined]
    return Weights(*joined)


def _interpolate(values: Float, y: Weights, x: Weights, power: int = 1) -> Float:
    """Return the weighted sum of the corners, in 32 bits and in the order of the program."""
    total = np.zeros((y.low.size, x.low.size), np.float32)
    rows = ((y.low, y.of_low), (y.low + 1, y.of_high))
    columns = ((x.low, x.of_low), (x.low + 1, x.of_high))
    for (row, of_row), (column, of_column) in itertools.product(rows, columns):
        if of_row.any() and of_column.any():  # an axis that is not enlarged has no next pixel
            term = of_column * of_row[:, None]
            for _ in range(power):
                term *= values[np.ix_(row, column)]
            total += term
    return total


def _join(flags: Flags, y: Weights, x: Weights) -> Flags:
    rows = flags[y.flag_low] | flags[y.flag_high]
    return rows[:, x.flag_low] | rows[:, x.flag_high]
