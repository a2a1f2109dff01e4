"""Who watches a campaign goes on watching, whatever happens at one look."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from campaign_ledger import begin_session, end, enter

from calib.errors import Unavailable
from calib.ledger.alerts import AlertLimits
from calib.ledger.campaign_reports import Campaign
from calib.ledger.ledger import Ledger, open_ledger
from calib.records import Outcome
from flows import alarms, observer
from flows.campaign_results import Result
from flows.observer import Observer, Scene
from flows.plans import campaign_of

NAMES = tuple(f"j8bt{number:02d}njq" for number in range(12))


class Board:
    """Shows nothing: there is no server."""

    def look(self, *_: object) -> None:
        """Show it."""

    def end(self, *_: object) -> None:
        """Show it for the last time."""


class Trouble:
    """Looks at the campaign of which some go wrong."""

    def __init__(self, *errors: Exception, when: Callable[[], bool] = lambda: True) -> None:
        self.left, self.when = list(errors), when

    def __call__(self, ledger: Ledger, name: str) -> Campaign:
        """Return the campaign, or fail."""
        if self.left and self.when():
            raise self.left.pop(0)
        return campaign_of(ledger, name)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Look often; return the events that are emitted."""
    found: list[str] = []
    monkeypatch.setattr(
        alarms, "emit_event", lambda **event: found.append(event["event"].rpartition(".")[2])
    )
    monkeypatch.setattr(observer, "PERIOD", 0.01)
    monkeypatch.setattr(observer, "AGAIN", 0.01)
    monkeypatch.setattr(Observer, "_shown_board", lambda _: Board())
    return found


@pytest.fixture
def ledger(tmp_path: Any) -> Iterator[Ledger]:
    """Return a ledger with a campaign at work, most of whose datasets failed."""
    with open_ledger(str(tmp_path / "ledger.db")) as opened:
        enter(opened, "spring", NAMES)
        begin_session(opened)
        for name in NAMES[:-1]:
            end(opened, "spring", Outcome(name, "error", "gone", 21, "NotFound"))
        yield opened


def wait_for(what: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("error", [Unavailable("the ledger is busy"), KeyError("failing")])
def test_trouble_at_the_begin_does_not_end_the_watch(
    error: Exception,
    ledger: Ledger,
    told: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A ledger that is busy at first, or a mistake of ours: alert and end are told all the same."""
    looks = Trouble(error, error, error)
    monkeypatch.setattr(observer, "campaign_of", looks)
    caplog.set_level(logging.INFO)

    watching = Observer(Scene(ledger, "spring", "here", AlertLimits()), uuid4())
    wait_for(lambda: bool(told))
    watching.end(Result("failed", "11 of 12 failed", {"error": 11}), [])
    watching.close()

    assert told == ["failing", "finished"]
    assert caplog.text.count("the campaign is not shown") == 3


def test_last_words_are_tried_once_more(
    ledger: Ledger, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger that is busy at the very end costs nobody the event of the end."""
    watching = Observer(Scene(ledger, "spring", "here", AlertLimits()), uuid4())
    wait_for(lambda: bool(told))
    looks = Trouble(Unavailable("the ledger is busy"), when=watching._closed.is_set)
    monkeypatch.setattr(observer, "campaign_of", looks)
    watching.end(Result("failed", "11 of 12 failed", {"error": 11}), [])
    watching.close()

    assert told == ["failing", "finished"]
    assert looks.left == []
