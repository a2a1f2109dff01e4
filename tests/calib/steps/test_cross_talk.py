"""Cross-talk between the two amplifiers of a chip."""

from __future__ import annotations

import numpy as np
from factories import frozen, images
from hypothesis import given, settings

from calib.image import Image
from calib.steps.cross_talk import remove_cross_talk


def test_each_half_gets_its_share_back() -> None:
    """1e6 e at the right end: 91 e to the left end; 8e6 on the left: 728 e to its mirror image."""
    made = remove_cross_talk(frozen([[0.0, 0, 0, 1e6], [0, 8e6, 0, 0]]))
    assert made.sci[0].tolist() == [91, 0, 0, 1e6]
    assert made.sci[1].tolist() == [0, 8e6, 728, 0]


def test_right_half_sees_corrected_left_pixels() -> None:
    """The kept trap: 5159 + 9.1e-5 (69054 + 0.47) is 5165.28418, without the 0.47 ...369."""
    made = remove_cross_talk(frozen([[69054.0, 5159.0]]))
    assert made.sci[0, 1] == np.float32(5165.2841796875)


def test_share_is_rounded_before_it_is_added() -> None:
    """12347985 + 46.499999: the share is 46.5 in 32 bits, half way, and goes to the even 032."""
    made = remove_cross_talk(frozen([[12347985.0, 510989.0]]))
    assert made.sci[0, 0] == 12348032


def test_middle_column_is_its_own_mirror() -> None:
    """Of three columns the middle one gets 9.1e-5 of itself."""
    made = remove_cross_talk(frozen([[0.0, 1e6, 0.0]]))
    assert made.sci.tolist() == [[0, 1000091, 0]]


@settings(max_examples=25)
@given(image=images())
def test_rows_are_independent_and_flags_and_errors_stay(image: Image) -> None:
    """Each row alone gives the same bits; twice the signal gives twice the result.

    Whole electrons: shares of less than 1e-38 have fewer digits.
    """
    image = frozen(np.rint(image.sci), image.err, image.dq)
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
