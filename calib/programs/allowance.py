"""What the work at hand may use, and the programs that it has started.

The watchdog and the thread that works share one :class:`Allowance`. It says why the work was
ended (`breach`): whoever notices the end reports that, and not what it looked like.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from calib.errors import HstflowError
from calib.programs.tree import signal_tree, tree_resident


class Allowance:
    """What one attempt may use; programs that run for it are entered here.

    Parameters
    ----------
    dataset
        For messages.
    memory
        Bytes of the process tree; None: not limited.

    Attributes
    ----------
    ended
        Set when the work was ended: whoever waits stops waiting.
    """

    def __init__(self, dataset: str | None = None, memory: int | None = None) -> None:
        self.dataset = dataset
        self.memory = memory
        self.ended = threading.Event()
        self._breach: HstflowError | None = None
        self._lock = threading.Lock()
        self._programs: set[int] = set()
        self._peak = 0
        self._holds = 0

    @property
    def breach(self) -> HstflowError | None:
        """Why the work was ended; None while it may go on."""
        return self._breach

    def end(self, why: HstflowError) -> bool:
        """End the work: its programs are asked to stop; tell whether it was the first reason."""
        with self._lock:
            if self._breach is not None:
                return False
            self._breach = why
            self.ended.set()
        self.signal_programs(signal.SIGTERM)
        return True

    def wait(self, seconds: float) -> None:
        """Wait, but not longer than until the work is ended."""
        self.ended.wait(seconds)

    def forgive(self) -> None:
        """Forget why the work was ended: it was done in that moment."""
        with self._lock:
            self._breach = None
            self.ended.clear()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let no interrupt come into the block: it ends its work itself when it is asked to."""
        with self._lock:
            self._holds += 1
        try:
            yield
        finally:
            with self._lock:
                self._holds -= 1

    def interrupt(self, send: Callable[[], None]) -> bool:
        """Interrupt the work unless it is held; tell whether it was.

        Parameters
        ----------
        send
            What interrupts it. No hold begins or ends meanwhile.
        """
        with self._lock:
            if self._holds == 0:
                send()
            return self._holds == 0

    @contextmanager
    def program(self, pid: int) -> Iterator[None]:
        """Enter a program that leads its own process group, for as long as it runs."""
        with self._lock:
            self._programs.add(pid)
            late = self._breach is not None
        if late:
            signal_tree(pid, signal.SIGTERM)
        try:
            yield
        finally:
            with self._lock:
                self._programs.discard(pid)

    def signal_programs(self, number: signal.Signals) -> None:
        """Send a signal to the process trees of all programs."""
        for pid in self._running():
            signal_tree(pid, number)

    def programs_resident(self) -> int:
        """Return the bytes of memory that the programs and their children hold now."""
        return sum(map(tree_resident, self._running()))

    def note_peak(self, size: int) -> None:
        """Note how much memory the programs held at once."""
        with self._lock:
            self._peak = max(self._peak, size)

    def take_peak(self) -> int:
        """Return the highest memory noted since the last call, bytes."""
        with self._lock:
            peak, self._peak = self._peak, 0
        return peak

    def _running(self) -> list[int]:
        with self._lock:
            return list(self._programs)


CURRENT: ContextVar[Allowance | None] = ContextVar("allowance", default=None)


def current_allowance() -> Allowance | None:
    """Return the allowance of the attempt that this thread works on, None outside of one."""
    return CURRENT.get()
