"""Enlargement of coarse references."""

from __future__ import annotations

import numpy as np
import pytest
from factories import frozen

from calib.errors import MissingReference
from calib.steps.enlargement import enlarge, match_reference
from calib.steps.section import PixelMapping

FINE = PixelMapping((0.0, 0.0))
# The first coarse pixel covers detector pixels 1 to 4: its centre is 2.5 = (1 - LTV) / LTM.
COARSE = PixelMapping((0.375, 0.375), (0.25, 0.25))


def test_centres_keep_their_values_and_ends_are_extrapolated() -> None:
    """Coarse 0 and 4 enlarged twofold lie at -1, 1, 3 and 5: the line goes on at both ends."""
    made = enlarge(frozen([[0.0, 4.0], [0.0, 4.0]]), 2, 1)
    assert made.sci.tolist() == [[-1, 1, 3, 5]] * 2


def test_rows_are_interpolated_in_pairs() -> None:
    """A trap: a step between rows 1 and 2 stays one, the slope within a pair runs through."""
    coarse = frozen([[0.0, 0.0], [2.0, 2.0], [10.0, 10.0], [10.0, 10.0]])
    made = enlarge(coarse, 1, 2).sci[:, 0]
    assert made.tolist() == [-0.5, 0.5, 1.5, 2.5, 10, 10, 10, 10]


def test_odd_last_row_goes_with_the_one_before() -> None:
    """Three rows give three times as many fine rows, the last ones on the line of 1 and 2."""
    made = enlarge(frozen([[0.0, 0.0], [2.0, 2.0], [6.0, 6.0]]), 1, 2).sci[:, 0]
    assert made.tolist() == [-0.5, 0.5, 1.5, 2.5, 5, 7]


def test_plane_stays_a_plane_within_a_pair_of_rows() -> None:
    """What is x + 10 y in coarse pixels is so between them."""
    y, x = np.mgrid[0:2, 0:5]
    made = enlarge(frozen(x + 10.0 * y), 4, 2).sci
    fine_y = (np.arange(4) - 0.5) / 2
    fine_x = (np.arange(20) - 1.5) / 4
    assert np.allclose(made, fine_x + 10 * fine_y[:, None], rtol=0, atol=1e-5)


def test_errors_are_interpolated_as_variances() -> None:
    """Half way between errors 1 and 7 it is 5; extrapolated below zero it is 0."""
    made = enlarge(frozen(np.zeros((2, 2)), [[1.0, 7.0]] * 2), 3, 1)
    # Places -1/3, 0, 1/3, 2/3, 1, 4/3: variances 1 + 48 times the place.
    assert np.allclose(made.err[0] ** 2, [0, 1, 17, 33, 49, 65], rtol=1e-6)
    assert enlarge(frozen(np.zeros((2, 2)), 5.0), 2, 2).err.tolist() == [[5.0] * 4] * 4


def test_flags_of_both_neighbours_are_joined() -> None:
    """Between two pixels both count; between the first two, and at centres, one does."""
    made = enlarge(frozen(np.zeros((2, 4)), dq=[[1, 2, 4, 8]] * 2), 2, 1)
    # Places -.25 .25 .75 1.25 1.75 2.25 2.75 3.25; below 1 the first pixel counts alone.
    assert made.dq[0].tolist() == [1, 1, 1, 6, 6, 12, 12, 8]


def test_same_size_is_left_alone() -> None:
    """A ratio of 1 along both axes is the image itself, NaN and single rows included."""
    image = frozen([[np.nan, 1.0]])
    assert enlarge(image, 1, 1) is image


def test_one_axis_alone_is_not_touched_by_nan_beside_it() -> None:
    """Along an axis that is not enlarged no neighbour takes part."""
    made = enlarge(frozen([[1.0, np.nan], [1.0, np.nan]]), 1, 2)
    assert np.array_equal(made.sci[:, 0], np.ones(4))
    assert np.isnan(made.sci[:, 1]).all()


def test_full_frame_and_subarray_get_their_part() -> None:
    """A coarse reference of 2 x 2 fits 8 x 8 pixels; a subarray gets what lies under it."""
    coarse = frozen([[0.0, 4.0], [8.0, 12.0]])
    whole = match_reference(coarse, COARSE, FINE, (8, 8))
    assert np.array_equal(whole.sci, enlarge(coarse, 4, 4).sci)
    part = match_reference(coarse, COARSE, PixelMapping((-3.0, -2.0)), (2, 4))
    assert np.array_equal(part.sci, whole.sci[2:4, 3:7])


@pytest.mark.parametrize(
    ("mapping", "shape"),
    [
        (PixelMapping((0.0, 0.0), (2.0, 2.0)), (2, 2)),  # finer than the image
        (COARSE, (9, 8)),  # too small
    ],
)
def test_reference_that_does_not_fit_is_refused(
    mapping: PixelMapping, shape: tuple[int, int]
) -> None:
    """A finer reference, or one that does not cover the image, is no reference for it."""
    with pytest.raises(MissingReference):
        match_reference(frozen(np.ones((2, 2))), mapping, FINE, shape)


def test_ratio_that_is_not_whole_is_refused() -> None:
    """A reference in pixels of 3 cannot serve an image in pixels of 2."""
    three, two = (PixelMapping((0.0, 0.0), (1 / n, 1 / n)) for n in (3, 2))
    with pytest.raises(MissingReference, match="binned otherwise"):
        match_reference(frozen(np.ones((4, 4))), three, two, (4, 4))


def test_single_row_cannot_be_enlarged() -> None:
    """There is nothing to interpolate between."""
    with pytest.raises(MissingReference, match="too small to be enlarged"):
        enlarge(frozen([[1.0, 2.0, 3.0]]), 1, 2)


def test_all_rows_are_connected_where_that_is_asked_for() -> None:
    """As calstis does it: a step between rows 1 and 2 is spread between their centres."""
    coarse = frozen([[0.0, 0.0], [2.0, 2.0], [10.0, 10.0], [10.0, 10.0]])
    made = enlarge(coarse, 1, 2, in_pairs=False).sci[:, 0]
    assert made.tolist() == [-0.5, 0.5, 1.5, 4, 8, 10, 10, 10]
