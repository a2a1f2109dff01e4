"""Data-quality bits of each detector.

Source: ACS Data Handbook table 3.4, WFC3 Data Handbook table 3.3, STIS Data Handbook
table 2.8, and what the HSTCAL programs write. Bits are only ever OR-ed in; the cosmic-ray
steps alone take theirs back.
"""

from __future__ import annotations

from enum import IntFlag


class AcsDq(IntFlag):
    """Bits of the ACS DQ extensions (signed 16-bit integers in the files)."""

    REED_SOLOMON = 1
    DATA_LOST = 2
    BAD_PIXEL = 4
    MASKED = 8
    HOT = 16
    BLEMISH = 32
    WARM = 64
    BIAS = 128
    FULL_WELL = 256
    BAD_REFERENCE = 512
    SINK = 1024
    A_TO_D = 2048
    CR_DRIZZLE = 4096
    CR_REJECTED = 8192
    UNUSED = 16384


class StisDq(IntFlag):
    """Bits of the STIS DQ extensions (STIS Data Handbook table 2.8; calstis stisdq.h)."""

    REED_SOLOMON = 1
    DATA_LOST = 2
    BAD_PIXEL = 4  # or beyond the aperture
    MASKED = 8
    HOT = 16
    BLEMISH = 32
    OVERSCAN = 128
    SATURATED = 256
    BAD_REFERENCE = 512
    SMALL_BLEMISH = 1024
    CR_REJECTED = 8192


# SDQFLAGS where a header has none: every bit is serious (HSTCAL's default).
ALL_BITS = 65535
