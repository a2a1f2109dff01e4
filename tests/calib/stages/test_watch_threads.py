"""The two threads that watch over all attempts of a process go on, and are two."""

from __future__ import annotations

import dataclasses
import sys
import threading
import time
from contextlib import suppress
from typing import Any

import pytest

from calib.errors import TimedOut, Unavailable
from calib.grants import Grant
from calib.ledger.attempts import Attempt
from calib.stages import policy, watch
from calib.stages.job import Job
from calib.stages.watch import at_work, watching


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often, so that tests are short."""
    monkeypatch.setattr(watch, "PERIOD", 0.02)
    monkeypatch.setattr(watch, "LISTEN_SECONDS", 0.05)
    monkeypatch.setattr(watch, "GRACE", 0.4)
    monkeypatch.setattr(watch._threads, "is_disposable", False)


def test_heartbeat_outlives_an_unexpected_error(
    job: Job, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error in one exchange ends neither the thread nor the attempts that it keeps alive."""
    calls = []

    def exchange(*_given: Any) -> None:
        calls.append(1)
        message = "a driver of a database said something new"
        raise ValueError(message)

    monkeypatch.setattr(watch, "_exchange", exchange)
    with watching(job, Attempt(-1, -1, job.dataset, 1, "t"), _nothing):
        end = time.monotonic() + 5
        while len(calls) < 3 and time.monotonic() < end:
            time.sleep(0.01)
    assert len(calls) >= 3
    assert "something new" in caplog.text


def test_only_the_dead_thread_is_started_again(job: Job) -> None:
    """Two watchdogs would stop one stage twice."""
    ended = threading.Thread(target=lambda: None, name="heartbeat")
    ended.start()
    ended.join()
    with watching(job, Attempt(-1, -1, job.dataset, 1, "t"), _nothing):
        watch._threads._threads[1] = ended  # as one that an error has ended
        with watching(job, Attempt(-2, -2, job.dataset, 1, "t"), _nothing):
            names = sorted(thread.name for thread in watch._threads._threads)
            assert names == ["heartbeat", "watchdog"]
            assert all(thread.is_alive() for thread in watch._threads._threads)
            alive = [each.name for each in threading.enumerate() if each.name == "watchdog"]
            assert len(alive) == 1


@pytest.mark.skipif(
    sys.gettrace() is not None,
    reason="on Python 3.11 an exception that waits for a thread in C halts all traced threads",
)
def test_one_thread_closes_what_hangs(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the ledger is away one thread waits to close the attempt, and it tries on."""
    monkeypatch.setattr(policy, "PATIENCE_STEP", 0.05)
    tries: list[str] = []

    def close(_why: object, stage: str) -> None:
        tries.append(threading.current_thread().name)
        assert [each.name for each in threading.enumerate()].count("closing") == 1
        if len(tries) < 4:
            raise Unavailable("the ledger is away")

    attempt = Attempt(-1, -1, job.dataset, 1, "t")
    # The limit must strike within the call, also where a tracer slows down what is before it.
    grant = Grant(limits={"calibrate": 500.0}, time_scale=0.001)
    late = dataclasses.replace(job, grant=grant)
    with watching(late, attempt, close) as one, suppress(TimedOut):
        at_work(attempt, "calibrate", lambda: time.sleep(2.5))  # one call of C
    assert tries == ["closing"] * 4
    assert one.abandoned


def _nothing(*_given: object) -> None:
    """Close nothing."""
