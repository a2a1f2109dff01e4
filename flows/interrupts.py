"""The terminal's interrupt, taken where it can be acted on.

A KeyboardInterrupt that Python raises at whatever line runs may come up inside a library's
callback and be lost there ("Exception ignored in ..."), or be turned into another error.
While a campaign waits for its datasets the signal becomes a message in the queue it waits on.
"""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Endings:
    """What has ended: futures, in the order in which they end, or an interrupt."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._interrupted = False

    def put(self, future: Any) -> None:
        """Add a future that has ended."""
        self._queue.put(future)

    def next(self) -> Any:
        """Wait for the next future that ends.

        Raises
        ------
        KeyboardInterrupt
            The terminal's interrupt came meanwhile.
        """
        future = self._queue.get()
        self.check()
        return future

    def check(self) -> None:
        """Raise KeyboardInterrupt if the terminal's interrupt came."""
        if self._interrupted:
            raise KeyboardInterrupt

    def interrupt(self) -> None:
        """Note an interrupt and wake whoever waits."""
        self._interrupted = True
        self._queue.put(None)


@contextmanager
def interruptible() -> Iterator[Endings]:
    """Give a queue of endings that the first SIGINT interrupts; a second one is Python's own.

    Outside the main thread, where no handler can be set, signals stay as they are.
    """
    endings = Endings()
    if threading.current_thread() is not threading.main_thread():
        yield endings
        return

    def first(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, previous)
        endings.interrupt()

    previous = signal.signal(signal.SIGINT, first)
    try:
        yield endings
    finally:
        signal.signal(signal.SIGINT, previous)
