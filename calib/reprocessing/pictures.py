"""Before, after and their difference as small pictures."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from calib.fitsfile.image_data import ImageSet
from calib.preview.limits import find_limits, sample_votes, voters
from calib.preview.render import block_mean
from calib.preview.stretch import stretch_asinh
from calib.reprocessing.palette import palette
from calib.reprocessing.pixel_differences import robust_limit

Array = npt.NDArray[Any]

# Longest side, pixels: three stand beside each other on a wide screen.
LONGEST = 480

# Where fewer pixels changed than this, the mean of a block would hide them.
_SPARSE = 0.1

# Of a few pixels this part has less than the full colour, per cent: each of them is to be seen.
_SPARSE_COVERED = 50


@dataclass(frozen=True)
class Pictures:
    """Three pictures of one size, PNG.

    Attributes
    ----------
    old, new
        Grey, at one stretch: limits and all are those of the old one.
    difference
        New minus old, blue below and red above zero.
    width, height
        Of each, pixels.
    block
        Side of the square of pixels that one pixel shows.
    limit
        The difference that has the full colour.
    is_mean
        Whether a block shows its mean. Otherwise few pixels changed, and it shows the largest
        difference of itself and of the blocks around it, so that they can be seen.
    low, high
        Black and white of `old` and `new`.
    """

    old: bytes
    new: bytes
    difference: bytes
    width: int
    height: int
    block: int
    limit: float
    is_mean: bool
    low: float
    high: float


def draw_pictures(before: ImageSet, after: ImageSet) -> Pictures:
    """Draw SCI before and after, and the difference; row 0 is at the bottom."""
    old, new = (each.planes["SCI"].astype(np.float32, copy=False) for each in (before, after))
    block = max(1, math.ceil(max(old.shape) / LONGEST))
    mask = voters(old, before.planes.get("DQ"))
    limits = find_limits(sample_votes(old, mask))
    delta, is_mean = _difference(old, new, block)
    seen = delta[np.isfinite(delta) & (delta != 0)]
    limit = robust_limit(seen, None if is_mean else _SPARSE_COVERED) or 1.0
    greys = [stretch_asinh(block_mean(x, np.isfinite(x), block), limits) for x in (old, new)]
    height, width = greys[0].shape
    before_png, after_png = (_png(Image.fromarray(grey[::-1])) for grey in greys)
    return Pictures(
        old=before_png,
        new=after_png,
        difference=_png(_coloured(delta[::-1], limit)),
        width=width,
        height=height,
        block=block,
        limit=limit,
        is_mean=is_mean,
        low=limits.low,
        high=limits.high,
    )


def _difference(old: Array, new: Array, block: int) -> tuple[Array, bool]:
    finite = np.isfinite(old) & np.isfinite(new)
    with np.errstate(invalid="ignore", over="ignore"):
        delta = np.where(finite, new - old, np.float32(np.nan))
    is_mean = bool(np.count_nonzero(delta[finite]) >= _SPARSE * max(1, finite.sum()))
    if is_mean:
        return block_mean(delta, np.isfinite(delta), block), True
    return _grown(_extremes(delta, block)), False


def _extremes(delta: Array, block: int) -> Array:
    """Return the difference of each block that is farthest from zero."""
    ny, nx = delta.shape
    steps = [np.arange(0, size, block) for size in (ny, nx)]
    found = []
    for pick in (np.fmax, np.fmin):
        along = pick.reduceat(pick.reduceat(delta, steps[1], axis=1), steps[0], axis=0)
        found.append(along)
    return np.where(np.abs(found[0]) >= np.abs(found[1]), found[0], found[1])


def _grown(delta: Array) -> Array:
    """Let each pixel show the farthest from zero of itself and its neighbours."""
    padded = np.pad(delta, 1, constant_values=np.nan)
    ny, nx = delta.shape
    found = np.zeros_like(delta)
    for y, x in np.ndindex(3, 3):
        one = padded[y : y + ny, x : x + nx]
        found = np.where(np.abs(one) > np.abs(found), one, found)
    return np.where(np.isnan(delta), delta, found)


def _coloured(delta: Array, limit: float) -> Image.Image:
    """Paint differences with 255 colours of a palette; the last one is for those not known."""
    finite = np.isfinite(delta)
    with np.errstate(invalid="ignore", over="ignore"):
        place = np.clip(delta / np.float32(limit), -1, 1)
    levels = np.where(finite, np.rint(127 + 127 * np.where(finite, place, 0)), 255)
    picture = Image.fromarray(levels.astype(np.uint8)).convert("P")
    picture.putpalette(palette())
    return picture


def _png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True)
    return stream.getvalue()
