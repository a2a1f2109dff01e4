"""Binning of references."""

from __future__ import annotations

import numpy as np
import pytest
from factories import frozen, images
from hypothesis import given
from hypothesis import strategies as st

from calib.errors import MissingReference
from calib.image import Image
from calib.steps.binning import bin_image, match_finer
from calib.steps.section import PixelMapping

UNBINNED = PixelMapping((0.0, 0.0))
# The first binned pixel of 2 x 2 covers detector pixels 1 and 2: 1.5 / 2 + 0.25 = 1.
BINNED = PixelMapping((0.25, 0.25), (0.5, 0.5))


def test_bins_are_summed_or_averaged_with_their_errors_and_flags() -> None:
    """1 + 2 + 3 + 4 = 10 with errors of 3: sqrt(36) = 6; the mean has a quarter of both."""
    image = frozen([[1.0, 2.0], [3.0, 4.0]], 3, [[0, 4], [16, 0]])
    total = bin_image(image, 2, 2, average=False)
    assert (total.sci.item(), total.err.item(), total.dq.item()) == (10, 6, 20)
    mean = bin_image(image, 2, 2, average=True)
    assert (mean.sci.item(), mean.err.item(), mean.dq.item()) == (2.5, 1.5, 20)


@given(image=images((4, 6)), by_x=st.sampled_from((1, 2, 3)), by_y=st.sampled_from((1, 2, 4)))
def test_no_charge_and_no_flag_is_lost(image: Image, by_x: int, by_y: int) -> None:
    """The sum over all pixels stays, and so does every bit."""
    made = bin_image(image, by_x, by_y, average=False)
    scale = np.abs(image.sci).sum() + 1
    assert np.isclose(made.sci.sum(dtype=float), image.sci.sum(dtype=float), atol=scale * 1e-5)
    assert np.bitwise_or.reduce(made.dq, axis=None) == np.bitwise_or.reduce(image.dq, axis=None)


def test_binned_part_of_a_reference_is_found() -> None:
    """An image of 2 x 2 bins that begins at detector pixel 3 (from 1) has LTV = 1 - 3.5 / 2."""
    y, x = np.mgrid[:6, :8]
    image = PixelMapping((-0.75, -0.75), (0.5, 0.5))
    made = match_finer(frozen(x + 10.0 * y), UNBINNED, image, (2, 2), average=True)
    assert made.sci.tolist() == [[27.5, 29.5], [47.5, 49.5]]


def test_reference_binned_alike_is_cut_alone() -> None:
    """A reference of 2 x 2 bins belongs to an image of them as it is."""
    reference = frozen(np.arange(12.0).reshape(3, 4))
    made = match_finer(reference, BINNED, BINNED, (2, 3), average=False)
    assert made.sci.tolist() == [[0, 1, 2], [4, 5, 6]]


@pytest.mark.parametrize(
    ("reference", "image", "shape", "message"),
    [
        (BINNED, UNBINNED, (2, 2), "binned otherwise"),
        (UNBINNED, PixelMapping((3.0, 0.0)), (2, 2), "does not cover"),
        (UNBINNED, UNBINNED, (7, 2), "does not cover"),
        (UNBINNED, BINNED, (4, 4), "does not cover"),
    ],
    ids=["coarser", "before the first column", "too few rows", "too few binned rows"],
)
def test_reference_that_does_not_fit_is_refused(
    reference: PixelMapping, image: PixelMapping, shape: tuple[int, int], message: str
) -> None:
    """Nothing is taken from beyond a reference, and nothing made up between its pixels."""
    with pytest.raises(MissingReference, match=message):
        match_finer(frozen(np.ones((6, 8))), reference, image, shape, average=True)
