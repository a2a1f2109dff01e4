"""Asks the ledger on behalf of many readers, and keeps answers for a moment."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from calib.errors import ConfigError, HstflowError, NotFound, Unavailable
from calib.ledger.readers import open_readers
from calib.ledger.reports import Rows

T = TypeVar("T")

LOGGER = logging.getLogger(__name__)

# Answers that are kept, and the characters that they may have together: the pages of some fifty
# readers.
_KEPT = 256
_CHARACTERS = 6_000_000

# An answer that takes long is made anew so seldom that making it takes this share of the time.
_SHARE = 0.05


class NoLedger(NotFound):
    """Nothing was processed yet: there is no ledger."""


class UnfitLedger(ConfigError):
    """The ledger is there, and this version cannot read it until somebody does something."""


class Reader:
    """Asks the ledger, each question on one state of it.

    Parameters
    ----------
    url
        The ledger.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._readers = open_readers(url)
        self._is_away = False

    def ask(self, question: Callable[[Rows], T], patience: float | None = None) -> T:
        """Return the answer to a question.

        Parameters
        ----------
        question
            Of the ledger's rows.
        patience
            Seconds that it may take, where it is not what every question may.

        Raises
        ------
        NoLedger
            There is none yet.
        UnfitLedger
            It is not a ledger, or of another version.
        Unavailable
            It cannot be read now.
        """
        try:
            answer = self._ask(question, patience)
        except Unavailable as error:
            if not self._is_away:
                LOGGER.warning("%s", error)
            self._is_away = True
            raise
        if self._is_away:
            LOGGER.warning("the ledger is there again")
        self._is_away = False
        return answer

    def close(self) -> None:
        """Close what is open."""
        self._readers.close()

    def _ask(self, question: Callable[[Rows], T], patience: float | None) -> T:
        with ExitStack() as stack:
            try:
                rows = stack.enter_context(self._readers.open(patience))
            except ConfigError as error:
                raise UnfitLedger(
                    error.message, path=error.path, expected=error.expected, found=error.found
                ) from error
            if rows is None:
                raise NoLedger("nothing was processed yet: there is no ledger")
            return question(rows)


class Kept:
    """Keeps answers for some seconds; many who ask the same at once wait for one answer.

    Parameters
    ----------
    period
        Seconds for which an answer is good.
    """

    def __init__(self, period: float) -> None:
        self._period = period
        self._lock = threading.Lock()
        self._found: OrderedDict[Hashable, tuple[float, Future[Any], int]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the answer of a key, made now unless there is a fresh one.

        Raises
        ------
        Exception
            What ``make`` raises; that is not kept.
        """
        while True:
            mine, found = self._claim(key)
            if mine is not None:
                self._answer(key, mine, make)
            try:
                answer: T = found.result()
            except CancelledError:
                continue  # whoever made it met the unexpected, and said so
            return answer

    def _claim(self, key: Hashable) -> tuple[Future[Any] | None, Future[Any]]:
        """Return the answer, and once more where it is for us to make."""
        with self._lock:
            until, found, _ = self._found.get(key, (0.0, None, 0))
            if found is not None and until >= time.monotonic():
                return None, found
            mine: Future[Any] = Future()
            self._found[key] = (float("inf"), mine, 0)
            self._found.move_to_end(key)
            return mine, mine

    def _answer(self, key: Hashable, mine: Future[T], make: Callable[[], T]) -> None:
        until, size = 0.0, 0
        try:
            answer = make()
            size = len(answer) if isinstance(answer, str | bytes) else 0
            until = time.monotonic() + self._period
            mine.set_result(answer)
        except HstflowError as error:
            mine.set_exception(error)  # those who wait are told the same
        finally:
            mine.cancel()  # an answer that will never come; nothing where there is one
            with self._lock:
                if self._found.get(key, (0.0, None, 0))[1] is mine:
                    self._found[key] = (until, mine, size)
                self._forget()

    def _forget(self) -> None:
        """Keep neither too many answers nor too long ones; those that are being made stay."""
        total = sum(size for _, _, size in self._found.values())
        if len(self._found) <= _KEPT and total <= _CHARACTERS:
            return
        for key, (_, found, size) in [*self._found.items()]:
            if found.done() and (len(self._found) > _KEPT or total > _CHARACTERS):
                del self._found[key]
                total -= size


@dataclass
class _Work(Generic[T]):
    """An answer that is made beside: the last one, of what, and since when."""

    answer: T | None = None
    mark: Hashable = None
    due_at: float = 0.0
    made: threading.Event = field(default_factory=threading.Event)
    is_running: bool = False


class Later:
    """Makes answers that take long beside the requests, one after the other.

    Whoever asks gets the last answer, which may be some time old, or None before the first.

    Parameters
    ----------
    period
        Seconds for which an answer is good, at least; one that takes long is good for longer.
    """

    def __init__(self, period: float) -> None:
        self._period = period
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._works: OrderedDict[Hashable, _Work[Any]] = OrderedDict()

    def get(
        self, key: Hashable, make: Callable[[], T], mark: Hashable, *, patience: float = 0.0
    ) -> T | None:
        """Return the last answer of a key; a new one is begun where it is old.

        Parameters
        ----------
        key
            What is asked.
        make
            Makes the answer; a failure is logged, and tried again later.
        mark
            What the answer depends on: while it is the same, the answer stays good.
        patience
            Seconds that whoever asks first waits for the first answer.
        """
        with self._lock:
            work = self._works.setdefault(key, _Work())
            self._works.move_to_end(key)
            while len(self._works) > _KEPT:
                self._works.popitem(last=False)
            is_old = work.mark != mark and time.monotonic() >= work.due_at
            starts = is_old and not work.is_running
            work.is_running |= starts
            if starts:
                work.made.clear()
        if starts:
            arguments = (work, make, mark)
            threading.Thread(target=self._work, args=arguments, daemon=True).start()
        if starts and work.answer is None:
            work.made.wait(patience)
        return work.answer

    def wait(self, patience: float = 10.0) -> bool:
        """Wait until every answer that was begun is made; tell whether it is."""
        with self._lock:
            works = [*self._works.values()]
        return all(not each.is_running or each.made.wait(patience) for each in works)

    def _work(self, work: _Work[T], make: Callable[[], T], mark: Hashable) -> None:
        with self._turn:
            began = time.monotonic()
            try:
                work.answer, work.mark = make(), mark
            except HstflowError as error:
                LOGGER.warning("%s", error)
            finally:
                took = time.monotonic() - began
                work.due_at = time.monotonic() + max(self._period, took / _SHARE)
                work.is_running = False
                work.made.set()
