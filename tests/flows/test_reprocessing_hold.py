"""The heart of a process that has a reprocessing in its hands."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest
from sqlalchemy import Connection

from calib.errors import Interrupted, Unavailable
from calib.ledger.ledger import Ledger, open_ledger
from calib.ledger.reprocessing_holders import Hold
from calib.ledger.reprocessings import NewReprocessing, enter_reprocessing
from flows import reprocessing_hold
from flows.reprocessing_hold import holding


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return the URL of a ledger that has a reprocessing."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with open_ledger(url) as ledger:
        enter(ledger)
    return url


def enter(ledger: Ledger) -> None:
    """Enter a reprocessing."""
    new = NewReprocessing("again", None, "hst_9002.pmap", "list", "{}")
    ledger.write(lambda c: enter_reprocessing(c, new, [], who="test"))


def test_no_error_but_the_loss_stops_the_heart(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody would see that it stopped; another host would take the reprocessing on."""
    answers: list[Exception] = [Unavailable("away"), RuntimeError("new"), Interrupted("lost")]
    over = Event()

    def beat(_connection: Connection, _held: Hold) -> None:
        error = answers.pop(0)
        if not answers:
            over.set()
        raise error

    monkeypatch.setattr(reprocessing_hold, "BEAT", 0.01)
    monkeypatch.setattr(reprocessing_hold, "beat_hold", beat)

    with holding("again", url) as heart:
        assert over.wait(10)
        heart.stop()
        with pytest.raises(Interrupted, match="lost"):
            heart.check()
