"""Pictures of a difference: colours, sizes, and single pixels that must be seen."""

from __future__ import annotations

import io

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from calib.fitsfile.image_data import ImageSet
from calib.reprocessing.pictures import LONGEST, Pictures, draw_pictures, palette


def drawn(old: np.ndarray, new: np.ndarray) -> tuple[Pictures, np.ndarray]:
    """Return pictures, and the colours of the difference."""
    sets = [ImageSet({"SCI": array.astype(np.float32)}, fits.Header()) for array in (old, new)]
    found = draw_pictures(*sets)
    with Image.open(io.BytesIO(found.difference)) as picture:
        return found, np.asarray(picture.convert("RGB")).astype(int)


def test_red_is_more_and_blue_is_less() -> None:
    """Row 0 is at the bottom; white is no difference, grey is not known."""
    old, new = np.zeros((4, 4)), np.zeros((4, 4))
    new[:2], new[2:, :2], new[3, 3] = 5, -5, np.nan
    found, colours = drawn(old, new)
    assert (found.is_mean, found.limit, found.block) == (True, 5, 1)
    assert tuple(colours[3, 0]) == (178, 24, 43)
    assert tuple(colours[1, 0]) == (33, 102, 172)
    assert tuple(colours[1, 2]) == (247, 247, 247)
    assert tuple(colours[0, 3]) == (110, 110, 110)


def test_one_pixel_of_a_large_image_is_seen() -> None:
    """One of four million: the mean of its block would be white."""
    old = np.zeros((2000, 1900))
    new = old.copy()
    new[1000, 950] = 7
    found, colours = drawn(old, new)
    assert max(found.width, found.height) <= LONGEST
    assert (found.block, found.is_mean, found.limit) == (5, False, 7)
    assert np.count_nonzero((colours == (178, 24, 43)).all(axis=2)) == 9


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, 1e38])
def test_strange_pixels_are_drawn(value: float) -> None:
    """Nothing finite, nothing at all, hardly in range: a picture comes out."""
    old = np.full((5, 3), value, np.float32)
    found, _ = drawn(old, -old)
    assert (found.width, found.height) == (3, 5)


def test_colours_have_equal_weight() -> None:
    """256 colours; the middle one is the lightest."""
    colours = np.array(palette()).reshape(256, 3)
    light = colours[:255].sum(axis=1)
    assert light.argmax() == 127
    assert (np.diff(light[:128]) >= 0).all()
    assert (np.diff(light[127:]) <= 0).all()
