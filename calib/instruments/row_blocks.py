"""Row-wise steps, carried out together: block of rows by block of rows.

A block is small enough to stay in the processor's cache while all steps go over it, and the
references are read for these rows only. So the pixels travel through the memory once for
any number of steps, and no step needs a whole temporary image. The bits do not depend on the
blocks: each row is treated by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from calib.compiled import new_planes
from calib.image import Image
from calib.instruments.row_work import RowFunction, RowWork
from calib.instruments.state import ExposureState
from calib.steps.section import Region

Item = TypeVar("Item")
Result = TypeVar("Result")
Number = TypeVar("Number", bound=np.generic)

# 63 rows of a WFC frame. Measured: half and twice as many are equally fast; with fewer the
# calls cost more than the pixels, with more the cache is too small.
BLOCK_PIXELS = 1 << 18


class Block(NamedTuple):
    """Whole rows of an image, and the number of the first one."""

    image: Image
    first: int


def run_rows(state: ExposureState, works: Sequence[RowWork], *, in_place: bool) -> ExposureState:
    """Carry out row-wise steps and let them record what they measured.

    Parameters
    ----------
    state
        The exposure with the headers of all steps and the pixels of before.
    works
        The steps, in order.
    in_place
        Whether the result may be written into the arrays of the image. Without it they are
        left as they are.
    """

    def run(index: int) -> Image:
        functions = [work.rows[index] for work in works if work.rows]
        downwards = any(work.downwards[index] for work in works if work.downwards)
        image = state.imsets[index].image
        return _run_imset(image, functions, in_place=in_place, downwards=downwards)

    if any(work.rows for work in works):
        state = state.with_images(each_chip(run, range(len(state.imsets)), state.threads))
    for work in works:
        if work.record is not None:
            state = work.record(state)
    return state


def each_chip(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int
) -> list[Result]:
    """Call a function for each image set, in threads where several are granted.

    Compiled code and files release the interpreter, so threads run at the same time.
    """
    if threads == 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, items))


def _run_imset(
    image: Image, functions: Sequence[RowFunction | Region], *, in_place: bool, downwards: bool
) -> Image:
    shape = _shape_of(image, functions)
    out = _reuse(image, shape, downwards=downwards) if in_place else Image(*new_planes(shape))
    blocks = list(blocks_of(image))
    unit = image.unit
    for block in reversed(blocks) if downwards else blocks:
        done = _run_block(block, functions)
        if done is not None:
            rows = slice(done.first, done.first + done.image.shape[0])
            out.sci[rows], out.err[rows], out.dq[rows] = (
                done.image.sci,
                done.image.err,
                done.image.dq,
            )
            unit = done.image.unit
    return Image(out.sci, out.err, out.dq, unit)


def blocks_of(image: Image) -> Iterator[Block]:
    """Yield an image in blocks of whole rows, the first rows first; nothing is copied."""
    ny, nx = image.shape
    count = max(1, BLOCK_PIXELS // max(nx, 1))
    for first in range(0, ny, count):
        rows = slice(first, first + count)
        yield Block(Image(image.sci[rows], image.err[rows], image.dq[rows], image.unit), first)


def _run_block(block: Block, functions: Sequence[RowFunction | Region]) -> Block | None:
    """Carry out all steps on a block; None where it is trimmed away."""
    image, first = block
    for function in functions:
        if isinstance(function, Region):
            begin = max(function.y0 - first, 0)
            end = min(function.y1 - first, image.shape[0])
            if end <= begin:
                return None
            image = image.cut(slice(begin, end), slice(function.x0, function.x1))
            first = first + begin - function.y0
        else:
            image = function(image, first)
    return Block(image, first)


def _shape_of(image: Image, functions: Sequence[RowFunction | Region]) -> tuple[int, int]:
    """Return rows and columns of the result."""
    shape = image.shape
    for region in functions:
        if isinstance(region, Region):
            shape = (region.y1 - region.y0, region.x1 - region.x0)
    return shape


def _reuse(image: Image, shape: tuple[int, int], *, downwards: bool) -> Image:
    """Return an image of a shape, at most as large, in the memory of another one.

    Rows that are trimmed close up to the first one, or to the last one where blocks come from
    there: so each block is written to where blocks that have been read lay.
    """
    return Image(
        _room(image.sci, shape, downwards=downwards),
        _room(image.err, shape, downwards=downwards),
        _room(image.dq, shape, downwards=downwards),
    )


def _room(
    array: npt.NDArray[Number], shape: tuple[int, int], *, downwards: bool
) -> npt.NDArray[Number]:
    if not (array.flags.writeable and array.flags.c_contiguous):
        return np.empty(shape, array.dtype)
    flat, size = array.reshape(-1), shape[0] * shape[1]
    part = flat[flat.size - size :] if downwards else flat[:size]
    return part.reshape(shape)
