"""`hstflow campaign canary, approve, reprocess, status`: what a person and a program see."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from calib.errors import BESTREFS, COMMAND
from calib.ids import parse_dataset
from calib.ledger.campaign_reports import campaigns
from calib.ledger.campaigns import NewJob, enter_jobs
from calib.ledger.ledger import Ledger, current_owner, open_ledger
from calib.ledger.location import ledger_url
from calib.ledger.reprocessing_holders import hold
from calib.ledger.reprocessing_reports import history, reprocessings
from calib.ledger.reprocessings import NewMark, NewReprocessing, advance, enter_reprocessing
from calib.reprocessing.life import Canaries, Result
from deployments.cli.campaign import canary, reprocess
from deployments.cli.campaign import reprocessings as reprocessings_command
from deployments.cli.campaign.reprocessings import TakeFlags
from deployments.cli.main import run

CHANGES = {"DARKFILE": ("a_drk.fits", "b_drk.fits")}
MARKS = [
    NewMark(parse_dataset("j8bt05njq"), 1, CHANGES, is_canary=True),
    NewMark(parse_dataset("j8bt06o6q"), 1, CHANGES),
    NewMark(parse_dataset("j8bt07o6q"), 1, CHANGES, left_out="not covered"),
    NewMark(parse_dataset("acs_8bt_05"), 2, CHANGES, left_out="no engine"),
]


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    """Return the ledger of the command line, with a reprocessing."""
    new = NewReprocessing("july", "hst_9001.pmap", "hst_9002.pmap", "context", '{"runner":"local"}')
    with open_ledger(ledger_url(os.environ)) as found:
        found.write(lambda c: enter_reprocessing(c, new, MARKS, who="test"))
        yield found


def call(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    """Run a command of the group; return what it says."""
    found = run(["campaign", *words])
    said = capsys.readouterr()
    assert found == code, said.err
    return said.out, said.err


def state(ledger: Ledger) -> str:
    """Return the state of the reprocessing."""
    return ledger.ask(reprocessings)[0].state


def to_review(ledger: Ledger) -> None:
    """Bring the reprocessing to its review."""
    ledger.write(lambda c: advance(c, "july", "canary", who="test"))
    words = {"note": "1 canaries: 1 processed", "report": "/r/index.html"}
    ledger.write(lambda c: advance(c, "july", "review", who="test", **words))


def test_status_shows_where_it_stands_and_what_comes_next(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    """The list has a line; its own page has counts, history and the next command."""
    out, _ = call(capsys, "status")
    assert "july" in out
    assert "hst_9001.pmap to hst_9002.pmap" in out
    out, err = call(capsys, "status", "july")
    assert "4 datasets (acs 4); 2 left out" in out
    assert "hstflow campaign canary july" in err
    told = json.loads(call(capsys, "status", "july", "--json")[0])["reprocessing"]
    assert (told["state"], told["marked"], told["left_out"]) == ("planned", 4, 2)
    assert "plan" not in told
    ledger.write(lambda c: hold(c, "july", current_owner()))
    assert "in the hands of pid" in call(capsys, "status", "july")[0]


def test_approval_needs_a_report_unless_it_is_said_otherwise(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a canary nobody could read anything; a person may insist."""
    _, err = call(capsys, "approve", "july", code=COMMAND)
    assert "no canary has run" in err
    out, err = call(capsys, "approve", "july", "--without-canary", "--note", "urgent")
    assert "july is approved" in out
    assert "hstflow campaign reprocess july" in err
    step = ledger.ask(lambda rows: history(rows, 1))[-1]
    assert (step.to_state, step.note) == ("approved", "urgent")
    assert "@" in step.who
    assert "approved already" in call(capsys, "approve", "july", code=COMMAND)[1]


