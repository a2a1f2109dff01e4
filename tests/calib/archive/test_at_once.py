"""Work spread over threads keeps its order, takes no more items than it must, and hides nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.archive.at_once import spread


@given(st.lists(st.integers(), max_size=40), st.integers(0, 5))
def test_results_come_in_the_order_of_the_items(items: list[int], at_once: int) -> None:
    """Whatever the number of threads."""
    assert [*spread(lambda item: item * 2, items, at_once)] == [item * 2 for item in items]


def test_items_are_taken_as_results_are_wanted() -> None:
    """A listing of any length is never read ahead by more than a few per thread."""
    taken = []

    def listing() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    results = spread(lambda item: item, listing(), 2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    assert len(taken) <= 3 + 2 * 4
    results.close()  # type: ignore[attr-defined]
    assert len(taken) <= 3 + 2 * 4


def test_an_error_comes_at_the_place_of_its_item() -> None:
    """What came before is yielded; no thread is left behind."""
    before = threading.active_count()
    results = spread(lambda item: 1 // item, [1, 1, 0, 1], 2)
    assert [next(results), next(results)] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert threading.active_count() == before
