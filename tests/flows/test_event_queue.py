"""What waits to be sent to Prefect keeps the next dataset waiting, within bounds."""

from __future__ import annotations

import pytest
from prefect.events.clients import NullEventsClient
from prefect.events.worker import EventsWorker

from flows import event_queue
from flows.event_queue import let_events_go


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of waiting events at each look: the last one stays."""
    numbers: list[int] = []
    monkeypatch.setattr(
        event_queue, "_waiting", lambda: numbers.pop(0) if len(numbers) > 1 else numbers[0]
    )
    monkeypatch.setattr(event_queue, "LOOK", 0.001)
    return numbers


def test_few_events_keep_nobody_waiting(waiting: list[int]) -> None:
    """With no more than the limit the next dataset begins at the first look."""
    waiting += [200, 999]
    assert let_events_go(most=200)
    assert waiting == [999]


def test_dataset_waits_until_events_are_sent(waiting: list[int]) -> None:
    """The next dataset begins as soon as the number has fallen to the limit."""
    waiting += [300, 250, 200, 999]
    assert let_events_go(most=200, patience=60)
    assert waiting == [999]


def test_server_that_is_away_is_not_waited_for(waiting: list[int]) -> None:
    """Where the number does not fall, the dataset begins when the patience is at its end."""
    waiting += [300]
    assert not let_events_go(most=200, patience=0.01)


def test_prefect_has_the_queue_that_is_looked_at() -> None:
    """The number comes from Prefect's own worker; none is waiting where nothing was told."""
    EventsWorker.set_client_override(NullEventsClient)
    try:
        assert event_queue._waiting() == 0
    finally:
        EventsWorker.set_client_override(None)
