"""Fused loops for CCD images, one amplifier."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from calib.arithmetic.error import add_in_quadrature, initial_error
from calib.arithmetic.flags import flag_if, is_good, merge
from calib.arithmetic.flat import divide_error, divide_signal
from calib.arithmetic.signal import scale, subtract, subtract_level
from calib.compiled import Planes, compiled

Doubles = npt.NDArray[np.float64]

FULL_WELL = 256  # calib.dq.AcsDq.FULL_WELL and BAD_REFERENCE, as plain numbers for numba
BAD_REFERENCE = 512


@compiled("void", "planes", "planes", "f4", "out planes")
def bias_to_electrons(image: Planes, bias: Planes, gain: float, out: Planes) -> None:
    """Subtract a bias, then multiply by the gain."""
    ny, nx = image.sci.shape
    for y in range(ny):
        for x in range(nx):
            out.sci[y, x] = scale(subtract(image.sci[y, x], bias.sci[y, x]), gain)
            error = add_in_quadrature(image.err[y, x], bias.err[y, x])
            out.err[y, x] = scale(error, gain)
            out.dq[y, x] = merge(image.dq[y, x], bias.dq[y, x])


@compiled("void", "planes", "f8[:]", "f8[:]", "planes", "f4", "i8[:]", "out planes")
def level_to_error(
    image: Planes,
    levels: Doubles,
    drifts: Doubles,
    limit: Planes,
    read_noise: float,
    origin: npt.NDArray[Any],
    out: Planes,
) -> None:
    """Subtract the bias level, flag the full well, initialise the error, trim.

    `origin` is row and column of the first science pixel; `out` has the trimmed shape.
    """
    for j in range(levels.size):
        for i in range(drifts.size):
            y, x = origin[0] + j, origin[1] + i
            signal = subtract_level(image.sci[y, x], levels[j], drifts[i])
            out.sci[j, i] = signal
            out.dq[j, i] = flag_if(image.dq[y, x], signal > limit.sci[y, x], FULL_WELL)
            out.err[j, i] = initial_error(signal, read_noise, image.err[y, x])


@compiled("void", "planes", "planes", "f4", "planes", "i4", "out planes", "out f8[:]")
def dark_to_flat(
    image: Planes,
    dark: Planes,
    seconds: float,
    flat: Planes,
    serious: int,
    out: Planes,
    sums: Doubles,
) -> None:
    """Subtract the scaled dark, then divide by the flat; sum and count the good dark pixels."""
    ny, nx = image.sci.shape
    for y in range(ny):
        for x in range(nx):
            level = scale(dark.sci[y, x], seconds)
            signal = subtract(image.sci[y, x], level)
            error = add_in_quadrature(image.err[y, x], scale(dark.err[y, x], seconds))
            gain = flat.sci[y, x]
            out.err[y, x] = divide_error(signal, error, gain, flat.err[y, x])
            out.sci[y, x] = divide_signal(signal, gain)
            flags = merge(merge(image.dq[y, x], dark.dq[y, x]), flat.dq[y, x])
            out.dq[y, x] = flag_if(flags, gain == 0, BAD_REFERENCE)
            if is_good(dark.dq[y, x], serious):
                sums[0] += level
                sums[1] += 1.0
