"""Tests of flows.work: the inside of a flow run, kept open by each thread."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from flows import work
from flows.work import FlowFrame, leave_flow_runs, place_of


class Run:
    """What Prefect keeps of a flow run, as far as it matters here."""

    def __init__(self) -> None:
        self.run_results: dict[int, str] = {}


class Doors:
    """A flow run that counts who enters and leaves it."""

    def __init__(self) -> None:
        self.run, self.entered, self.left = Run(), 0, 0

    @contextmanager
    def hydrated(self, _told: dict[str, Any], client: object) -> Iterator[None]:
        """Stand in for Prefect's own."""
        assert client is not None
        self.entered += 1
        yield
        self.left += 1


@pytest.fixture
def doors(monkeypatch: pytest.MonkeyPatch) -> Iterator[Doors]:
    """Enter a flow run without a server."""
    made = Doors()
    monkeypatch.setattr(work, "hydrated_context", made.hydrated)
    monkeypatch.setattr(work, "SyncClientContext", lambda: nullcontext(SimpleNamespace(client=1)))
    monkeypatch.setattr(work.FlowRunContext, "get", lambda: made.run)
    monkeypatch.setattr(work, "let_events_go", lambda: True)  # it would start a server
    yield made
    leave_flow_runs()


def frame(key: str) -> FlowFrame:
    """Return a flow run as it travels."""
    return FlowFrame(key, pickle.dumps({"flow_run_context": {}}))


def test_a_flow_run_is_entered_once_by_a_thread(doors: Doors) -> None:
    """Datasets of one chunk share its context, and the next chunk leaves it."""
    for key, entered, left in (("a", 1, 0), ("a", 1, 0), ("b", 2, 1), ("b", 2, 1)):
        place = place_of(frame(key))
        assert place is not None
        assert place.run(lambda: 7) == 7
        assert (doors.entered, doors.left) == (entered, left)


def test_results_of_tasks_do_not_pile_up(doors: Doors) -> None:
    """What Prefect keeps of each task is forgotten with its dataset, also after an error."""
    place = place_of(frame("a"))
    assert place is not None

    def fail() -> None:
        doors.run.run_results[1] = "a state"
        raise ValueError("bad dataset")

    with pytest.raises(ValueError, match="bad dataset"):
        place.run(fail)
    assert doors.run.run_results == {}


def test_flow_runs_of_ended_threads_are_left(doors: Doors) -> None:
    """The process can leave what its threads, which are gone, have entered."""
    with ThreadPoolExecutor(1) as executor:
        executor.submit(place_of, frame("a")).result()
    assert (doors.entered, doors.left) == (1, 0)
    leave_flow_runs()
    assert doors.left == 1


def test_function_in_the_place_of_a_task_is_given_the_records() -> None:
    """Only Prefect's tasks are given arguments wrapped against being looked through."""
    call = work._either("fetch", lambda *given: given, lambda *_: ("plain",))
    assert call("job", 1) == ("job", 1)
