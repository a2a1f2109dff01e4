"""States of the pixels of a block, and what becomes of their flags."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from factories import frozen

from calib.compiled import planes
from calib.steps.rejection_rows import EXCLUDED, HIT, SPILL, mark_rows, merge_flags

# Sky, seconds, sigma², scale noise, threshold², radius², reach: with errors of 1 e- a hit
# exceeds 6 e-, a neighbour within 1.5 pixels 3 e-.
LIMITS = np.array([10, 2, 36, 0, 0.25, 2.25, 2], np.float32)
NX, REACH = 7, 2


def mark(
    electrons: Any, dq: Any = 0, bad: int = 39, carried: Any = False, rows: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return states and later neighbours of pixels so far above the average of 0.

    Of the rows the last may be ahead of the block.
    """
    image = planes(frozen(np.asarray(electrons) + 10.0, 1.0, dq))
    ny = len(image.sci)
    spilled = np.zeros((ny + REACH, NX), np.bool_)
    spilled[0] = carried
    states = np.empty((rows or ny, NX), np.int16)
    mark_rows(image, LIMITS, bad, np.zeros((ny, NX), np.float32), spilled, states)
    return states, spilled


def row(**values: float) -> list[float]:
    """Return a row of zeros with some values, by column ``x3``."""
    return [values.get(f"x{x}", 0) for x in range(NX)]


def test_hit_and_neighbours() -> None:
    """Beyond 6 e- a hit; beyond 3 e- within 1.5 pixels a neighbour, here and on later lines."""
    states, spilled = mark([row(x2=4), row(x1=4, x2=7, x3=3, x4=4), row(x1=4, x2=4), row(x2=4)])
    assert states.tolist() == [
        row(),
        row(x1=SPILL, x2=HIT),
        row(x1=SPILL, x2=SPILL),
        row(),
    ]
    assert np.argwhere(spilled).tolist() == [[2, 1], [2, 2]]


def test_rows_ahead_of_the_block_are_kept_for_the_next_one() -> None:
    """Marked among the later neighbours; carried into a block they are its states."""
    _, spilled = mark([row(x2=7), row(x2=4)], rows=1)
    assert np.argwhere(spilled).tolist() == [[1, 2]]
    states, _ = mark([row(x2=4)], carried=spilled[1])
    assert states.tolist() == [row(x2=SPILL)]


@pytest.mark.parametrize(
    ("flag", "bad", "state"),
    [
        (16, 39, HIT),
        (1, 39, EXCLUDED),
        (2, 39, HIT),  # just 2 is taken for a neighbour, which may be a hit itself
        (6, 39, EXCLUDED),
        (4, 35, EXCLUDED),  # the same number, whatever BADINPDQ says
        (8192, 39, HIT),
    ],
)
def test_what_a_flag_does_to_a_hit(flag: int, bad: int, state: int) -> None:
    """An excluded pixel is no hit."""
    states, _ = mark([row(x3=9)], [row(x3=flag)], bad)
    assert states[0, 3] == state


def test_neighbour_replaces_exclusion_and_may_become_a_hit() -> None:
    """To the right of a hit an excluded pixel is tested after all, to the left it is too late."""
    states, _ = mark([row(x2=9, x3=9, x4=9)], [row(x2=1, x4=1)])
    assert states.tolist() == [row(x2=SPILL, x3=HIT, x4=HIT)]


def test_nan_beside_a_hit() -> None:
    """It is no hit, but as a neighbour it does not agree with the average."""
    states, _ = mark([row(x1=np.nan, x4=9, x5=np.nan)])
    assert states.tolist() == [row(x4=HIT, x5=SPILL)]


def test_flags_of_later_neighbours_are_lost() -> None:
    """A trap: 16 is told of a good pixel and of a hit, not of one touched from a line before."""
    dq = np.full((1, 4), 16 | 2 | 8192, np.int16)
    states = np.array([[16, HIT, SPILL, SPILL]], np.int16)
    spilled = np.array([[False, False, False, True]])
    merged, marked = np.full((1, 4), 8192, np.int16), np.empty((1, 4), np.int16)
    assert merge_flags(dq, spilled, states, merged, marked) == 3
    assert merged.tolist() == [[16, 16 | 8192, 16 | 8192, 8192]]
    assert marked.tolist() == [[18, 18 | 8192, 18 | 8192, 18 | 8192]]
