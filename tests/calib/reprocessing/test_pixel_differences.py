"""Differences of arrays, with numbers that are worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from factories import FLAGS, arrays
from hypothesis import given
from hypothesis import strategies as st

from calib.reprocessing.pixel_differences import (
    bit_name,
    compare_flags,
    compare_planes,
    histogram_of,
    spread_of,
)

NAN, INF = float("nan"), float("inf")


def plane(*values: float) -> np.ndarray:
    """Return an image of one row."""
    return np.array([values], np.float32)


def test_numbers_of_a_difference_by_hand() -> None:
    """Of -2, 0, 1, 4: two thirds of what changed, and the distribution of all four."""
    found = compare_planes("SCI,1", plane(10, 10, 10, 10), plane(8, 10, 11, 14))
    assert (found.total, found.changed, found.share) == (4, 3, 0.75)
    everywhere, moved = found.everywhere, found.where_changed
    assert everywhere is not None
    assert moved is not None
    assert (everywhere.minimum, everywhere.maximum, everywhere.mean) == (-2, 4, 0.75)
    assert everywhere.median == 0.5
    assert everywhere.mad == 1.5  # distances from 0.5: 2.5, 0.5, 0.5, 3.5
    assert everywhere.std == pytest.approx(np.sqrt((2.75**2 + 0.75**2 + 0.25**2 + 3.25**2) / 4))
    assert (moved.count, moved.mean, moved.median, moved.largest) == (3, 1, 1, 4)
    assert found.significance is None


def test_significance_counts_pixels_with_an_error_alone() -> None:
    """Differences of 2, 8, 3 errors; the pixel without an error and the NaN do not count."""
    old, new = plane(0, 0, 0, 0, NAN), plane(2, 4, 3, 100, 1)
    found = compare_planes("SCI,1", old, new, plane(1, 0.5, 1, 0, 1)).significance
    assert found is not None
    assert (found.pixels, found.median, found.largest) == (3, 3, 8)
    assert found.beyond == {"1": 3, "3": 1, "5": 1}
    assert found.share(3) == pytest.approx(1 / 3)


def test_no_error_above_zero_has_no_significance() -> None:
    """As raw files have it."""
    assert compare_planes("SCI,1", plane(0), plane(1), plane(0)).significance is None


def test_nan_and_infinity_are_told_apart() -> None:
    """Two NaN are equal; one that comes or goes is a change without a number."""
    old, new = plane(NAN, NAN, 1, 1, 5), plane(NAN, 2, NAN, INF, 6)
    found = compare_planes("SCI,1", old, new)
    assert (found.changed, found.became_nan, found.was_nan, found.unmeasured) == (4, 1, 1, 3)
    assert found.everywhere is not None
    assert (found.everywhere.count, found.everywhere.maximum) == (1, 1)


def test_nothing_finite_has_no_numbers() -> None:
    """Neither a distribution nor a histogram."""
    found = compare_planes("SCI,1", plane(NAN, INF), plane(1, 2))
    assert (found.everywhere, found.where_changed, found.histogram) == (None, None, None)


@given(arrays(st.floats(width=32), np.float32), arrays(st.floats(width=32), np.float32))
def test_any_numbers_are_counted_once(old: np.ndarray, new: np.ndarray) -> None:
    """What changed is either measured or named as unmeasured; equal arrays do not differ."""
    found = compare_planes("SCI,1", old, new)
    measured = 0 if found.where_changed is None else found.where_changed.count
    assert found.changed == measured + found.unmeasured
    bars = found.histogram
    if bars is not None:
        assert sum(bars.counts) + bars.below + bars.above == measured
    assert compare_planes("SCI,1", old, old).changed == 0


@given(arrays(FLAGS, np.int16), arrays(FLAGS, np.int16))
def test_flags_gained_and_lost_account_for_the_change(old: np.ndarray, new: np.ndarray) -> None:
    """Old, with what was lost taken away and what was gained added, has the bits of new."""
    found = compare_flags("DQ,1", old, new, "acs")
    assert found.changed == np.count_nonzero(old != new)
    before, after = (np.bitwise_count(a.view(np.uint16)).sum() for a in (old, new))
    assert before + found.gained - found.lost == after


def test_bits_have_names() -> None:
    """Those of ACS by the handbook, the sign bit and other instruments by their number."""
    found = compare_flags("DQ,1", np.array([0, 64]), np.array([16, 64]), "acs")
    assert [(b.bit, b.name, b.gained, b.lost) for b in found.bits] == [(16, "hot", 1, 0)]
    assert bit_name(8192, "acs") == "cr rejected"
    assert [bit_name(32768, "acs"), bit_name(16, "cos")] == ["bit 32768", "bit 16"]


def test_a_histogram_covers_all_but_a_few() -> None:
    """One pixel of a thousand that is far off does not widen it, and is counted beside it."""
    values = np.append(np.linspace(-1, 1, 999), 5e6)
    found = histogram_of(values)
    assert found is not None
    assert found.high < 1.01
    assert found.above >= 1
    assert sum(found.counts) + found.below + found.above == 1000
    assert histogram_of(np.zeros(3)) is None
    assert spread_of(np.zeros(0)) is None
