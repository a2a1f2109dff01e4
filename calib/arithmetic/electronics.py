"""What the readout electronics of the WFC add to one pixel since Servicing Mission 4.

All in 64 bits. Sources: ACS ISR 2012-02 (signal-dependent bias shift); calacs bias_shift_corr,
cross_talk_corr, destripe.
"""

from __future__ import annotations

import numpy as np

from calib.compiled import compiled

# Share of the pixel signal that charges the preamplifier (calacs).
CHARGED = 0.3
# Integration time and time per pixel [µs] of the dual-slope integrator (ISR 2012-02).
INTEGRATION = 10.0 / 22.0
# Electrons per electron that leak into the pixel read out at the same time (calacs).
CROSS_TALK = 9.1e-5


@compiled("f8", "f8", "f8", "f8")
def next_charge(value: float, uptake: float, charge: float) -> float:
    """Return the charge of the preamplifier after a pixel, from that before it.

    Parameters
    ----------
    value
        Signal of the pixel [electrons].
    uptake
        1 - exp(-t / tau): share that the time per pixel t lets flow.
    charge
        Before the pixel.
    """
    return value * uptake * CHARGED + (1.0 - uptake) * charge


@compiled("f8", "f8", "f8", "f8", "f8")
def unshifted(value: float, before: float, after: float, sensitivity: float) -> float:
    """Return the signal of a pixel without what the preamplifier added.

    Parameters
    ----------
    value
        Signal of the pixel [electrons].
    before, after
        Charge of the preamplifier.
    sensitivity
        Bias shift per charge.
    """
    return (value - sensitivity * after) - INTEGRATION * (after - before)


@compiled("f4", "f4", "f4")
def add_cross_talk(value: float, opposite: float) -> float:
    """Return the signal with the share added that the opposite pixel took from it.

    The share is rounded to 32 bits, then added in 32 bits.
    """
    return value + np.float32(np.float64(opposite) * CROSS_TALK)  # type: ignore[return-value]


@compiled("f8", "f8", "f8", "f8", "f8")
def stripe_at(position: float, row: float, lower: float, upper: float) -> float:
    """Return the stripe at a moment of the readout, counted in rows, on the line of two rows.

    Parameters
    ----------
    position
        The moment: row plus share of the row read.
    row
        Number of the lower row.
    lower, upper
        Stripe of the lower row and the next [electrons].
    """
    return lower + (position - row) * (upper - lower)


@compiled("f4", "f4", "f8", "f8")
def subtract_stripe(value: float, level: float, stripe: float) -> float:
    """Return (value - level) - stripe, rounded once."""
    return np.float32(np.float64(value) - level - stripe)  # type: ignore[return-value]
