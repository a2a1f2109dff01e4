"""Opens and closes every stage run in the ledger, with what it cost, once for all stages.

What is only told afterwards (a stage has ended, these were its inputs) waits for the next
write and is one transaction with it: half as many, for ten thousand datasets. A process that
is killed in between leaves a finished stage as interrupted; the next attempt finds its files.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import Connection

from calib.errors import HstflowError, Interrupted, TransientError
from calib.ledger.jobs import lock_job
from calib.ledger.ledger import Attempt, Ledger, open_ledger
from calib.ledger.stage_runs import StageMetrics, close_stage, open_last_stage, open_stage
from calib.programs.allowance import current_allowance
from calib.records import Outcome
from calib.stages.job import Job
from calib.stages.joblog import stage_name
from calib.stages.metrics import Meter

log = logging.getLogger(__name__)

Write = Callable[[Connection], object]

_ledgers: dict[str, Ledger] = {}
_opening = threading.Lock()


def ledger_of(url: str) -> Ledger:
    """Return the ledger at a URL; opened once per process."""
    with _opening:
        if url not in _ledgers:
            _ledgers[url] = open_ledger(url)
        return _ledgers[url]


def close_ledgers() -> None:
    """Close the ledgers that this process has opened; the next use opens them again."""
    with _opening:
        while _ledgers:
            _ledgers.popitem()[1].close()


class Book:
    """What is still to be written about one attempt.

    Parameters
    ----------
    ledger
        Where it goes.
    waits
        Whether what is told afterwards waits for the next write.
    """

    def __init__(self, ledger: Ledger, *, waits: bool = True) -> None:
        self._ledger = ledger
        self._waits = waits
        self._left: list[Write] = []

    def later(self, write: Write) -> None:
        """Write with the next transaction; at once where nothing waits."""
        self._left.append(write)
        if not self._waits:
            self.flush()

    def now(self, write: Write) -> None:
        """Write all that waits, and this, in one transaction.

        Raises
        ------
        Unavailable
            The ledger cannot be used now: what waits still waits.
        HstflowError
            One of them is refused: the others are written without it.
        """
        self._left.append(write)
        try:
            self.flush()
        except TransientError:
            self.forget(write)  # whoever called tries that again
            raise

    def last(self, attempt: Attempt, write: Write) -> None:
        """Write all that waits, and what closes the attempt, in one transaction.

        The job is locked before anything else, as whoever cancels it does: of two processes
        that lock job and attempt in different orders the database would stop one.

        Raises
        ------
        HstflowError
            As :meth:`now`.
        """
        first = partial(lock_job, job_id=attempt.job_id)
        self._left.insert(0, first)
        try:
            self.now(write)
        finally:
            self.forget(first)

    def forget(self, write: Write) -> bool:
        """Drop what waits, and tell whether it did."""
        waited = write in self._left
        self._left = [each for each in self._left if each != write]
        return waited

    def flush(self) -> None:
        """Write all that waits, in one transaction.

        Raises
        ------
        HstflowError
            As :meth:`now`.
        """
        writes, self._left = self._left, []
        if not writes:
            return
        try:
            self._ledger.write(lambda c: [write(c) for write in writes])
        except HstflowError as error:
            if isinstance(error, TransientError) and not isinstance(error, Interrupted):
                self._left = writes
                raise
            for write in writes[:-1]:
                self._try(write)
            if not isinstance(error, Interrupted):
                raise
            self._ledger.write(writes[-1])  # the word that closed the attempt may be said again

    def _try(self, write: Write) -> None:
        """Write what can be written beside something that is refused."""
        try:
            self._ledger.write(write)
        except HstflowError as error:
            log.warning("not recorded: %s", error)

    def close(self) -> None:
        """Write what is left of an attempt that ended without a last word."""
        writes, self._left = self._left, []
        for write in writes:
            self._try(write)


_books: dict[int, Book] = {}


@contextmanager
def keeping_book(job: Job, attempt: Attempt) -> Iterator[Book]:
    """Keep the book of an attempt while it is at work."""
    book = _books[attempt.id] = Book(ledger_of(job.ledger))
    try:
        yield book
    finally:
        _books.pop(attempt.id).close()


def book_of(job: Job, attempt: Attempt) -> Book:
    """Return the book of an attempt; one that writes at once where nobody keeps it."""
    return _books.get(attempt.id) or Book(ledger_of(job.ledger), waits=False)


@dataclass
class StageEnd:
    """How a stage run ends; the stage may say that it used what was there."""

    state: str = "done"
    writes: list[Write] = field(default_factory=list)

    def note(self, *, reused: bool) -> None:
        """Note that the stage was finished by an earlier attempt."""
        self.state = "reused" if reused else "done"

    def enter(self, write: Write) -> None:
        """Enter in the ledger what the stage found, with its end."""
        self.writes.append(write)


@dataclass
class _Run:
    """A stage run in the ledger; its number is known when it has been entered."""

    book: Book
    attempt: Attempt
    stage: str
    number: int | None = None

    def open(self, connection: Connection) -> None:
        self.number = open_stage(connection, self.attempt, self.stage)

    def open_last(self, connection: Connection, *, outcome: Outcome) -> None:
        self.number = open_last_stage(connection, self.attempt, self.stage, outcome)

    def close(
        self, connection: Connection, *, state: str, metrics: StageMetrics, error: str | None
    ) -> None:
        number = self.number
        if number is not None and not close_stage(connection, number, state, metrics, error):
            log.warning("%s was closed before: %s not recorded", self.stage, state)

    def end(
        self, state: str, metrics: StageMetrics, error: str | None, writes: list[Write]
    ) -> None:
        """Write what the stage found, and that it has ended, with the next transaction."""
        for write in writes:
            self.book.later(write)
        if self.number is not None:
            self.book.later(partial(self.close, state=state, metrics=metrics, error=error))


@contextmanager
def recorded(job: Job, attempt: Attempt, stage: str) -> Iterator[StageEnd]:
    """Record a stage run: opened before, closed after, also when it fails."""
    run = _Run(book_of(job, attempt), attempt, stage)
    run.book.now(run.open)
    with _measured(job, run) as end:
        yield end


@contextmanager
def recorded_last(job: Job, attempt: Attempt, stage: str, outcome: Outcome) -> Iterator[None]:
    """Record the stage that closes the attempt, opened with the write that closes it.

    It may be done again: where the attempt was closed with this outcome before, no stage run
    is opened.
    """
    run = _Run(book_of(job, attempt), attempt, stage)
    opening = partial(run.open_last, outcome=outcome)
    run.book.later(opening)
    with _measured(job, run):
        try:
            yield
        finally:
            if run.book.forget(opening):  # it was taken back, or not done at all
                run.number = None
    run.book.flush()


@contextmanager
def _measured(job: Job, run: _Run) -> Iterator[StageEnd]:
    meter, end = Meter(job.folder / run.stage, current_allowance()), StageEnd()
    with stage_name(run.stage):
        log.info("started")
        try:
            yield end
        except BaseException as error:
            run.end("error", meter.read(), _one_line(error), end.writes)
            raise
        metrics = meter.read()
        run.end(end.state, metrics, None, end.writes)
        log.info("finished in %.2f s", metrics.wall)


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".replace("\n", " ")[:500]
