"""Flat field of one pixel. Source: ACS Data Handbook 3.4.11; calacs div1d."""

from __future__ import annotations

import math

import numpy as np

from calib.compiled import compiled


@compiled("f4", "f4", "f4")
def divide_signal(signal: float, flat: float) -> float:
    """Return signal / flat, or the signal untouched where the flat is 0 (flagged 512)."""
    return signal if flat == np.float32(0.0) else signal / flat


@compiled("f4", "f4", "f4", "f4", "f4")
def divide_error(signal: float, error: float, flat: float, flat_error: float) -> float:
    """Return the error of signal / flat in 32 bits, or the error untouched where flat is 0.

    The signal is that before the division; the two terms are error / flat and
    flat_error * signal / flat / flat, divided in this order.
    """
    if flat == np.float32(0.0):
        return error
    own = error / flat
    of_flat = flat_error * signal / flat / flat
    return math.sqrt(own * own + of_flat * of_flat)
