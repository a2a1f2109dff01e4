"""One look at the operational context: what is seen, told, started, and what goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from databases import ledger, template, url
from prefect.exceptions import ObjectNotFound

from calib.ledger.ledger import Ledger
from calib.ledger.reprocessing_reports import seen_contexts
from calib.ledger.reprocessings import NewReprocessing, advance, enter_reprocessing
from calib.references.pins import pin
from calib.references.profile import CrdsProfile
from calib.reprocessing.watching import Start
from calib.simulate.crds_server import CrdsServer
from calib.simulate.observatory import Observatory
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.enrolment import stored_text
from calib.stages.planning import Request
from flows import context_watch
from flows.context_watch import EVENT, Look, look_once
from flows.server import has_server

__all__ = ["ledger", "template", "url"]

A, B = "hst_9001.pmap", "hst_9002.pmap"
Watch = Callable[[], Look]


@pytest.fixture
def crds(observatory: Observatory) -> Iterator[CrdsServer]:
    """Serve the rules of the observatory."""
    with CrdsServer(observatory.crds_path, context=A) as server:
        yield server


@pytest.fixture
def watch(ledger: Ledger, crds: CrdsServer, tmp_path: Path) -> Watch:
    """Return a function that looks once, without any patience."""
    return lambda: look_once(ledger, crds.profile(tmp_path / "cache"), patience=timedelta(0))


class Prefect:
    """What a server was told and asked to start."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.starts: list[Start] = []

    def emit(self, **event: Any) -> None:
        """Take an event."""
        self.events.append(event)

    def ensure(self, start: Start, *, nobody_for: timedelta) -> str:
        """Take what is to be started."""
        self.starts.append(start)
        return f"flow run of {start.key} is started"


@pytest.fixture
def prefect(monkeypatch: pytest.MonkeyPatch) -> Prefect:
    """Put a record of what it was told in the place of a server."""
    server = Prefect()
    monkeypatch.setattr(context_watch, "has_server", lambda: True)
    monkeypatch.setattr(context_watch, "emit_event", server.emit)
    monkeypatch.setattr(context_watch, "ensure_run", server.ensure)
    return server


def enter_blocked(ledger: Ledger) -> None:
    """Enter a reprocessing that waits for rules that nobody has."""
    asked = NewReprocessing("9000-9001", "hst_9000.pmap", A, "context", "{}", once=True)
    ledger.write(lambda c: enter_reprocessing(c, asked, [], who="test"))
    ledger.write(lambda c: advance(c, "9000-9001", "canary", who="test"))


def test_change_becomes_an_event_and_then_a_run(
    watch: Watch, crds: CrdsServer, prefect: Prefect
) -> None:
    """First sight: nothing. The change: an event with its label. Later: a run."""
    assert watch().trouble is None
    assert (prefect.events, prefect.starts) == ([], [])

    crds.context = B
    watch()
    (event,) = prefect.events
    assert event["event"] == EVENT
    assert event["resource"]["hst.crds.due"] == "yes"
    assert (event["payload"]["old"], event["payload"]["new"]) == (A, B)
    assert prefect.starts == []

    watch()
    assert len(prefect.events) == 1
    assert [each.parameters for each in prefect.starts] == [{"old": A, "new": B}]


def test_way_back_is_told_and_not_due(watch: Watch, crds: CrdsServer, prefect: Prefect) -> None:
    """The event of a change back says so: no automation starts anything for it."""
    crds.context = B
    watch()
    crds.context = A
    seen = watch()

    assert [each["resource"]["hst.crds.due"] for each in prefect.events] == ["no"]
    assert "went back" in seen.says[0]


def test_server_that_is_away(
    watch: Watch, crds: CrdsServer, ledger: Ledger, prefect: Prefect, tmp_path: Path
) -> None:
    """What the cache remembers is no answer; what stands still goes on all the same."""
    enter_blocked(ledger)
    away = CrdsProfile("away", "http://localhost:9", tmp_path / "cache")
    watch()  # the cache knows a context now
    prefect.starts.clear()

    seen = look_once(ledger, away, patience=timedelta(0))

    assert seen.sight is None
    assert "the CRDS server does not answer" in str(seen.trouble)
    assert [each.parameters for each in prefect.starts] == [{"name": "9000-9001"}]
    assert ledger.ask(lambda rows: seen_contexts(rows, away.server_url)) == []


def test_deployment_that_is_not_there(
    watch: Watch, ledger: Ledger, prefect: Prefect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefect's refusal is said; the look does not raise it."""

    def refuse(start: Start, *, nobody_for: timedelta) -> str:
        raise ObjectNotFound(http_exc=RuntimeError(start.key), help_message="no such deployment")

    monkeypatch.setattr(context_watch, "ensure_run", refuse)
    enter_blocked(ledger)

    assert "no such deployment" in str(watch().trouble)


def test_without_a_server_the_commands_are_named(
    watch: Watch, crds: CrdsServer, ledger: Ledger
) -> None:
    """A person without Prefect reads what to type."""
    assert not has_server()
    watch()
    crds.context = B
    planned = watch()
    enter_blocked(ledger)
    goes_on = watch()

    assert f"no Prefect server: `hstflow campaign plan NAME --old {A} --new {B}`" in planned.says
    assert "no Prefect server: `hstflow campaign reprocess 9000-9001`" in goes_on.says


def test_pin_of_the_user_starts_nothing(
    watch: Watch, crds: CrdsServer, prefect: Prefect, tmp_path: Path
) -> None:
    """`hstflow context pin` holds for the watch: the change is told and not due."""
    watch()
    pin(crds.profile(tmp_path / "cache"), A)
    crds.context = B

    seen = watch()

    assert f"pinned to {A}" in seen.says[0]
    assert [each["resource"]["hst.crds.due"] for each in prefect.events] == ["no"]
    assert prefect.starts == []


def block(ledger: Ledger, name: str, plan: str = "{}") -> None:
    """Enter a reprocessing that is blocked."""
    asked = NewReprocessing(name, None, A, "list", plan)
    ledger.write(lambda c: enter_reprocessing(c, asked, [], who="test"))
    ledger.write(lambda c: advance(c, name, "blocked", who="test", note="no dark"))


def test_change_is_told_and_runs_are_started_before_files_are_brought(
    watch: Watch,
    crds: CrdsServer,
    ledger: Ledger,
    prefect: Prefect,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A look that is killed in a long download has told the change and started the others."""
    watch()
    crds.context = B
    enter_blocked(ledger)  # stands still
    block(ledger, "waits")

    def killed(*_: object, **__: object) -> Iterator[tuple[str, str | None]]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(context_watch, "awaited_by_blocked", killed)
    with pytest.raises(KeyboardInterrupt):
        watch()

    assert [each["payload"]["new"] for each in prefect.events] == [B]
    assert [each.parameters for each in prefect.starts] == [{"name": "9000-9001"}]


def test_plan_that_cannot_be_read_is_said_and_ends_nothing(
    watch: Watch, ledger: Ledger, prefect: Prefect, tmp_path: Path, crds: CrdsServer
) -> None:
    """One reprocessing with a broken plan does not keep the next one from going on."""
    profile = crds.profile(tmp_path / "cache")
    request = Request("file:raws", "file:out", profile, "work", "", A)
    block(ledger, "broken", "{}")
    block(ledger, "whole", stored_text(CampaignPlan(request)))

    seen = watch()

    assert seen.trouble is None
    assert any("broken is blocked: what it waits for cannot be told" in each for each in seen.says)
    assert [each.parameters for each in prefect.starts] == [{"name": "whole"}]
