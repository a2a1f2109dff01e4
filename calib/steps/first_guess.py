"""First guess of cosmic-ray rejection: what a pixel looks like without a cosmic ray.

Source: calacs acsrej (INITGUES ``min`` and ``med``).
"""

from __future__ import annotations

import numpy as np

from calib.compiled import Stack
from calib.image import Float


def take_minimum(rates: Stack, bad: int) -> Float:
    """Return the smallest rate of each pixel over the images.

    Where it belongs to a flagged pixel the guess is 0: see :func:`value_of_flagged`.

    Parameters
    ----------
    rates
        Sky-subtracted count rates, shape (images, ny, nx). NaN in the first image stays, in a
        later one it does not count.
    bad
        Mask of flags (BADINPDQ).
    """
    guess = value_of_flagged(rates, bad, 0)
    for number in range(1, len(rates.sci)):
        lower = rates.sci[number] < guess
        guess = np.where(lower, value_of_flagged(rates, bad, number), guess)
    return guess


def value_of_flagged(rates: Stack, bad: int, number: int) -> Float:
    """Return the rates of an image with 0 where it is flagged: a trap.

    A flagged pixel is not passed over. It enters the minimum with 0, and a good pixel of
    another image replaces it only if that is below 0.
    """
    flagged = (rates.dq[number] & bad) != 0
    return np.where(flagged, np.float32(0), rates.sci[number])


def take_median(rates: Stack, bad: int) -> Float:
    """Return the median of the unflagged rates of each pixel, 0 where all are flagged.

    The mean of the middle two for an even number; NaN counts as flagged.
    """
    usable = ((rates.dq & bad) == 0) & np.isfinite(rates.sci)
    ordered = np.sort(np.where(usable, rates.sci, np.float32(np.inf)), axis=0)
    count = usable.sum(axis=0)
    lower, upper = np.maximum(count - 1, 0) // 2, count // 2
    middle = [np.take_along_axis(ordered, place[None], 0)[0] for place in (lower, upper)]
    with np.errstate(invalid="ignore"):
        median = (middle[0] + middle[1]) / np.float32(2)
    return np.where(count > 0, median, np.float32(0))
