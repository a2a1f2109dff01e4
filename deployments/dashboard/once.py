"""Answers that are made once, whoever asks for them at the same time, and kept for some."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import CancelledError, Future
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Busy(Exception):
    """Somebody else is making the answer just now, or too many are being made."""


class Once(Generic[T]):
    """Makes the answer of each key once; the last ones are kept.

    Parameters
    ----------
    most, most_weight
        How many answers are kept, and what they may weigh together; the last one always is.
    """

    def __init__(self, most: int, most_weight: float = float("inf")) -> None:
        self._most, self._most_weight = most, most_weight
        self._lock = threading.Lock()
        self._found: OrderedDict[Hashable, tuple[Future[Any], float]] = OrderedDict()

    def get(
        self, key: Hashable, make: Callable[[], T], weight: float = 0.0, *, waits: bool = True
    ) -> T:
        """Return the answer of a key.

        Parameters
        ----------
        key
            What is asked; it changes when the answer does.
        make
            Makes it; what it raises is not kept, and others who wait make it themselves.
        weight
            Of the answer.
        waits
            Whether to wait where somebody else is making it.

        Raises
        ------
        Busy
            Somebody else is making it, and it is not waited for.
        """
        while True:
            mine, found = self._claim(key, weight)
            if mine is not None:
                self._make(key, mine, make)
            elif not (waits or found.done()):
                raise Busy
            try:
                answer: T = found.result()
            except CancelledError:
                continue  # whoever made it failed, and was told so
            return answer

    def _claim(self, key: Hashable, weight: float) -> tuple[Future[Any] | None, Future[Any]]:
        """Return the answer, and once more where it is for us to make."""
        with self._lock:
            is_mine = key not in self._found
            found, _ = self._found.setdefault(key, (Future(), weight))
            self._found.move_to_end(key)
        return (found if is_mine else None), found

    def _make(self, key: Hashable, mine: Future[T], make: Callable[[], T]) -> None:
        try:
            mine.set_result(make())
        finally:
            with self._lock:
                if not mine.done():
                    del self._found[key]
                self._forget()
            mine.cancel()  # an answer that will never come; nothing where there is one

    def _forget(self) -> None:
        """Keep neither too many answers nor too heavy ones; those that are being made stay."""
        total = sum(weight for _, weight in self._found.values())
        for key, (found, weight) in [*self._found.items()][:-1]:
            if len(self._found) <= self._most and total <= self._most_weight:
                return
            if found.done():
                del self._found[key]
                total -= weight
