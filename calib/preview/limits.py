"""Which pixel values become black and white.

The low limit is the zscale one, which follows the sky; the high one is a high percentile,
which keeps stars and nebulae from burning out, and in empty fields a height above the sky.
Bad pixels do not vote.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from astropy.visualization import ZScaleInterval

Pixels = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

# DQ bits whose pixels say nothing about the sky: Reed-Solomon error 1, data lost 2, bad pixel
# 4, masked or unstable zero level 8, hot 16, bias 128, bad reference 512, cosmic rays 4096
# and 8192 (ACS Data Handbook table 3.4, WFC3 table 3.3, STIS table 2.8 agree on these). Warm
# and saturated pixels, blemishes and charge traps carry light and do vote.
SERIOUS_BITS = 1 | 2 | 4 | 8 | 16 | 128 | 512 | 4096 | 8192

# CALDP: fitscut --autoscale=99.5.
HIGH_PERCENTILE = 99.5

# In an empty field that percentile is still noise, and the sky would be painted nearly white.
# White is then this far above the sky, in units of its scatter (visual check on SBC and WFC
# fields of few stars), but not beyond the brightest pixel.
LEAST_HEIGHT = 30.0

_MAD_TO_SIGMA = 1.4826  # for a normal distribution

# Sorting this many is instant, and a percentile of them is good to a few hundredths of it.
_SAMPLE = 100_000

# With fewer voters than this share of the finite pixels the flags are doubted, not the image:
# some files have every pixel flagged.
_LEAST_SHARE = 0.01


class Limits(NamedTuple):
    """Pixel values painted black and white, `low` < `high`."""

    low: float
    high: float


def voters(data: npt.NDArray[Any], dq: npt.NDArray[Any] | None) -> Mask:
    """Mark the pixels that limits and means are taken from.

    Parameters
    ----------
    data
        Shape (ny, nx).
    dq
        Data quality, shape (ny, nx), or None where there is none.

    Returns
    -------
    ndarray of bool
        Finite pixels without a serious bit; all finite pixels where those are hardly any
        (below 1 %).
    """
    finite: Mask = np.isfinite(data)
    if dq is None:
        return finite
    good: Mask = finite & ((dq & SERIOUS_BITS) == 0)
    return good if good.sum() > _LEAST_SHARE * finite.sum() else finite


def without_overscan(mask: Mask, offset: tuple[float, float]) -> Mask:
    """Let no overscan vote: its level is the bias alone.

    LTV1 and LTV2 of an untrimmed image count the overscan columns at the left and rows at
    the bottom; as many are taken off at the right and at the top. Negative values belong to
    subarrays, which have none.

    Parameters
    ----------
    mask
        Shape (ny, nx); not changed.
    offset
        LTV1 and LTV2, in pixels.
    """
    columns, rows = (max(0, round(v)) for v in offset)
    ny, nx = mask.shape
    inside = np.zeros_like(mask)
    inside[rows : ny - rows, columns : nx - columns] = True
    trimmed = mask & inside
    return trimmed if trimmed.any() else mask


def sample_votes(data: Pixels, mask: Mask) -> Pixels:
    """Take good pixels at even distances, enough of them for stable limits.

    Parameters
    ----------
    data, mask
        Shape (ny, nx).

    Returns
    -------
    ndarray
        One-dimensional; all good pixels where they are few.
    """
    step = max(1, data.size // (4 * _SAMPLE))
    thinned: Pixels = data.ravel()[::step][mask.ravel()[::step]]
    few = thinned.size < _SAMPLE
    return data[mask] if few and step > 1 else thinned


def find_limits(values: Pixels) -> Limits:
    """Find the limits of a one-dimensional sample of good pixels.

    Parameters
    ----------
    values
        Finite, any unit, any length. A long array is thinned evenly.

    Returns
    -------
    Limits
        (0, 1) for no values; a little below and above the value for a constant.
    """
    if values.size == 0:
        return Limits(0.0, 1.0)
    sample = values[:: max(1, values.size // _SAMPLE)].astype(np.float64)
    low = float(ZScaleInterval().get_limits(sample)[0])
    middle, percentile = np.percentile(sample, (50.0, HIGH_PERCENTILE))
    scatter = _MAD_TO_SIGMA * np.median(np.abs(sample - middle))
    floor = min(middle + LEAST_HEIGHT * scatter, sample.max())
    high = float(max(percentile, floor))
    if high <= low:
        low, high = float(sample.min()), float(sample.max())
    if high <= low:
        margin = max(1.0, abs(low) * 1e-6)  # a float32 step at least
        low, high = low - margin, high + margin
    return Limits(low, high)
