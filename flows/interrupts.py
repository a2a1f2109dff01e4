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

from calib.errors import TERMINATED

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Endings:
    """What has ended, in the order in which it ends, or a signal."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._signal: int | None = None

    def put(self, ended: Any) -> None:
        """Add something that has ended; from any thread."""
        self._queue.put(ended)

    def wait(self, seconds: float) -> list[Any]:
        """Return all that has ended; where nothing has, wait for the first for a while.

        Raises
        ------
        KeyboardInterrupt, SystemExit
            SIGINT or SIGTERM came meanwhile.
        """
        self.check()
        found = []
        try:
            found.append(self._queue.get(timeout=max(0.0, seconds)))
            while True:
                found.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        self.check()
        return [each for each in found if each is not None]

    def check(self) -> None:
        """Raise KeyboardInterrupt or SystemExit(143) if SIGINT or SIGTERM came."""
        if self._signal == signal.SIGINT:
            raise KeyboardInterrupt
        if self._signal is not None:
            raise SystemExit(TERMINATED)

    def interrupt(self, number: int) -> None:
        """Note a signal and wake whoever waits."""
        self._signal = number
        self._queue.put(None)


@contextmanager
def interruptible() -> Iterator[Endings]:
    """Give a queue of endings that the first signal interrupts; a second one is as before.

    Outside the main thread, where no handler can be set, signals stay as they are.
    """
    endings = Endings()
    if threading.current_thread() is not threading.main_thread():
        yield endings
        return
    previous = {number: signal.getsignal(number) for number in SIGNALS}

    def first(number: int, _frame: FrameType | None) -> None:
        _restore(previous)
        endings.interrupt(number)

    for number in SIGNALS:
        signal.signal(number, first)
    try:
        yield endings
    finally:
        _restore(previous)


def _restore(handlers: dict[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
