"""Alerts as events: once for as long as each lasts."""

from __future__ import annotations

from typing import Any

import pytest

from calib.ledger.alerts import Alert
from flows import alarms
from flows.alarms import Bell, number_of

FAILING = Alert("failing", "night", 1, "2026-01-01T00:00:00+00:00", "5 of the last 20 failed")
LOST = Alert("lost", "night", 1, "2026-01-01T00:00:00+00:00", "gone")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """Return the events that are emitted: name and payload."""
    found: list[tuple[str, Any]] = []
    monkeypatch.setattr(
        alarms, "emit_event", lambda **event: found.append((event["event"], event["payload"]))
    )
    return found


def test_an_episode_is_told_once_and_so_is_its_end(told: list[tuple[str, Any]]) -> None:
    """Three looks at one episode are one event; when it is over that is another, then it is new."""
    bell = Bell("night", {"context": "hst_0001.pmap"})
    for alerts in ([FAILING], [FAILING], [FAILING], [], [], [FAILING]):
        bell.look(alerts)
    bell.end("failed", "20 of 200 failed", {"error": 20})
    bell.end("paused", "paused", {})

    assert [name.removeprefix("hst.campaign.") for name, _ in told] == [
        *("failing", "recovered", "failing", "finished", "stopped")
    ]
    assert told[0][1] == {
        "campaign": "night",
        "context": "hst_0001.pmap",
        "kind": "failing",
        "since": FAILING.since,
        "reason": FAILING.reason,
        "session": 1,
    }


def test_events_of_one_episode_have_one_number() -> None:
    """Whoever tells it, the number is the same; another session or kind is another episode."""
    again = Alert("lost", "night", 1, LOST.since, "other words")
    other = Alert("lost", "night", 2, LOST.since, LOST.reason)

    assert number_of(LOST) == number_of(again)
    assert len({number_of(each) for each in (LOST, other, FAILING)}) == 3
