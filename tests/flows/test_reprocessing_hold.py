"""The heart of a process that has a reprocessing in its hands."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest
from sqlalchemy import Connection, update

from calib.errors import Interrupted, Unavailable
from calib.ids import parse_dataset
from calib.ledger.ledger import Ledger, open_ledger
from calib.ledger.reprocessing_holders import Hold
from calib.ledger.reprocessing_reports import reprocessings
from calib.ledger.reprocessings import NewMark, NewReprocessing, enter_reprocessing
from calib.ledger.schema import reprocessing
from calib.references.profile import CrdsProfile
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.enrolment import stored_text
from calib.stages.planning import Request
from flows import reprocessing_hold
from flows.reprocessing_hold import holding
from flows.reprocessing_session import Parts, run_reprocessing


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return the URL of a ledger that has a reprocessing."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with open_ledger(url) as ledger:
        enter(ledger)
    return url


def enter(ledger: Ledger) -> None:
    """Enter a reprocessing."""
    profile = CrdsProfile("test", "", Path("cache"), readonly=True)
    request = Request("file:raws", "file:out", profile, "work", "", "hst_9002.pmap")
    plan = stored_text(CampaignPlan(request))
    new = NewReprocessing("again", None, "hst_9002.pmap", "list", plan)
    marks = [NewMark(parse_dataset("j8bt05njq"), 1)]
    ledger.write(lambda c: enter_reprocessing(c, new, marks, who="test"))


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


def test_process_that_another_one_replaced_while_it_slept_moves_nothing(url: str) -> None:
    """It wakes in the middle of a step, before its next beat: the ledger refuses its word."""

    def sleeps(*_: object) -> list[str]:
        other = update(reprocessing).values(host="elsewhere", token="1" * 32)
        with open_ledger(url) as ledger:
            ledger.write(lambda c: c.execute(other))
        return []

    parts = Parts(choose=sleeps, missing=lambda *_: None)
    with pytest.raises(Interrupted, match="taken reprocessing again over"):
        run_reprocessing("again", url, parts=parts)

    with open_ledger(url) as ledger:
        assert ledger.ask(reprocessings)[0].state == "planned"
