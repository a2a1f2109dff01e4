"""Cosmic-ray rejection of one pixel: rate, limits and tests, in 32 bits.

Source: calacs acsrej; ACS Data Handbook 3.4.8. All limits are of squared count rates.
"""

from __future__ import annotations

import numpy as np

from calib.compiled import compiled


@compiled("f4", "f4", "f4", "f4")
def count_rate(electrons: float, sky: float, seconds: float) -> float:
    """Return the sky-subtracted count rate [electrons/s]."""
    return (electrons - sky) / seconds


@compiled("f4", "f4", "f4", "f4", "f4", "f4")
def hit_limit(
    error: float, average: float, seconds: float, sigma_squared: float, scale_noise: float
) -> float:
    """Return sigma² (error² + (scale_noise * max(average * seconds, 0))²) / seconds².

    `average` is the rate that is taken for the truth; `scale_noise` (SCALENSE / 100) allows
    for stars that moved between the exposures. A NaN error or average gives NaN.
    """
    signal = average * seconds
    electrons: float = np.float32(0.0) if signal < np.float32(0.0) else np.float32(signal)  # type: ignore[assignment]
    extra = scale_noise * electrons
    return sigma_squared * (error * error + extra * extra) / (seconds * seconds)


@compiled("f4", "f4", "f4", "f4", "f4")
def spill_limit(error: float, seconds: float, sigma_squared: float, share: float) -> float:
    """Return the limit for a neighbour of a hit: `share` times that of a faint pixel.

    `share` is the squared threshold, or negative for a limit that everything exceeds. The
    scale noise does not count here.
    """
    return share * (sigma_squared * (error * error) / (seconds * seconds))


@compiled("b1", "f4", "f4", "f4")
def differs(rate: float, average: float, limit: float) -> bool:
    """Whether (rate - average)² exceeds the limit; NaN never does."""
    difference = rate - average
    return difference * difference > limit


@compiled("b1", "f4", "f4", "f4")
def agrees(rate: float, average: float, limit: float) -> bool:
    """Whether (rate - average)² does not exceed the limit; NaN never agrees."""
    difference = rate - average
    return difference * difference <= limit
