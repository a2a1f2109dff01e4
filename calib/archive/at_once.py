"""The same work on many things, several at once, in order and in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

# Things begun ahead of the one that is waited for, per thread: none runs dry, none piles up.
_AHEAD = 4


def spread(work: Callable[[T], R], items: Iterable[T], at_once: int) -> Iterator[R]:
    """Yield the result of `work` for every item, in the order of the items.

    Unlike the ``map`` of an executor it takes items only as results are wanted, so the items
    may be a hundred thousand lines of a listing.

    Parameters
    ----------
    work
        Called in threads.
    items
        Taken by the thread that iterates.
    at_once
        How many threads; at least 1.

    Raises
    ------
    Exception
        Whatever `work` raises, at the place of its item; what was begun is awaited.
    """
    pool = ThreadPoolExecutor(max(at_once, 1))
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= _AHEAD * max(at_once, 1):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
