"""One attempt under watch: the stage that it is at, and how that stage is stopped.

A stage is stopped by an exception that is raised in its thread from outside. Only one is ever
sent to a stage, and it cannot come out of :meth:`Watched.run`: what comes out is the error
that says why. So no such exception hits what the thread does next, and Prefect, whose tasks
may lie between a stage and whoever called it, sees an error of ours.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import threading
import time
import traceback
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import TypeVar

from calib.campaigns.model import kill_time
from calib.errors import (
    ARCHIVE,
    OUR_MEMORY,
    SYSTEM_MEMORY,
    HstflowError,
    Interrupted,
    OutOfMemory,
    TimedOut,
    Unavailable,
)
from calib.ledger.ledger import Attempt
from calib.programs.allowance import CURRENT, Allowance
from calib.programs.tree import resident
from calib.stages.job import Job

log = logging.getLogger(__name__)
R = TypeVar("R")

Closing = Callable[[HstflowError, str], object]

# One is enough: the interpreter looks for exceptions after every call.
_STEPS = 100

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Stopped(BaseException):
    """Raised in the thread of a stage from outside; no library catches it by accident."""


class Watched:
    """An attempt at work.

    Parameters
    ----------
    job, attempt
        What is processed.
    close
        Ends the attempt in its place when its thread cannot: gets the reason and the stage.

    Attributes
    ----------
    allowance
        What it may use.
    baseline
        Bytes that the process held before it began.
    stage
        The stage at work, or the last one.
    """

    def __init__(self, job: Job, attempt: Attempt, close: Closing) -> None:
        self.job = job
        self.attempt = attempt
        self.close = close
        self.allowance = Allowance(job.dataset, job.grant.memory)
        self.baseline = resident()
        self.began = self.heard = time.monotonic()
        self.stage = "fetch"
        self.stopped_at: float | None = None
        self.given_up = self.abandoned = self.is_closing = False
        self._context: Context = copy_context()
        self._entered = 0.0
        self._thread: int | None = None
        self._was_sent = False
        self._lock = threading.Lock()

    def run(self, stage: str, work: Callable[[], R]) -> R:
        """Do a stage in this thread, which may be stopped from another one.

        Raises
        ------
        HstflowError
            Why the attempt was ended, whatever the stage made of it; or what is wrong with
            the stage. A lack of memory or disk is an error of ours.
        """
        current = CURRENT.set(self.allowance)
        try:
            return self._stoppable(stage, work)
        except HstflowError as error:
            _let_go(error)
            if self.allowance.breach in {None, error}:
                raise
            raise self.allowance.breach from error
        except Exception as error:
            _let_go(error)
            named = self.allowance.breach or _named(error)
            if named is None:
                raise
            raise named from error
        finally:
            CURRENT.reset(current)

    def _stoppable(self, stage: str, work: Callable[[], R]) -> R:
        try:
            try:
                self._enter(stage)
                result = work()
            finally:
                self._leave()
        except Stopped as stopped:
            self._leave()  # the one exception may have come before that was done
            _let_go(stopped)
            raise self._reason() from None
        self._forgive()
        return result

    def _enter(self, stage: str) -> None:
        with self._lock:
            if self.allowance.breach is not None:
                raise self.allowance.breach
            self.stage, self._entered = stage, time.monotonic()
            self.stopped_at, self.given_up = None, False
            self._context = copy_context()
            self._thread = threading.get_ident()

    def _leave(self) -> None:
        """Be out of reach: what was sent and has not arrived yet arrives here.

        It is not taken back (an exception of None): CPython 3.11 then looks for one at every
        step from there on, and under a profiler or tracer makes no further step at all.
        """
        with self._lock:
            self._thread = None
            was_sent, self._was_sent = self._was_sent, False
        if was_sent:
            _let_arrive()

    def _forgive(self) -> None:
        """Keep what was finished in the moment in which its time was up."""
        if isinstance(self.allowance.breach, TimedOut | OutOfMemory):
            self.allowance.forgive()

    def _reason(self) -> HstflowError:
        return self.allowance.breach or Interrupted("stopped", dataset=self.job.dataset)

    @property
    def thread(self) -> int | None:
        """The thread of the stage at work; None: there is none."""
        return self._thread

    def is_at_work(self) -> bool:
        """Tell whether a stage is running now."""
        return self._thread is not None

    def seconds_left(self) -> float | None:
        """Return what is left to the stage at work; None: no limit, or no stage."""
        limit = self.job.grant.limits.get(self.stage)
        if limit is None or not self.is_at_work():
            return None
        allowed = kill_time(limit, self.job.grant.time_scale, self.job.id)
        return self._entered + allowed - time.monotonic()

    def stage_seconds(self) -> float:
        """Return for how long the stage is at work."""
        return time.monotonic() - self._entered

    def stop(self, why: HstflowError) -> None:
        """End the attempt: its programs, then the stage in its thread."""
        if self.allowance.end(why):
            self.tell(logging.ERROR, "stopping: %s", why)
            self.stopped_at = time.monotonic()
        self.interrupt()

    def interrupt(self) -> None:
        """Raise the exception in the thread of the stage, if there is one at work."""
        with self._lock:
            thread = self._thread
            if thread is not None and self.allowance.interrupt(lambda: _stop_thread(thread)):
                self._was_sent = True

    def tell(self, level: int, message: str, *arguments: object) -> None:
        """Write a line to the log of this job, from whatever thread."""
        self._context.copy().run(log.log, level, message, *arguments)


def _named(error: Exception) -> HstflowError | None:
    """Return an error of ours for what the system lacks; None for another error."""
    if isinstance(error, MemoryError):
        return OutOfMemory(f"memory ran out: {error}", code=OUR_MEMORY)
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return OutOfMemory(f"the system has no memory: {error.strerror}", code=SYSTEM_MEMORY)
    if isinstance(error, OSError) and error.errno in _FULL:
        message = f"the disk is full, or a quota is used up: {error.strerror}"
        return Unavailable(message, path=error.filename, code=ARCHIVE)
    return None


def _stop_thread(thread: int) -> None:
    """Raise the exception in another thread, at its next step in Python."""
    kind = ctypes.py_object(Stopped)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), kind)


def _let_arrive() -> None:
    """Make some steps in which an exception that was sent arrives, if it has not done so."""
    try:
        for _ in range(_STEPS):
            time.sleep(0)
    except Stopped:
        return


def _let_go(error: BaseException | None) -> None:
    """Drop what the frames of an error hold: somebody may keep the error for as long as he lives.

    An array of the stage that failed would stay with it, in a worker that goes on to others.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
