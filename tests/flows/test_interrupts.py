"""The terminal's interrupt reaches whoever waits, and nobody else."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from flows.interrupts import interruptible


def interrupt_soon() -> None:
    """Send ourselves the terminal's interrupt in a moment, as a person does."""
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()


def test_interrupt_ends_the_wait() -> None:
    """Who waits for an ending gets KeyboardInterrupt there."""
    with interruptible() as endings:
        interrupt_soon()
        with pytest.raises(KeyboardInterrupt):
            endings.wait(10)


def test_interrupt_waits_until_it_is_asked_for() -> None:
    """Other code is not broken off in the middle; the next check is."""
    with interruptible() as endings:
        interrupt_soon()
        time.sleep(0.3)
        with pytest.raises(KeyboardInterrupt):
            endings.check()


def test_second_interrupt_is_pythons_own() -> None:
    """A person who insists is heard at once."""
    with interruptible():
        interrupt_soon()
        time.sleep(0.3)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_handler_is_put_back() -> None:
    """Afterwards the interrupt means what it meant before."""
    before = signal.getsignal(signal.SIGINT)
    with interruptible():
        assert signal.getsignal(signal.SIGINT) is not before

    assert signal.getsignal(signal.SIGINT) is before


def test_endings_come_in_order() -> None:
    """Futures are handed out as they end."""
    with interruptible() as endings:
        for number in (1, 2):
            endings.put(number)
        assert endings.wait(1) == [1, 2]


def test_other_threads_keep_their_signals() -> None:
    """Where no handler can be set, the queue works all the same."""
    got = []

    def work() -> None:
        with interruptible() as endings:
            endings.put("x")
            got.extend(endings.wait(1))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert got == ["x"]
