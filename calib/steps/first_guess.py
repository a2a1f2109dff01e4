"""First guess of cosmic-ray rejection: what a pixel looks like without a cosmic ray.

Source: calacs acsrej (INITGUES ``min`` and ``med``). Each pixel is guessed by itself, so any
block of rows has the bits of the whole image.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calib.arithmetic.rejection import count_rate
from calib.compiled import Planes, compiled
from calib.image import Float
from calib.steps.count_rates import CountRates

UNUSABLE = np.float32(np.inf)


def take_minimum(exposures: Sequence[CountRates], bad: int) -> Float:
    """Return the smallest rate of each pixel over the exposures.

    Where it belongs to a flagged pixel the guess is 0: a trap. A flagged pixel is not passed
    over. It enters the minimum with 0, and a good pixel of another exposure replaces it only
    if that is below 0. All pixels of an exposure of 0 seconds enter so.

    Parameters
    ----------
    exposures
        Of one shape (ny, nx). NaN in the first one stays, in a later one it does not count.
    bad
        Mask of flags (BADINPDQ).
    """
    guess = np.full(exposures[0].pixels.sci.shape, np.inf, np.float32)
    for number, exposure in enumerate(exposures):
        if exposure.seconds > 0:
            _lower(exposure.pixels, exposure.scale, bad, number == 0, guess)
        else:
            guess = np.minimum(guess, np.float32(0))
    return guess


@compiled("void", "planes", "f4[:]", "i4", "b1", "out f4[:,:]")
def _lower(image: Planes, scale: Float, bad: int, first: bool, guess: Float) -> None:
    """Lower the guess where the rate is smaller, or is the first; to 0 where it is flagged."""
    rows, columns = guess.shape
    for y in range(rows):
        for x in range(columns):
            rate = count_rate(image.sci[y, x], scale[0], scale[1])
            value = np.float32(0) if (image.dq[y, x] & bad) != 0 else rate
            guess[y, x] = value if first or rate < guess[y, x] else guess[y, x]


def take_median(exposures: Sequence[CountRates], bad: int) -> Float:
    """Return the median of the unflagged rates of each pixel, 0 where all are flagged.

    The mean of the middle two for an even number; NaN and infinite values count as flagged,
    and exposures of 0 seconds do not count.

    Parameters
    ----------
    exposures
        Of one shape (ny, nx).
    bad
        Mask of flags (BADINPDQ).
    """
    used = [exposure for exposure in exposures if exposure.seconds > 0]
    shape = exposures[0].pixels.sci.shape
    rates = np.empty((len(used), *shape), np.float32)
    for rate, exposure in zip(rates, used, strict=True):
        _fill_rates(exposure.pixels, exposure.scale, bad, rate)
    guess = np.empty(shape, np.float32)
    _take_middle(rates, guess)
    return guess


@compiled("void", "planes", "f4[:]", "i4", "out f4[:,:]")
def _fill_rates(image: Planes, scale: Float, bad: int, rates: Float) -> None:
    """Fill in the rates, UNUSABLE where one is not usable."""
    rows, columns = rates.shape
    for y in range(rows):
        for x in range(columns):
            rate = count_rate(image.sci[y, x], scale[0], scale[1])
            usable = (image.dq[y, x] & bad) == 0 and np.isfinite(rate)
            rates[y, x] = rate if usable else UNUSABLE


@compiled("void", "f4[:,:,:]", "out f4[:,:]")
def _take_middle(rates: Float, guess: Float) -> None:
    """Take the middle of the usable rates of each pixel, in a list that is kept in order."""
    count, rows, columns = rates.shape
    ordered = np.empty(count, np.float32)
    for y in range(rows):
        for x in range(columns):
            known = 0
            for n in range(count):
                rate = rates[n, y, x]
                if rate == UNUSABLE:
                    continue
                place = known
                while place > 0 and ordered[place - 1] > rate:
                    ordered[place] = ordered[place - 1]
                    place -= 1
                ordered[place] = rate
                known += 1
            middle = ordered[max(known - 1, 0) // 2] + ordered[known // 2 if known else 0]
            guess[y, x] = middle / np.float32(2) if known else 0
