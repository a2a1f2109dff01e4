"""Which pixels vote, and what limits they vote for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calib.preview.limits import (
    SERIOUS_BITS,
    Limits,
    find_limits,
    sample_votes,
    voters,
    without_overscan,
)


@pytest.mark.parametrize("bit", [2**n for n in range(15)])
def test_serious_bits_do_not_vote_and_others_do(bit: int) -> None:
    """Saturated (256, 2048), warm (64), blemished (32) and trapped (1024) pixels hold light."""
    dq = np.zeros((3, 4), np.int16)
    dq[1, 2] = bit
    mask = voters(np.ones((3, 4), np.float32), dq)
    assert mask[1, 2] == (bit in {32, 64, 256, 1024, 2048, 16384})
    assert mask.sum() == 12 - (not mask[1, 2])
    assert bool(bit & SERIOUS_BITS) != bool(mask[1, 2])


def test_not_finite_pixels_never_vote() -> None:
    """NaN and both infinities, flagged or not."""
    data = np.array([[1, np.nan], [np.inf, -np.inf]], np.float32)
    assert voters(data, None).tolist() == [[True, False], [False, False]]


def test_image_flagged_all_over_votes_with_everything() -> None:
    """Where hardly a pixel is unflagged, the flags are doubted, not the image."""
    data = np.ones((20, 20), np.float32)
    dq = np.full((20, 20), 4, np.int16)
    dq[0, :4] = 0  # exactly 1 %
    assert voters(data, dq).all()
    dq[0, 4] = 0
    assert voters(data, dq).sum() == 5


@pytest.mark.parametrize(
    ("offset", "rows", "columns"),
    [
        ((2.0, 1.0), slice(1, 5), slice(2, 6)),
        ((2.0, 0.0), slice(0, 6), slice(2, 6)),
        ((0.0, 0.0), slice(0, 6), slice(0, 8)),
        ((-501.0, -499.0), slice(0, 6), slice(0, 8)),
        ((19.0, 20.0), slice(0, 6), slice(0, 8)),
    ],
)
def test_overscan_does_not_vote(offset: tuple[float, float], rows: slice, columns: slice) -> None:
    """LTV pixels at both ends; none in a subarray, none where nothing would be left."""
    expected = np.zeros((6, 8), bool)
    expected[rows, columns] = True
    assert np.array_equal(without_overscan(np.ones((6, 8), bool), offset), expected)


def test_sky_sets_the_low_limit_and_stars_the_high_one() -> None:
    """1 % of stars at 5000 over a sky of 100 +- 5: low near the sky, white near the stars."""
    rng = np.random.default_rng(2)
    values = rng.normal(100, 5, 50_000).astype(np.float32)
    values[:500] = 5000
    low, high = find_limits(rng.permutation(values))
    assert 80 < low < 100
    assert high == pytest.approx(5000)


def test_empty_field_is_not_painted_white() -> None:
    """Too few stars for the percentile: white is 30 sigma above the sky, not 3."""
    rng = np.random.default_rng(3)
    values = rng.normal(100, 5, 50_000).astype(np.float32)
    values[:20] = 5000
    assert find_limits(rng.permutation(values)).high == pytest.approx(100 + 30 * 5, rel=0.03)


def test_white_is_never_above_the_brightest_pixel() -> None:
    """A smooth gradient uses the whole scale."""
    assert find_limits(np.linspace(0, 1, 1000, dtype=np.float32)).high == pytest.approx(1)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], Limits(0, 1)),
        ([7], Limits(6, 8)),
        ([7] * 2000, Limits(6, 8)),
        ([-1e30] * 10, Limits(-1.000001e30, -0.999999e30)),
    ],
)
def test_empty_and_constant_samples(values: list[float], expected: Limits) -> None:
    """Nothing to scale is no error."""
    found = find_limits(np.array(values, np.float32))
    assert found == pytest.approx(expected, rel=1e-7)
    assert found.low < found.high


@given(
    hnp.arrays(
        np.float32,
        st.integers(0, 300),
        elements=st.floats(-(2.0**60), 2.0**60, width=32, allow_subnormal=False),
    )
)
def test_limits_are_finite_and_in_order(values: np.ndarray) -> None:
    """For any finite sample low < high, both numbers."""
    low, high = find_limits(values)
    assert np.isfinite([low, high]).all()
    assert low < high


def test_sample_is_taken_from_good_pixels_alone() -> None:
    """A large image is thinned, a hardly good one is taken whole."""
    data = np.zeros((1000, 1000), np.float32)
    data[:, ::2] = 9
    good = data == 0
    assert set(sample_votes(data, good)) == {0.0}
    few = np.zeros_like(good)
    few[3, 5] = True
    assert sample_votes(data, few).tolist() == [0.0]
    assert sample_votes(data, ~np.zeros_like(good)).size <= 500_000
