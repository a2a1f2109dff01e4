"""Threads that a process does not wait for at its end.

Python joins the threads of its own ThreadPoolExecutor before it exits: a stage that hangs in a
call of C, which nothing can end, would keep the process for ever.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class _Task:
    future: Future[Any]
    call: Callable[..., Any]
    arguments: tuple[Any, ...]

    def run(self) -> None:
        """Call the function, unless nobody wants it any more."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self.call(*self.arguments)
        except BaseException as error:  # noqa: BLE001 - the future raises it where it is wanted
            with suppress(InvalidStateError):  # it was given up
                self.future.set_exception(error)
        else:
            with suppress(InvalidStateError):
                self.future.set_result(result)


class DaemonThreads:
    """A number of threads that take calls in the order in which they come.

    Parameters
    ----------
    number
        How many calls run at the same time.
    """

    def __init__(self, number: int) -> None:
        self._waiting: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._busy: dict[int, _Task] = {}
        self._threads: dict[int, threading.Thread] = {}
        for _ in range(number):
            self._start()

    def submit(self, call: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Call a function as soon as a thread is free."""
        task = _Task(Future(), call, arguments)
        self._waiting.put(task)
        return task.future

    def give_up(self, threads: Collection[int], why: Exception) -> None:
        """End the futures of threads that do not come back, and start others in their place.

        Parameters
        ----------
        threads
            Their identifiers; those that are at work on nothing of ours are passed over.
        why
            What the futures raise.
        """
        for number in threads:
            with self._lock:
                task = self._busy.pop(number, None)
                self._threads.pop(number, None)
            if task is not None:
                task.future.set_exception(why)
                self._start()

    def shutdown(self, seconds: float) -> bool:
        """Take no more, and wait for what runs; tell whether all of it has ended in time."""
        while not self._waiting.empty():
            task = self._waiting.get()
            if task is not None:
                task.future.cancel()
        threads = list(self._threads.values())
        for _ in threads:
            self._waiting.put(None)
        deadline = time.monotonic() + seconds
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def _start(self) -> None:
        thread = threading.Thread(target=self._serve, name="dataset", daemon=True)
        thread.start()
        if thread.ident is not None:
            self._threads[thread.ident] = thread

    def _serve(self) -> None:
        me = threading.get_ident()
        while (task := self._waiting.get()) is not None:
            with self._lock:
                self._busy[me] = task
            task.run()
            with self._lock:
                if self._busy.pop(me, None) is not task:
                    return  # given up: another thread has taken the place
