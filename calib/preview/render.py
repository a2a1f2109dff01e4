"""Arrange and shrink images: chips above each other, row 0 at the bottom, thumbnails."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calib.preview.limits import Mask, Pixels
from calib.preview.stretch import Grey

# Gap between two chips as a share of their width. The real gaps of ACS/WFC (50 pixels of
# 4096) and WFC3/UVIS (35) are about 1 % (instrument handbooks, section on the CCD layout).
GAP_SHARE = 0.01


def stack_chips(chips: Sequence[Grey]) -> Grey:
    """Put chips above each other with a black gap, the first at the bottom, and turn upright.

    Parameters
    ----------
    chips
        Grey levels, each of shape (ny, nx) with row 0 first, as FITS stores them. Narrower
        ones are filled up with black at the right.

    Returns
    -------
    ndarray of uint8
        The picture as it is painted: its first row is the top of the last chip.
    """
    width = max(chip.shape[1] for chip in chips)
    gap = np.zeros((max(1, round(GAP_SHARE * width)), width), np.uint8)
    rows: list[Grey] = []
    for chip in reversed(chips):
        filled = np.pad(chip[::-1], ((0, 0), (0, width - chip.shape[1])))
        rows += [gap, filled] if rows else [filled]
    return np.vstack(rows)


def shrink_factor(shape: tuple[int, int], longest: int) -> int:
    """Return the largest whole factor that leaves the longer side at `longest` or more."""
    return max(1, max(shape) // longest)


def block_mean(data: Pixels, mask: Mask, factor: int) -> Pixels:
    """Average blocks of `factor` by `factor` pixels over the good ones.

    Parameters
    ----------
    data
        Shape (ny, nx).
    mask
        True where a pixel is good; shape (ny, nx).
    factor
        Side of a block, in pixels. The last row and column of blocks may be smaller.

    Returns
    -------
    ndarray of float32
        Shape (ceil(ny / factor), ceil(nx / factor)); NaN where a block has no good pixel.
    """
    total = _block_sum(np.where(mask, data, np.float32(0)), factor)
    count = _block_sum(mask.astype(np.float32), factor)
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def _block_sum(data: Pixels, factor: int) -> Pixels:
    """Sum along x, then along y; reduceat takes the incomplete last block as it is."""
    ny, nx = data.shape
    along_x = np.add.reduceat(data, np.arange(0, nx, factor), axis=1, dtype=np.float32)
    return np.add.reduceat(along_x, np.arange(0, ny, factor), axis=0, dtype=np.float32)


def fit_within(shape: tuple[int, int], longest: int) -> tuple[int, int]:
    """Return width and height scaled down so that the longer side is `longest`.

    Small pictures keep their size, and no side falls below one pixel.
    """
    ny, nx = shape
    scale = min(1.0, longest / max(shape))
    return max(1, round(nx * scale)), max(1, round(ny * scale))
