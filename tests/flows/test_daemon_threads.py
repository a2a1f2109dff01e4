"""Threads that come back, and threads that do not."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError

import pytest

from flows.daemon_threads import DaemonThreads


def test_calls_end_with_a_result_or_an_error() -> None:
    """A future says what its call returned or raised."""
    threads = DaemonThreads(2)

    numbers = [threads.submit(int, text) for text in ("1", "x", "3")]

    assert (numbers[0].result(10), numbers[2].result(10)) == (1, 3)
    with pytest.raises(ValueError, match="invalid literal"):
        numbers[1].result(10)
    assert threads.shutdown(10)


def test_a_thread_that_hangs_is_given_up_and_replaced() -> None:
    """Its future ends, others run in its place, and its late result harms nobody."""
    threads, release, number = DaemonThreads(1), threading.Event(), []
    hanging = threads.submit(lambda: (number.append(threading.get_ident()), release.wait(60)))
    while not number:
        pass

    threads.give_up([*number, -1], OSError("hangs"))

    with pytest.raises(OSError, match="hangs"):
        hanging.result(10)
    assert threads.submit(lambda: "next").result(10) == "next"
    release.set()
    assert threads.submit(lambda: "last").result(10) == "last"
    assert threads.shutdown(10)


def test_the_end_does_not_wait_for_ever() -> None:
    """What waits is cancelled; what hangs is left behind, and said."""
    threads, release = DaemonThreads(1), threading.Event()
    began = threading.Event()
    threads.submit(lambda: (began.set(), release.wait(60)))
    waiting = threads.submit(int, "1")
    began.wait(10)

    assert not threads.shutdown(0.05)
    with pytest.raises(CancelledError):
        waiting.result(10)
    release.set()
