"""Cross-talk between the two amplifiers of a chip."""

from __future__ import annotations

import numpy as np
from factories import frozen, images
from hypothesis import given, settings

from calib.image import Image
from calib.steps.cross_talk import remove_cross_talk


def test_left_half_gets_its_share_back_then_the_right_half() -> None:
    """1e6 e at the right end: 91 e to the left end; and 8e6 + 0 to the right of 8e6.

    The kept trap: the right end gets 9.1e-5 of the left end as corrected, 1000091 instead of
    1000000, which makes 91.008 instead of 91.
    """
    made = remove_cross_talk(frozen([[0.0, 0, 0, 1e6], [0, 8e6, 0, 0], [1e6, 0, 0, 1e6]]))
    assert made.sci[0, 0] == 91
    assert made.sci[0, 3] == np.float32(1e6 + 91 * 9.1e-5)
    assert made.sci[1].tolist() == [0, 8e6, 728, 0]
    assert made.sci[2, 3] == np.float32(1e6) + np.float32(1000091 * 9.1e-5)


def test_share_is_rounded_before_it_is_added() -> None:
    """16777216 + 1.092 is 16777218 (spacing 2); the share is in 32 bits of its own."""
    made = remove_cross_talk(frozen([[16777216.0, 12000.0]]))
    assert made.sci[0, 0] == np.float32(16777216) + np.float32(12000 * 9.1e-5)


def test_middle_column_is_its_own_mirror() -> None:
    """Of three columns the middle one gets 9.1e-5 of itself."""
    made = remove_cross_talk(frozen([[0.0, 1e6, 0.0]]))
    assert made.sci.tolist() == [[0, 1000091, 0]]


@settings(max_examples=25)
@given(image=images())
def test_rows_are_independent_and_flags_and_errors_stay(image: Image) -> None:
    """Each row alone gives the same bits; twice the signal gives twice the result."""
    made = remove_cross_talk(image)
    rows = [remove_cross_talk(image.cut(slice(y, y + 1), slice(0, 5))).sci for y in range(4)]
    assert np.array_equal(np.concatenate(rows), made.sci)
    double = remove_cross_talk(frozen(image.sci * np.float32(2)))
    assert np.array_equal(double.sci, made.sci * np.float32(2))
    assert made.err is image.err
    assert made.dq is image.dq


def test_nan_spoils_its_mirror_image_alone() -> None:
    """Of four pixels two are NaN then, and the other row is not touched."""
    made = remove_cross_talk(frozen([[np.nan, 1, 1, 1], [1, 1, 1, 1]]))
    assert np.isnan(made.sci).tolist() == [[True, False, False, True], [False] * 4]
