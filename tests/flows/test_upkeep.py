"""The nightly round and the second tries as flows: what they say, tell and start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from campaign_ledger import begin_session, end, enter, states

from calib.archive.verification import Problem
from calib.campaigns.second_tries import Choice
from calib.ledger.campaign_reports import Campaign
from calib.ledger.ledger import Ledger, open_ledger
from calib.ledger.verifications import Holding
from calib.records import Outcome
from calib.references.profile import load_profile
from calib.repository.rounds import Round
from flows import nightly_verify as nightly
from flows import plans
from flows import retry_transient as second

A, B, C = "j8bt05njq", "j8bt06niq", "iaaj01ivq"
HOLDING = Holding(number=10, size=5_000_000_000, never=3, oldest="2026-01-01T00:00:00")


class Server:
    """What a server was told, shown and asked to start."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.pages: list[str] = []
        self.runs: list[str] = []

    def emit(self, **event: Any) -> None:
        """Take an event."""
        self.events.append(event)

    def show(self, _kind: str, _name: str, markdown: str, _title: str) -> None:
        """Take a page."""
        self.pages.append(markdown)

    def start(self, campaign: Campaign) -> str:
        """Take what is to be started."""
        self.runs.append(campaign.name)
        return f"{campaign.name} is resumed"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """Put a record of what it was told in the place of a server."""
    server = Server()
    for module in (nightly, second):
        monkeypatch.setattr(module, "has_server", lambda: True)
        monkeypatch.setattr(module, "show_page", server.show)
    monkeypatch.setattr(nightly, "emit_event", server.emit)
    monkeypatch.setattr(second, "ensure_resumed", server.start)
    return server


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """Give the ledger of HSTFLOW_LEDGER, with a campaign of three datasets."""
    monkeypatch.setenv("HSTFLOW_LEDGER", f"sqlite:///{tmp_path / 'ledger.db'}")
    monkeypatch.setenv("HSTFLOW_WORK", str(tmp_path / "work"))
    profile = load_profile("offsite", {"CRDS_PATH": str(tmp_path / "cache")})
    monkeypatch.setattr(second, "_profiles", lambda _ledger, known: dict.fromkeys(known, profile))
    with open_ledger(str(tmp_path / "ledger.db")) as opened:
        enter(opened, "spring", (A, B, C))
        yield opened


def found(*problems: Problem, **more: Any) -> Round:
    """Return a round that found problems."""
    seen = Round(HOLDING, wanted=4, seen=4, size=2_000_000_000, **more)
    seen.problems += [("file:/out", "r1", A, problem) for problem in problems]
    return seen


def test_quiet_night(server: Server, ledger: Ledger) -> None:
    """Nothing wrong: Completed, a page, no event."""
    state = nightly.nightly_verify.fn()

    assert state.is_completed()
    assert state.message == "all is well: 0 of 0 publications verified"
    assert server.pages[0].startswith("# All is well")
    assert server.events == []


