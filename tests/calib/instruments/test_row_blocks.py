"""Row-wise work over blocks of rows: in new memory, in place, upwards and downwards."""

from __future__ import annotations

import numpy as np
import pytest
from factories import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from calib.image import Header, Image, Imset
from calib.instruments import row_blocks
from calib.instruments.reference_set import ReferenceSet
from calib.instruments.row_blocks import each_chip, run_rows
from calib.instruments.row_work import RowWork
from calib.instruments.state import ExposureState
from calib.steps.section import Region

NX = 7


def state_of(*rows: int, threads: int = 1) -> ExposureState:
    """Return an exposure of image sets with so many rows, all pixels different."""
    empty = Header({})
    imsets = [
        Imset(Image(numbers(ny), numbers(ny) + 0.5, numbers(ny).astype(np.int16)), *[empty] * 3)
        for ny in rows
    ]
    return ExposureState("a", "a_raw.fits", empty, tuple(imsets), ReferenceSet({}), threads=threads)


def numbers(ny: int) -> np.ndarray:
    """Return 0, 1, 2..."""
    return np.arange(ny * NX, dtype=np.float32).reshape(ny, NX)


def add_row_number(image: Image, first: int) -> Image:
    """Add to each pixel a thousand times the number of its row."""
    rows = np.arange(first, first + image.shape[0], dtype=np.float32)[:, np.newaxis]
    return Image(image.sci + 1000 * rows, image.err, image.dq)


@settings(max_examples=60)
@given(
    ny=st.integers(1, 12),
    trims=st.tuples(*[st.integers(0, 3)] * 4),
    block=st.integers(1, 30),
    in_place=st.booleans(),
    downwards=st.booleans(),
)
def test_blocks_equal_the_whole(
    ny: int, trims: tuple[int, int, int, int], block: int, in_place: bool, downwards: bool
) -> None:
    """Whatever the size of the blocks and what is trimmed; rows are numbered as trimmed."""
    bottom, top, left, right = trims
    region = Region(min(bottom, ny), max(min(bottom, ny), ny - top), left, NX - right)
    state = state_of(ny)
    work = [
        RowWork(state, (add_row_number,), downwards=(downwards,)),
        RowWork(state, (region,)),
        RowWork(state, (add_row_number,)),
    ]
    inside = numbers(ny)[region.y0 : region.y1, region.x0 : region.x1]
    height = region.y1 - region.y0
    raw_rows = np.arange(region.y0, region.y1, dtype=np.float32)[:, np.newaxis]
    wanted = inside + 1000 * raw_rows + 1000 * np.arange(height, dtype=np.float32)[:, np.newaxis]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_blocks, "BLOCK_PIXELS", block)
        made = run_rows(state, work, in_place=in_place).images[0]
    assert np.array_equal(made.sci, wanted)
    assert np.array_equal(made.err, inside + 0.5)
    assert np.array_equal(made.dq, inside.astype(np.int16))
    assert made.sci.flags.c_contiguous


def test_in_place_takes_no_new_memory() -> None:
    """The result lies in the arrays of the image; without leave they stay as they are."""
    state = state_of(6)
    work = [RowWork(state, (add_row_number,)), RowWork(state, (Region(1, 5, 2, 6),))]
    made = run_rows(state, work, in_place=False).images[0]
    assert np.array_equal(state.images[0].sci, numbers(6))
    assert not np.shares_memory(made.sci, state.images[0].sci)
    made = run_rows(state, work, in_place=True).images[0]
    assert np.shares_memory(made.sci, state.images[0].sci)


def test_read_only_arrays_are_left_alone() -> None:
    """Even with leave: constant planes are one number in memory."""
    state = state_of(4)
    image = frozen(numbers(4))
    state = state.with_images([image])
    made = run_rows(state, [RowWork(state, (add_row_number,))], in_place=True).images[0]
    assert np.array_equal(image.sci, numbers(4))
    assert made.sci[3, 0] == 3 * NX + 3000


def test_threads_change_nothing_and_records_come_last() -> None:
    """Image sets of different height, done at once; each work records when all rows are done."""
    seen: list[int] = []

    def count(image: Image, _first: int) -> Image:
        seen.append(image.shape[0])
        return image

    def record(state: ExposureState) -> ExposureState:
        return state.with_primary({"ROWS": sum(seen)})

    for threads in (1, 2):
        seen.clear()
        state = state_of(5, 9, threads=threads)
        work = [RowWork(state, (add_row_number,) * 2), RowWork(state, (count,) * 2, record)]
        made = run_rows(state, work, in_place=False)
        assert made.primary["ROWS"] == 14
        assert made.images[1].sci[8, 0] == 8 * NX + 8000
        assert made.images[0].sci.shape == (5, NX)


@pytest.mark.parametrize("threads", [1, 2])
def test_each_chip_raises_what_a_chip_raises(threads: int) -> None:
    """An error in a thread is not lost."""
    assert each_chip(lambda chip: chip * 2, (1, 2, 3), threads) == [2, 4, 6]
    with pytest.raises(ZeroDivisionError):
        each_chip(lambda chip: 1 // chip, (1, 0), threads)
