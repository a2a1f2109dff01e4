"""The synthetic sky."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.simulate.scene import bleed, cosmic_rays, render_sky


@pytest.mark.parametrize("shape", [(128, 128), (64, 200)])
def test_sky_is_positive_and_has_stars(shape: tuple[int, int]) -> None:
    """Every pixel sees at least the background, and some see a star."""
    sky = render_sky(shape, seed=3, sky=0.06)
    assert sky.shape == shape
    assert sky.min() >= 0.06
    assert sky.max() > 1000
    assert np.median(sky) < 5


def test_equal_seeds_equal_skies() -> None:
    """The sky is a function of its seed."""
    assert np.array_equal(render_sky((64, 64), seed=1), render_sky((64, 64), seed=1))
    assert not np.array_equal(render_sky((64, 64), seed=1), render_sky((64, 64), seed=2))


def test_bluer_filters_see_less() -> None:
    """A bluer filter sees the same sky, fainter."""
    red = render_sky((128, 128), seed=1)
    blue = render_sky((128, 128), seed=1, blueness=2)
    assert blue.sum() < red.sum()
    assert np.corrcoef(red.ravel(), blue.ravel())[0, 1] > 0.5


@given(seconds=st.floats(0, 2000), seed=st.integers(0, 2**32 - 1), size=st.integers(16, 80))
def test_cosmic_rays_only_add(seconds: float, seed: int, size: int) -> None:
    """Cosmic rays leave charge, never take any, even at the edges of the chip."""
    hits = cosmic_rays((size, size + 3), seconds, np.random.default_rng(seed))
    assert hits.shape == (size, size + 3)
    assert hits.min() == 0
    assert 0 < (hits > 0).sum() < hits.size


def test_bleed_by_hand() -> None:
    """Half the excess goes up and half down, each until it finds room."""
    column = np.array([[0.0], [90.0], [100.0], [400.0], [60.0], [0.0], [0.0]])
    # Excess 300: 150 upwards fills 40 + 100 + 10; 150 downwards fills 0 + 10 + 100, 40 is lost.
    expected = [100, 100, 100, 100, 100, 100, 10]
    assert bleed(column, 100.0).ravel().tolist() == expected


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=40))
def test_bleed_never_exceeds_full_well_nor_makes_charge(column: list[float]) -> None:
    """After bleeding no pixel is above full well, and charge is moved or lost, not made."""
    before = np.array(column)[:, None]
    after = bleed(before, 1e5)
    assert after.max() <= 1e5 * (1 + 1e-12)
    assert after.sum() <= before.sum() * (1 + 1e-12) + 1e-9
    room = before < 1e5
    assert (after[room] >= before[room]).all()
