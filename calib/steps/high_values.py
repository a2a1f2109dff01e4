"""Hot columns in the virtual overscan: replaced before a line is fitted to it.

Source: calstis blevdrift (rejectHighValues).
"""

from __future__ import annotations

import math

import numpy as np

from calib.image import Float, Image
from calib.steps.section import Region

OUTLIERS = 4.5  # times the median deviation, about 3 sigma: left out of sigma (calstis)
REACH = 10  # columns on both sides that a replacement comes from (calstis)


def replace_high_values(image: Image, region: Region, clip: float) -> Image:
    """Replace what lies far above the median of a region by the median of its neighbours.

    All pixels of the region count, flagged or not. A neighbour that was replaced before
    counts with its new value: rows go from left to right, as in the program.

    Parameters
    ----------
    image
        In DN. NaN neither counts nor is replaced.
    region
        Where to look.
    clip
        How many sigma above the median is too high (BLEV_CLIP of the CCD table).

    Returns
    -------
    Image
        With SCI changed inside the region; errors and flags are kept.
    """
    rows, columns = slice(region.y0, region.y1), slice(region.x0, region.x1)
    sci = image.sci.copy()
    part = sci[rows, columns]
    high = part > _limit(part, clip)
    for y, x in np.argwhere(high):
        part[y, x] = _median_around(part[y], int(x))
    return Image(sci, image.err, image.dq, image.unit)


def _limit(values: Float, clip: float) -> float:
    """Return median + clip * sigma; sigma of what is within 4.5 median deviations."""
    finite = values[np.isfinite(values)].astype(np.float64)
    if finite.size == 0:
        return math.inf
    middle = np.median(finite)
    deviations = np.abs(finite - middle)
    kept = deviations[deviations <= OUTLIERS * np.median(deviations)]
    return float(middle + clip * math.sqrt(float(np.mean(kept**2))))


def _median_around(row: Float, x: int) -> float:
    """Return the median of 21 values around a place, or of the nearest 21 at an edge."""
    first = max(x - REACH, 0)
    first = max(min(first, row.size - 1 - 2 * REACH), 0)
    return float(np.nanmedian(row[first : first + 2 * REACH + 1]))
