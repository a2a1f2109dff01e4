"""How two arrays of one name differ, in numbers: pixels, errors, flags."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from calib.dq import AcsDq
from calib.reprocessing.product_records import (
    PERCENTILES,
    SIGMAS,
    BitChange,
    FlagDifference,
    Histogram,
    PlaneDifference,
    Significance,
    Spread,
)

Array = npt.NDArray[Any]


# Bars of a histogram: more cannot be told apart on paper.
BINS = 61

# What a histogram and the colours of a picture cover, per cent of the pixels that changed: a
# handful of hot pixels would hide all others.
COVERED = 99.5

_BITS = 16  # DQ arrays are 16-bit integers (ACS Data Handbook, table 3.4)


def compare_planes(
    name: str, old: Array, new: Array, error: Array | None = None
) -> PlaneDifference:
    """Compare two arrays of numbers.

    Parameters
    ----------
    name
        Of the extension.
    old, new
        Of one shape.
    error
        The error before, of the same shape; None where it does not apply.
    """
    old, new = (np.asarray(array, np.float64) for array in (old, new))
    both = np.isfinite(old) & np.isfinite(new)
    nan_before, nan_after = np.isnan(old), np.isnan(new)
    changed = (old != new) & ~(nan_before & nan_after)
    delta = new[both] - old[both]
    moved = delta[changed[both]]
    return PlaneDifference(
        name=name,
        total=old.size,
        changed=int(np.count_nonzero(changed)),
        became_nan=int(np.count_nonzero(nan_after & ~nan_before)),
        was_nan=int(np.count_nonzero(nan_before & ~nan_after)),
        unmeasured=int(np.count_nonzero(changed & ~both)),
        everywhere=spread_of(delta),
        where_changed=spread_of(moved),
        significance=None if error is None else _significance(delta, error[both]),
        histogram=histogram_of(moved),
    )


def compare_flags(name: str, old: Array, new: Array, instrument: str) -> FlagDifference:
    """Compare two arrays of flags, bit by bit."""
    before, after = (np.asarray(array).astype(np.int64) & 0xFFFF for array in (old, new))
    changed = before != after
    gained, lost = after[changed] & ~before[changed], before[changed] & ~after[changed]
    bits = [
        BitChange(bit, bit_name(bit, instrument), _having(gained, bit), _having(lost, bit))
        for bit in (1 << place for place in range(_BITS))
    ]
    seen = tuple(each for each in bits if each.gained or each.lost)
    return FlagDifference(name, before.size, int(np.count_nonzero(changed)), seen)


def bit_name(bit: int, instrument: str) -> str:
    """Return what a bit means, in words; ``bit 16`` where its meaning is not known here."""
    try:
        known = AcsDq(bit).name if instrument == "acs" else None
    except ValueError:
        known = None
    return f"bit {bit}" if known is None else known.replace("_", " ").lower()


def spread_of(values: Array) -> Spread | None:
    """Return the distribution of finite numbers; None where there are none."""
    if not values.size:
        return None
    places = np.percentile(values, (50, *PERCENTILES))
    median = float(places[0])
    return Spread(
        count=int(values.size),
        minimum=float(values.min()),
        maximum=float(values.max()),
        mean=float(values.mean()),
        median=median,
        std=float(values.std()),
        mad=float(np.median(np.abs(values - median))),
        percentiles={
            str(name): float(value) for name, value in zip(PERCENTILES, places[1:], strict=True)
        },
    )


def robust_limit(values: Array, covered: float | None = None) -> float:
    """Return the size that so many per cent of the numbers stay below; 0 where there are none."""
    part = COVERED if covered is None else covered
    return float(np.percentile(np.abs(values), part)) if values.size else 0.0


def histogram_of(values: Array) -> Histogram | None:
    """Return how often finite numbers occur around zero; None where there are none but zero."""
    limit = robust_limit(values)
    if limit <= 0:
        return None
    counts, _ = np.histogram(values, bins=BINS, range=(-limit, limit))
    return Histogram(
        low=-limit,
        high=limit,
        counts=tuple(int(count) for count in counts),
        below=int(np.count_nonzero(values < -limit)),
        above=int(np.count_nonzero(values > limit)),
    )


def _significance(delta: Array, error: Array) -> Significance | None:
    known = np.isfinite(error) & (error > 0)
    if not known.any():
        return None
    sizes = np.abs(delta[known]) / error[known].astype(np.float64)
    beyond = {str(sigma): int(np.count_nonzero(sizes > sigma)) for sigma in SIGMAS}
    return Significance(int(sizes.size), float(np.median(sizes)), float(sizes.max()), beyond)


def _having(flags: Array, bit: int) -> int:
    return int(np.count_nonzero(flags & bit))