def test_decision_shows_the_report_and_a_rejection_is_final(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is rejected cannot be approved, run with canaries, or rejected twice."""
    to_review(ledger)
    out, _ = call(capsys, "approve", "july", "--reject", "--note", "the dark is wrong")
    assert "/r/index.html" in out
    assert state(ledger) == "rejected"
    for words in (["approve", "july"], ["approve", "july", "--reject"], ["canary", "july"]):
        assert "rejected" in call(capsys, *words, code=COMMAND)[1]


def test_person_at_a_terminal_is_asked_once_more(
    ledger: Ledger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A no decides nothing."""
    to_review(ledger)
    monkeypatch.setattr("deployments.cli.campaign.approve._is_sure", lambda _: False)
    assert "nothing is decided" in call(capsys, "approve", "july")[0]
    assert state(ledger) == "review"
    call(capsys, "approve", "july", "--yes")
    assert state(ledger) == "approved"


def test_canaries_can_be_chosen(
    ledger: Ledger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By number for each type or by name; those that cannot run are refused; -n runs none."""
    told = json.loads(call(capsys, "canary", "july", "--dry-run", "--json")[0])
    assert [each["dataset"] for each in told] == ["j8bt05njq"]
    for bad in ("j8bt07o6q", "acs_8bt_05", "j8bt99zzq"):
        assert bad in call(capsys, "canary", "july", "--only", bad, code=COMMAND)[1]

    taken: list[tuple[str, Canaries]] = []

    def take(name: str, _flags: Any, canaries: Canaries) -> Result:
        taken.append((name, canaries))
        return Result("review", "1 canaries: 1 processed")

    monkeypatch.setattr(canary, "take_on", take)
    to_review(ledger)
    call(capsys, "canary", "july", "--only", "J8BT06O6Q")
    call(capsys, "canary", "july")
    assert taken == [("july", Canaries(("j8bt06o6q",))), ("july", Canaries())]
    assert state(ledger) == "review"


def test_canaries_of_what_was_approved_and_is_blocked_are_refused(
    ledger: Ledger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would go back to where it stood, and run all its waves."""
    monkeypatch.setattr(canary, "take_on", lambda *_: Result("blocked", "still"))
    ledger.write(lambda c: advance(c, "july", "blocked", who="test"))
    call(capsys, "canary", "july", code=BESTREFS)
    ledger.write(lambda c: advance(c, "july", "approved", who="test"))
    ledger.write(lambda c: advance(c, "july", "blocked", who="test"))
    said = call(capsys, "canary", "july", "--only", "j8bt06o6q", code=COMMAND)[1]
    assert "blocked where it was approved" in said


@pytest.mark.parametrize(
    ("outcome", "code"),
    [("finished", 0), ("review", 0), ("blocked", 27), ("failed", 1), ("rejected", 1)],
)
def test_exit_code_tells_how_far_it_came(
    ledger: Ledger,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    outcome: str,
    code: int,
) -> None:
    """Programs see it, too, as JSON on stdout and nothing else."""
    monkeypatch.setattr(reprocess, "take_on", lambda *_: Result(outcome, "so it is"))
    out, _ = call(capsys, "reprocess", "july", "--json", code=code)
    assert json.loads(out)["outcome"] == outcome


def test_unknown_names_and_contradictions_are_refused(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message has what is near, or how one is planned."""
    assert "july" in call(capsys, "reprocess", "juli", code=COMMAND)[1]
    assert "hstflow campaign plan" in call(capsys, "canary", "spring", code=COMMAND)[1]
    assert "--wait" in call(capsys, "reprocess", "july", "--yes", "--wait", code=COMMAND)[1]
    words = ["canary", "july", "--only", "j8bt05njq", "--per-type", "3"]
    assert "--only" in call(capsys, *words, code=COMMAND)[1]
    ledger.write(lambda c: advance(c, "july", "rejected", who="test"))
    again = call(capsys, "reprocess", "july", "--again", code=COMMAND)[1]
    assert "cannot be taken up again" in again


@pytest.mark.parametrize(
    ("flags", "canaries", "is_ready"),
    [
        (TakeFlags("ask"), None, False),
        (TakeFlags("ask"), Canaries(), False),
        (TakeFlags("ask"), Canaries(("j8bt06o6q",)), True),
        (TakeFlags("wait"), None, True),
        (TakeFlags("yes"), None, True),
    ],
)
def test_what_may_run_from_the_review_is_made_ready(
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    flags: TakeFlags,
    canaries: Canaries | None,
    is_ready: bool,
) -> None:
    """Runner and server are looked at before: after the approval nobody may sit there."""
    to_review(ledger)
    made: list[str] = []
    monkeypatch.setattr(
        "deployments.cli.campaign.session.start_server", lambda: made.append("server")
    )
    monkeypatch.setattr(
        "flows.reprocessing_session.run_reprocessing", lambda *_, **__: Result("review", "so")
    )
    reprocessings_command.take_on("july", flags, canaries)
    assert made == (["server"] if is_ready else [])


def test_blocked_starts_no_server(
    ledger: Ledger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has to wait for references says so at once."""
    blocked = Result("blocked", "hst_9002.pmap: 1 references missing (b_drk.fits)")
    started: list[str] = []
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setattr("flows.reprocessing_guard.blocked_at_once", lambda *_: blocked)
    monkeypatch.setattr(
        "deployments.cli.campaign.session.start_server", lambda: started.append("server")
    )
    for command in ("reprocess", "canary"):
        told = json.loads(call(capsys, command, "july", "--json", code=BESTREFS)[0])
        assert (told["outcome"], told["message"]) == ("blocked", blocked.message)
    assert started == []
    assert state(ledger) == "planned"


def test_cancel_before_anything_runs(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    """The reprocessing itself is cancelled, with who and why; a second time there is nothing."""
    out, err = call(capsys, "cancel", "july")
    assert "reprocessing july is cancelled" in out
    assert "hstflow campaign reprocess july --again" in err
    step = ledger.ask(lambda rows: history(rows, 1))[-1]
    assert (step.to_state, step.note) == ("cancelled", "cancelled by the operator")
    assert "july is cancelled: there is nothing" in call(capsys, "cancel", "july")[0]


def test_cancel_while_it_runs(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    """Its campaigns are cancelled with it; one that is over can be cancelled no more."""
    for name in ("july-canary", "july"):
        ledger.ensure_campaign(name, context="hst_9002.pmap")
    jobs = [NewJob(parse_dataset("j8bt05njq"))]
    how: dict[str, Any] = {"run": "r", "context": "hst_9002.pmap", "chunk_size": 9}
    ledger.write(lambda c: enter_jobs(c, "july", jobs, **how))
    told = json.loads(call(capsys, "cancel", "july", "--json")[0])
    assert (told["reprocessing"], told["cancelled"], told["waiting"]) == ("cancelled", 1, 1)
    assert state(ledger) == "cancelled"
    controls = {each.name: each.control for each in ledger.ask(campaigns)}
    assert (controls["july"], controls["july-canary"]) == ("cancel", "run")


def test_report_says_what_comes_next(
    ledger: Ledger, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """In text, JSON and on the page, before its campaign began and after; not the report itself."""
    first = "hstflow campaign canary july"
    for _ in range(2):
        assert first in "".join(call(capsys, "report", "july"))
        told = json.loads(call(capsys, "report", "july", "--json")[0])
        assert told["next"][0].startswith(first)
        page = tmp_path / "july.html"
        call(capsys, "report", "july", "--html", str(page), "--replace")
        assert first in page.read_text()
        ledger.ensure_campaign("july", context="hst_9002.pmap")
    ledger.write(lambda c: advance(c, "july", "finished", who="test"))
    assert json.loads(call(capsys, "report", "july", "--json")[0])["next"] == []
