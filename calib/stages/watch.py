"""Watches over the attempts of this process: heartbeat, time, memory, cancellation.

Two threads serve all attempts. One looks at time and memory and never waits for anything; the
other talks to the ledger, which may take long. Neither lives when there is nothing to watch.

How an attempt is ended: the reason is written down, its programs are asked to stop, an
exception is raised in the thread that works. A stage in Python, or in NumPy between two calls,
stops at once; one that hangs in a call of C does not. Where the process is disposable (a Dask
worker, which its nanny starts again) the attempt is then closed from here and the process
ends; elsewhere the attempt is closed, and its thread given up (:func:`stuck_threads`).
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import NoReturn, TypeVar

from calib.errors import Cancelled, HstflowError, Interrupted, OutOfMemory, TimedOut
from calib.ledger.ledger import Attempt
from calib.ledger.pulse import beat_all, closed_of
from calib.programs.allowance import CURRENT, current_allowance
from calib.programs.tree import resident
from calib.stages.job import Job
from calib.stages.policy import with_patience
from calib.stages.recording import ledger_of
from calib.stages.watched import Closing, Watched

log = logging.getLogger(__name__)
R = TypeVar("R")

# How often time and memory are looked at, seconds; oftener when memory is nearly used up.
PERIOD = 0.5
CLOSE_PERIOD = 0.05
NEARLY = 0.7

# A host that cannot see this process takes an attempt for dead after five minutes.
HEARTBEAT_SECONDS = 30.0

# How soon a cancelled attempt learns so, seconds: one question for all attempts of a process.
LISTEN_SECONDS = 3.0

# How long a stage that was stopped may take to come back, seconds; a call of NumPy on the
# largest frames takes about one. Half of it later it is stopped once more: code that ran while
# an object was removed swallows exceptions.
GRACE = 10.0


class _Threads:
    """The attempts of this process and the two threads that look after them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.watched: dict[int, Watched] = {}
        self.is_disposable = False
        self._wake = threading.Event()
        self._threads: list[threading.Thread] = []

    def enter(self, one: Watched) -> None:
        """Look after an attempt from now on."""
        with self.lock:
            self.watched[one.attempt.id] = one
            self._start()

    def leave(self, one: Watched) -> None:
        """Forget an attempt."""
        with self.lock:
            self.watched.pop(one.attempt.id, None)
            if not self.watched:
                self._threads = []
                self._wake.set()

    def all(self) -> list[Watched]:
        """Return the attempts that are at work now."""
        with self.lock:
            return list(self.watched.values())

    def find(self, attempt: Attempt) -> Watched | None:
        """Return an attempt that is being watched; None where it is not."""
        with self.lock:
            return self.watched.get(attempt.id)

    def _start(self) -> None:
        """Start the threads that do not live; also after a fork, which leaves them behind."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        if not self._threads:
            self._wake = threading.Event()
        alive = {thread.name for thread in self._threads}
        for name, work in (("watchdog", _watch), ("heartbeat", _listen)):
            if name not in alive:
                thread = threading.Thread(target=work, args=(self._wake,), name=name, daemon=True)
                self._threads.append(thread)
                thread.start()


_threads = _Threads()


@contextmanager
def watching(job: Job, attempt: Attempt, close: Closing) -> Iterator[Watched]:
    """Watch over an attempt until it ends.

    Parameters
    ----------
    job, attempt
        What is processed, and what it is granted.
    close
        Closes the attempt in its place, where its thread cannot be stopped and the process has
        to end: gets the reason and the stage.
    """
    one = Watched(job, attempt, close)
    current = CURRENT.set(one.allowance)
    _threads.enter(one)
    try:
        yield one
    finally:
        _threads.leave(one)
        CURRENT.reset(current)


def at_work(attempt: Attempt, stage: str, work: Callable[[], R]) -> R:
    """Do a stage of an attempt under the eyes of the watchdog.

    An attempt that nobody watches (a notebook that calls one stage) does it as it is.

    Raises
    ------
    TimedOut, OutOfMemory, Cancelled, Interrupted
        The attempt was ended, and why.
    HstflowError
        As the stage says; a lack of memory or disk is an error of ours.
    """
    one = _threads.find(attempt)
    return work() if one is None else one.run(stage, work)


def unstopped() -> AbstractContextManager[None]:
    """Let the block end before the stage is stopped: a transaction is done or not begun."""
    allowance = current_allowance()
    return nullcontext() if allowance is None else allowance.held()


def pause(seconds: float) -> None:
    """Wait before another try; an attempt that is ended meanwhile waits no longer."""
    allowance = current_allowance()
    if allowance is None:
        time.sleep(seconds)
    else:
        allowance.wait(seconds)


def make_disposable() -> None:
    """Say that this process may end when a stage in it cannot be stopped otherwise.

    Called in a worker that somebody starts again (flows/worker_setup.py).
    """
    _threads.is_disposable = True


def is_disposable() -> bool:
    """Tell whether this process may end for the sake of one attempt."""
    return _threads.is_disposable


def stuck_threads() -> list[int]:
    """Return the threads of attempts that were closed because nothing brings them back."""
    return [one.thread for one in _threads.all() if one.abandoned and one.thread is not None]


def stop_all(why: str) -> None:
    """Stop whatever this process works on: it is about to end."""
    for one in _threads.all():
        one.stop(Interrupted(why, dataset=one.job.dataset))


def _watch(wake: threading.Event) -> None:
    """Look at time and memory until nobody works any more."""
    period = PERIOD
    while not wake.wait(period):
        attempts = _threads.all()
        for one in attempts:
            _check_time(one)
        is_close = _check_memory(attempts)
        for one in attempts:
            _follow_up(one)
        period = CLOSE_PERIOD if is_close else PERIOD


def _check_time(one: Watched) -> None:
    left = one.seconds_left()
    if left is None or left > 0 or one.allowance.breach is not None:
        return
    scale = one.job.grant.time_scale
    factor = "" if scale == 1 else f", {scale:g} times the usual"
    seconds = one.stage_seconds()
    message = f"{one.stage} went over its limit after {seconds:.0f} s{factor}"
    one.stop(TimedOut(message, dataset=one.job.dataset))


def _check_memory(attempts: list[Watched]) -> bool:
    """Stop what holds more than it is granted; tell whether one comes near to that.

    What the process itself holds is known for all its threads together: where several work,
    it counts against the sum of their grants, and the one that began last is stopped.
    """
    limits = [one.job.grant.memory for one in attempts]
    if not attempts or all(limit is None for limit in limits):
        return False
    own = resident() - min(one.baseline for one in attempts)
    programs = {one.attempt.id: one.allowance.programs_resident() for one in attempts}
    for one in attempts:
        one.allowance.note_peak(programs[one.attempt.id])
    if any(limit is None for limit in limits):
        known = [one for one in attempts if one.job.grant.memory is not None]
        # Each one is looked at: `any` would stop at the first.
        return max(_over(one, programs[one.attempt.id], one.job.grant.memory) for one in known)
    last = max(attempts, key=lambda one: one.began)
    total = sum(limit for limit in limits if limit is not None)
    held = own + sum(programs.values())
    return _over(last, held, total)


def _over(one: Watched, held: int, limit: int | None) -> bool:
    if limit is None or held <= NEARLY * limit:
        return False
    if held > limit and one.is_at_work() and one.allowance.breach is None:
        error = OutOfMemory(
            f"{one.stage} went over its memory",
            dataset=one.job.dataset,
            expected=f"at most {limit / 1e9:.2f} GB",
            found=f"{held / 1e9:.2f} GB",
        )
        one.stop(error)
    return True


def _follow_up(one: Watched) -> None:
    """Go on with an attempt that was stopped and has not come back yet."""
    why = one.allowance.breach
    if why is None or one.stopped_at is None or not one.is_at_work():
        return
    late = time.monotonic() - one.stopped_at
    if late > GRACE / 2:
        one.allowance.signal_programs(signal.SIGKILL)
    if late > GRACE and _threads.is_disposable:
        _end_process(one, why)
    if late > GRACE and not one.is_closing:
        # In a thread of its own: nobody is watched over while the ledger is waited for.
        one.is_closing = True
        closing = threading.Thread(target=_abandon, args=(one, why), name="closing", daemon=True)
        closing.start()
        closing.join(GRACE / 2)
    if late > GRACE / 2 and not one.given_up:
        one.given_up = True
        one.interrupt()


def _abandon(one: Watched, why: HstflowError) -> None:
    """Close an attempt that cannot be stopped, in a process that others depend on."""
    message = "%s does not come back from a call; only the end of this process will end it"
    one.tell(logging.ERROR, message, one.stage)
    try:
        with_patience(lambda: one.close(why, one.stage), until=lambda: not one.is_at_work())
    except HstflowError as error:  # closed already, or the ledger is away: it is found dead later
        one.tell(logging.WARNING, "the end was not recorded: %s", error)
    finally:
        one.abandoned = True


def _end_process(one: Watched, why: HstflowError) -> NoReturn:
    """Close an attempt that cannot be stopped, and end the process that it hangs in."""
    one.tell(logging.ERROR, "%s does not come back: the worker ends itself", one.stage)
    one.allowance.signal_programs(signal.SIGKILL)
    try:
        one.close(why, one.stage)
    except HstflowError as error:  # the ledger is away: the attempt is found dead later
        one.tell(logging.ERROR, "the end was not recorded: %s", error)
    finally:
        os._exit(why.code)


def _listen(wake: threading.Event) -> None:
    """Tell the ledger that attempts live, and hear which of them are wanted no more."""
    while not wake.wait(LISTEN_SECONDS):
        by_ledger: dict[str, list[Watched]] = defaultdict(list)
        for one in _threads.all():
            by_ledger[one.job.ledger].append(one)
        for url, attempts in by_ledger.items():
            try:
                _exchange(url, attempts)
            except HstflowError as error:
                log.warning("the ledger was not reached: %s", error)
            except Exception:  # this thread's boundary: all attempts here would be taken for dead
                log.exception("unexpected error: the next heartbeat is tried all the same")


def _exchange(url: str, attempts: list[Watched]) -> None:
    ledger, now = ledger_of(url), time.monotonic()
    silent = [one for one in attempts if now - one.heard >= HEARTBEAT_SECONDS]
    if silent:
        ledger.write(lambda c: beat_all(c, [one.attempt for one in silent]))
        for one in silent:
            one.heard = now
    asked = [one for one in attempts if one.job.grant.is_supervised or one in silent]
    old = [one for one in asked if now - one.began >= LISTEN_SECONDS]
    if not old:
        return
    closed = ledger.ask(lambda rows: closed_of(rows, [one.attempt for one in old]))
    for one in old:
        if one.attempt.id in closed:
            _stop_closed(one, *closed[one.attempt.id])


def _stop_closed(one: Watched, outcome: str, message: str) -> None:
    """Stop an attempt that the ledger has closed: an operator did, or somebody took it over."""
    kind = Cancelled if outcome == "cancelled" else Interrupted
    text = f"attempt {one.attempt.number} is closed: {message}"
    one.stop(kind(text, dataset=one.job.dataset))
