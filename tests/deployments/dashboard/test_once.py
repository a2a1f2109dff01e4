"""Answers that are made once for all who ask."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from deployments.dashboard.once import Busy, Once


def test_many_wait_for_one() -> None:
    """Who comes while it is made gets the same answer, or goes away where it does not wait."""
    once: Once[int] = Once(4)
    begun, go_on = threading.Event(), threading.Event()
    made: list[int] = []

    def make() -> int:
        made.append(1)
        begun.set()
        assert go_on.wait(10)
        return 7

    with ThreadPoolExecutor(5) as pool:
        asked = [pool.submit(once.get, "key", make) for _ in range(5)]
        assert begun.wait(10)
        with pytest.raises(Busy):
            once.get("key", make, waits=False)
        go_on.set()
        assert [each.result(10) for each in asked] == [7] * 5
    assert once.get("key", make, waits=False) == 7
    assert len(made) == 1


def test_a_failure_is_not_kept() -> None:
    """Who made it is told, and whoever waits makes the answer."""
    once: Once[int] = Once(4)
    begun, go_on = threading.Event(), threading.Event()

    def fail() -> int:
        begun.set()
        assert go_on.wait(10)
        raise OSError("away")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(once.get, "key", fail)
        assert begun.wait(10)
        second = pool.submit(once.get, "key", lambda: 3)
        go_on.set()
        with pytest.raises(OSError, match="away"):
            first.result(10)
        assert second.result(10) == 3
    assert once.get("key", fail) == 3


def test_the_oldest_go_first() -> None:
    """Neither too many nor too heavy; what was asked for last stays, also where it is too heavy."""
    once: Once[str] = Once(3, 10.0)
    for name, weight in (("a", 4.0), ("b", 4.0), ("a", 4.0), ("c", 4.0)):
        once.get(name, lambda name=name: name, weight)  # type: ignore[misc]
    assert once.get("a", lambda: "again") == "a"
    assert once.get("b", lambda: "again", 4.0) == "again"
    once.get("heavy", lambda: "heavy", 100.0)
    assert once.get("heavy", lambda: "again") == "heavy"
    assert once.get("a", lambda: "again") == "again"
