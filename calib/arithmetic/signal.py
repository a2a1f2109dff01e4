"""Signal of one pixel: offsets, factors, bias level."""

from __future__ import annotations

import numpy as np

from calib.compiled import compiled


@compiled("f4", "f4", "f4")
def subtract(value: float, offset: float) -> float:
    """Return value - offset in 32 bits; NaN in either gives NaN."""
    return value - offset


@compiled("f4", "f4", "f4")
def scale(value: float, factor: float) -> float:
    """Return value * factor in 32 bits; NaN in either gives NaN."""
    return value * factor


@compiled("f4", "f4", "f8", "f8")
def subtract_level(value: float, level: float, drift: float) -> float:
    """Return (value - level) - drift, in 64 bits and rounded once (calacs doblev)."""
    return np.float32(np.float64(value) - level - drift)  # type: ignore[return-value]