def test_damage_fails_with_reasons_and_is_told(
    server: Server, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kinds are counted in the state, listed in the page, told in the event; names escaped."""
    evil = Problem("changed", "/out/a|b<img>.fits", "12 bytes, not 13")
    seen = found(evil, Problem("missing", "/out/c.fits", "not there"), unreached={"s3://b": "503"})
    monkeypatch.setattr(nightly, "go_round", lambda *_, **__: seen)

    state = nightly.nightly_verify.fn()

    assert state.is_failed()
    assert state.message == (
        "1 changed; 1 missing; s3://b cannot be reached: 503 (4 of 10 publications verified)"
    )
    assert r"/out/a\|b&lt;img>.fits: 12 bytes" in server.pages[0]
    (event,) = server.events
    assert event["event"] == "hst.archive.damaged"
    assert event["payload"]["counts"] == {"changed": 1, "missing": 1}
    assert event["payload"]["datasets"] == 1


def test_a_thousand_problems_fit_into_a_page(ledger: Ledger) -> None:
    """A disk that has gone bad makes neither page nor event too large for the server."""
    many = [Problem("missing", f"/out/{number}.fits", "not there") for number in range(1000)]

    page = nightly.page_of(found(*many), [], 30)

    assert page.count("| missing |") == 200
    assert "and 800 more" in page


def test_second_try_submits_and_resumes(server: Server, ledger: Ledger) -> None:
    """An error that may have passed is submitted again; its campaign is resumed, once named."""
    end(ledger, "spring", Outcome(A, "error", "503", code=22, error_class="Unavailable"))
    end(ledger, "spring", Outcome(B, "error", "bad", code=21, error_class="CorruptFile"))

    state = second.retry_transient.fn(settle_minutes=0)

    assert state.is_completed()
    assert state.message == "submitted again: 1 dataset, left alone: 0; spring is resumed"
    assert states(ledger) == {A: "submitted", B: "error", C: "planned"}
    assert server.runs == ["spring"]
    assert "| spring | 1 |" in server.pages[0]


def test_campaign_of_another_version_stops_no_other(
    server: Server, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan that cannot be read is a reason to leave its datasets; others are tried again."""
    enter(ledger, "autumn", (A,))
    for campaign in ("spring", "autumn"):
        end(ledger, campaign, Outcome(A, "error", "503", code=22, error_class="Unavailable"))
    profile = load_profile("offsite", {})
    readable = type("Plan", (), {"request": type("Request", (), {"profile": profile})})

    def plan_of(found: Ledger, name: str, url: str) -> Any:
        return readable if name == "autumn" else plans.plan_of(found, name, url)

    monkeypatch.undo()
    monkeypatch.setenv("HSTFLOW_LEDGER", ledger.url)
    monkeypatch.setattr(second, "has_server", lambda: True)
    monkeypatch.setattr(second, "show_page", server.show)
    monkeypatch.setattr(second, "ensure_resumed", server.start)
    monkeypatch.setattr(second, "plan_of", plan_of)
    state = second.retry_transient.fn(settle_minutes=0)

    assert state.message == "submitted again: 1 dataset, left alone: 1; autumn is resumed"
    assert f"| {A} | spring | the plan of campaign spring cannot be read" in server.pages[0]
    assert states(ledger)[A] == "error"


def test_session_at_work_takes_them_up(server: Server, ledger: Ledger) -> None:
    """Where a process is at work nothing is started."""
    end(ledger, "spring", Outcome(A, "error", "503", code=22, error_class="Unavailable"))
    begin_session(ledger)

    state = second.retry_transient.fn(settle_minutes=0)

    assert "spring is at work, and takes them up" in str(state.message)
    assert server.runs == []


def test_run_that_came_to_nothing_is_started_again(
    server: Server, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that was away at the first time is asked again at the next, and said."""

    def refuse(*_: Any, **__: Any) -> None:
        message = "Failed to reach API"
        raise RuntimeError(message)

    end(ledger, "spring", Outcome(A, "error", "503", code=22, error_class="Unavailable"))
    monkeypatch.setattr(second, "ensure_resumed", refuse)
    first = second.retry_transient.fn(settle_minutes=0)
    monkeypatch.setattr(second, "ensure_resumed", server.start)
    later = second.retry_transient.fn(settle_minutes=0)

    assert first.is_failed()
    assert str(first.message).startswith("spring cannot be resumed: Failed to reach API")
    assert later.is_completed()
    assert server.runs == ["spring"]


def test_without_resuming_nothing_is_started(server: Server, ledger: Ledger) -> None:
    """Resume may be switched off; an hour of rest is asked for by default."""
    end(ledger, "spring", Outcome(A, "error", "503", code=22, error_class="Unavailable"))

    state = second.retry_transient.fn(resume=False)

    assert state.message == "submitted again: 0 datasets, left alone: 1"
    assert server.runs == []
    assert "failed only at" in server.pages[0]
    assert second.page_of(Choice((), ()), []) == "# Submitted again: 0 datasets"
