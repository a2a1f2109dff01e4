"""Error of one pixel."""

from __future__ import annotations

import math

import numpy as np

from calib.compiled import compiled


@compiled("f4", "f4", "f4")
def add_in_quadrature(error: float, other: float) -> float:
    """Return sqrt(error² + other²) in 32 bits; NaN stays NaN.

    Not smaller than either, but for errors below 1e-19, whose squares vanish.
    """
    return math.sqrt(error * error + other * other)


@compiled("f4", "f4", "f4", "f4")
def initial_error(signal: float, read_noise: float, error: float) -> float:
    """Return sqrt(max(signal, 0) + read_noise² + error²), all in electrons, 32 bits.

    Poisson noise of the signal, read noise, and the error so far (that of the bias image);
    a NaN signal gives a NaN error. Source: calacs donoise; ACS Data Handbook 3.4.
    """
    electrons = np.float32(0.0) if signal < np.float32(0.0) else np.float32(signal)
    return math.sqrt(electrons + read_noise * read_noise + error * error)


@compiled("f4", "f4")
def counting_error(counts: float) -> float:
    """Return max(1, sqrt(counts)) in 32 bits; NaN gives 1.

    A negative number of counts, which no raw image has, is first cut to a whole one and
    counted as positive, as the program does. Source: calacs donoise, ACS Data Handbook 3.4.6.
    """
    number = np.float32(counts)
    if number < np.float32(0.0):
        number = np.float32(-math.ceil(number))
    root = np.float32(math.sqrt(number))
    if root > np.float32(1.0):
        return root  # type: ignore[return-value]
    return np.float32(1.0)  # type: ignore[return-value]
