"""Data-quality flags of one pixel. Bits are only ever added."""

from __future__ import annotations

import numpy as np

from calib.compiled import compiled


@compiled("i2", "i2", "i2")
def merge(flags: int, other: int) -> int:
    """Return both sets of bits."""
    return np.int16(flags | other)  # type: ignore[return-value]


@compiled("i2", "i2", "b1", "i4")
def flag_if(flags: int, condition: bool, bit: int) -> int:
    """Return the flags with `bit` added where the condition holds."""
    return np.int16(flags | bit) if condition else np.int16(flags)  # type: ignore[return-value]


@compiled("b1", "i2", "i4")
def is_good(flags: int, serious: int) -> bool:
    """Whether no serious bit is set; the sign bit counts as 32768."""
    return (flags & serious) == 0
