"""Cross-talk of the WFC: a pixel loses a little to the one read out at the same time.

For full frames since Servicing Mission 4 read by the dual-slope integrator at gain 2. Sources:
ACS Data Handbook 4.2 and 3.4.4; calacs cross_talk_corr.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from calib.arithmetic.electronics import add_cross_talk
from calib.compiled import compiled
from calib.image import Float, Image


def remove_cross_talk(image: Image) -> Image:
    """Give back to each pixel what its mirror image took. Each row by itself.

    A trap: calacs goes from left to right in place, so the right half sees left pixels that
    are corrected already. The difference is 1e-8 of the signal; kept for equal bits.

    Parameters
    ----------
    image
        Whole rows of a chip read by two amplifiers, in electrons. ERR and DQ are kept;
        flagged pixels are used like others; a NaN spoils its mirror image too.
    """
    sci = np.empty(image.shape, np.float32)
    _correct(np.ascontiguousarray(image.sci, np.float32), sci)
    return dataclasses.replace(image, sci=sci)


@compiled("void", "f4[:,:]", "out f4[:,:]")
def _correct(sci: Float, out: Float) -> None:
    """Correct; an index that cannot be negative (uint64) lets the loops vectorise."""
    ny, nx = sci.shape
    half = (nx + 1) // 2
    for y in range(ny):
        left, right, end = sci[y, :half], sci[y, half:], sci[y, nx - half :]
        made, rest = out[y, :half], out[y, half:]
        for x in range(half):
            made[x] = add_cross_talk(left[x], end[np.uint64(half - 1 - x)])
        for x in range(nx - half):
            rest[x] = add_cross_talk(right[x], made[np.uint64(nx - half - 1 - x)])
