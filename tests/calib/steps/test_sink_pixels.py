"""Sink pixels and their trails."""

from __future__ import annotations

import numpy as np
import pytest
from factories import frozen, images
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from calib.image import Image
from calib.steps.sink_pixels import begin_trail, flag_sink_pixels, walks_down

REFERENCES = hnp.arrays(np.float32, (4, 5), elements=st.sampled_from((0, -1, -25, 10, 3000)))


def flag(sci: list[float], reference: list[float], *, downward: bool = False) -> list[int]:
    """Flag one column, given from bottom to top."""
    column = np.array(reference, np.float32)[:, np.newaxis]
    image = frozen(np.array(sci, np.float32)[:, np.newaxis])
    made, _ = flag_sink_pixels(image, column, begin_trail(1), downward=downward)
    return made.dq[:, 0].tolist()


def test_sink_pixel_before_it_and_trail() -> None:
    """A sink of 500 e: limits 3000 and 1000 are in its trail, 10 ends it, so 900 is no more."""
    reference = [0, -1, -25, 3000, 1000, 10, 900, 0]
    expected = [0, 1024, 1024, 1024, 1024, 0, 0, 0]
    sci = [7, 7, 500, 7, 7, 7, 7, 7]
    assert flag(sci, reference) == expected
    assert flag(sci[::-1], reference[::-1], downward=True) == expected[::-1]


def test_trail_is_long_where_the_sink_is_empty() -> None:
    """Limits 900 and 300 are above the 200 e of the sink, but not above 400 e."""
    assert flag([200, 0, 0], [-25, 900, 300]) == [1024, 1024, 1024]
    assert flag([400, 0, 0], [-25, 900, 300]) == [1024, 1024, 0]


def test_limit_equal_to_the_signal_ends_the_trail() -> None:
    """Above, not at."""
    assert flag([300, 0], [-25, 300]) == [1024, 0]


def test_zero_ends_a_trail() -> None:
    """Nothing after a 0, until the next sink."""
    assert flag([1, 0, 0, 1, 0], [-25, 0, 900, -30, 900]) == [1024, 0, 0, 1024, 1024]


def test_zero_ends_the_trail_of_a_negative_sink() -> None:
    """0 is above the -6 e of a sink, but is no limit: it ends the trail all the same."""
    assert flag([-6, 0, 0, 0], [-25, 900, 0, 0]) == [1024, 1024, 0, 0]


def test_signal_is_that_of_the_last_sink() -> None:
    """-1 marks the pixel before a sink and does not change the signal remembered."""
    assert flag([500, 9, 0], [-25, -1, 400]) == [1024, 1024, 0]
    assert flag([9, 0], [-1, 400]) == [1024, 1024]


def test_nan_ends_the_trail() -> None:
    """Neither a NaN limit nor a NaN sink has a trail."""
    assert flag([1, 1, 1], [-25, np.nan, 900]) == [1024, 0, 0]
    assert flag([np.nan, 1], [-25, 900]) == [1024, 0]


@pytest.mark.parametrize(("version", "down"), [(1, False), (2, True)])
def test_direction_is_that_of_the_chip(version: int, down: bool) -> None:
    """The first image set is chip 2, read from row 0; the second is chip 1, read from the top."""
    assert walks_down(version) is down


@settings(max_examples=25)
@given(image=images(), reference=REFERENCES, rows=st.integers(1, 4), downward=st.booleans())
def test_blocks_give_what_the_whole_gives(
    image: Image, reference: np.ndarray, rows: int, downward: bool
) -> None:
    """The trail goes on in the next block; SCI and ERR stay, no bit is lost."""
    whole, end = flag_sink_pixels(image, reference, begin_trail(5), downward=downward)
    trail = begin_trail(5)
    parts = {}
    for y in sorted(range(0, 4, rows), reverse=downward):
        block = slice(y, y + rows)
        made, trail = flag_sink_pixels(
            image.cut(block, slice(0, 5)), reference[block], trail, downward=downward
        )
        parts[y] = made.dq
    assert np.array_equal(np.concatenate([parts[y] for y in sorted(parts)]), whole.dq)
    assert np.array_equal(trail.trailing, end.trailing)
    assert np.array_equal(trail.sink, end.sink)
    assert np.array_equal(whole.dq & image.dq, image.dq)
    assert np.array_equal(whole.dq & ~1024, image.dq & ~1024)
    assert whole.sci is image.sci


@settings(max_examples=25)
@given(image=images())
def test_no_sinks_no_flags(image: Image) -> None:
    """A reference of zeros changes nothing."""
    made, _ = flag_sink_pixels(image, np.zeros((4, 5)), begin_trail(5), downward=False)
    assert np.array_equal(made.dq, image.dq)
