"""Watches over the attempts of this process: heartbeat, time, memory, cancellation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from calib.ledger.ledger import Attempt
from calib.stages.job import Job

R = TypeVar("R")


@contextmanager
def watching(job: Job, attempt: Attempt) -> Iterator[None]:
    """Watch over an attempt until it ends."""
    yield


def at_work(attempt: Attempt, stage: str, work: Callable[[], R]) -> R:
    """Do a stage under the eyes of the watchdog."""
    return work()


def make_disposable() -> None:
    """Say that this process may be ended when a stage in it cannot be stopped otherwise.

    Called by a worker that somebody starts again (flows/worker_setup.py).
    """


def pause(seconds: float) -> None:
    """Wait before another try; the end of the attempt ends the wait."""
    time.sleep(seconds)
