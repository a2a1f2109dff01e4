"""`hstflow campaign submit` and `resume`: plans in a real ledger, sessions by a stand-in."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from campaign_ledger import begin_session, campaign_template, ledger, states

from calib.errors import COMMAND, INPUT
from calib.ids import parse_dataset
from calib.ledger.campaign_reports import Campaign, campaigns
from calib.ledger.campaigns import set_control
from calib.ledger.ledger import Ledger, current_owner, open_ledger
from calib.ledger.sessions import close_session, open_session
from calib.records import Outcome
from calib.simulate.observatory import Observatory
from deployments.cli.campaign import session
from deployments.cli.campaign.session import check_runner
from deployments.cli.main import run
from flows.private_server import free_port

__all__ = ["campaign_template", "ledger"]

MISSING = "jsim09zzq"

Submit = Callable[..., tuple[int, str, str]]


@dataclass
class Engine:
    """Stands in for the engine: ends what is left in the ledger as it is told to."""

    fails: str = MISSING
    asked: tuple[str | None, int | None] | None = None

    def resume_campaign(
        self, name: str, ledger: str, *, runner: str | None, workers: int | None
    ) -> Any:
        """End the datasets that are left."""
        self.asked = (runner, workers)
        with open_ledger(ledger) as opened:
            session = opened.write(lambda c: open_session(c, name, current_owner()))
            for dataset, state in states(opened, name).items():
                if state in {"planned", "submitted"}:
                    self._end(opened, name, dataset)
            opened.write(lambda c: close_session(c, session, "failed", "as told"))
        return SimpleNamespace(outcome="failed", message="as told", counts={})

    def _end(self, opened: Ledger, name: str, dataset: str) -> None:
        jobs = opened.jobs_of(parse_dataset(dataset), campaign=name)
        failed = Outcome(dataset, "error", "no such file", INPUT, "NotFound")
        good = Outcome(dataset, "processed", "published")
        job = opened.submit(name, parse_dataset(dataset), jobs[-1].run, context=jobs[-1].context)
        attempt = opened.begin_attempt(job, current_owner())
        opened.finish_attempt(attempt, failed if dataset == self.fails else good)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Put a stand-in where the command line finds the engine and the Prefect server."""
    engine = Engine()
    monkeypatch.setitem(sys.modules, "flows.campaign", engine)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "WARNING")
    monkeypatch.setattr("deployments.cli.campaign.session.check_server", lambda _: None)
    return engine


@pytest.fixture
def submit(
    crds: Observatory, engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Submit:
    """Return a function that submits the simulated datasets and one that is missing."""
    del engine
    manifest = tmp_path / "ids.txt"
    one, two = crds.datasets
    manifest.write_text(f"{one} rung=8\n{two} priority=3\n{MISSING}  # is nowhere\n")
    places = (f"file:{crds.raws}", f"file:{tmp_path}/out")

    def call(*arguments: str, names: str = f"@{manifest}") -> tuple[int, str, str]:
        context = [] if "--context" in arguments else ["--context", crds.contexts[0]]
        code = run(["campaign", "submit", "spring", names, *places, *context, *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def planned() -> Campaign:
    """Return the campaign as the ledger has it."""
    with open_ledger(os.environ["HSTFLOW_LEDGER"]) as opened:
        return opened.ask(lambda rows: campaigns(rows, "spring"))[0]


def test_submit_plans_runs_and_reports(submit: Submit, engine: Engine) -> None:
    """What is asked for is in the ledger, a session runs, and its failures are grouped."""
    code, out, err = submit("--runner", "threads", "--workers", "3", "--rungs", "2,8")
    assert code == INPUT
    assert "3 new datasets" in out
    assert "2 of 3 done" in out
    assert "NotFound" in out
    assert f"hstflow status {MISSING}" in err
    plan = planned().plan
    assert (plan["runner"], plan["workers"], plan["rungs"]) == (
        "threads",
        3,
        [2 * 10**9, 8 * 10**9],
    )
    assert plan["request"]["options"]["threads"] == 1
    assert engine.asked == (None, None)


def test_the_manifest_is_in_the_ledger(submit: Submit) -> None:
    """What the manifest says of one dataset alone is what its job is granted."""
    submit("--runner", "threads", "--priority", "1")
    with open_ledger(os.environ["HSTFLOW_LEDGER"]) as opened:
        rows = opened.ask(lambda ask: ask("SELECT memory, priority FROM job ORDER BY id", {}))
    assert rows[0]["memory"] == 8 * 10**9
    assert [row["priority"] for row in rows] == [1, 3, 1]


def test_the_same_again_does_nothing_more(submit: Submit, engine: Engine) -> None:
    """A second submission finds the same datasets, adds others, and failures stay."""
    submit("--runner", "threads")
    engine.fails = ""
    code, out, _ = submit("--runner", "threads")
    assert (code, "0 new datasets, 3 known before" in out) == (INPUT, True)
    code, out, _ = submit("--runner", "threads", names="jsim08aaq")
    assert "1 new dataset" in out
    assert planned().counts == {"processed": 3, "error": 1}


def test_json(submit: Submit, engine: Engine) -> None:
    """Stdout is one JSON document with counts and failures; 0 where all are finished."""
    engine.fails = ""
    code, out, _ = submit("--runner", "threads", "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["outcome"], found["counts"]) == ("failed", {"processed": 3})
    assert found["failures"] == []


def test_a_dry_run_writes_nothing(submit: Submit, own_home: Path) -> None:
    """It says what would run, with the memory predicted, and makes no ledger."""
    code, out, _ = submit("--runner", "threads", "-n", "--rungs", "2,8,16")
    assert code == 0
    assert "3 datasets, 3 would run" in out
    assert "acs 3" in out
    assert "8 GB" in out
    assert not (own_home / "ledger.db").exists()


def test_a_dry_run_knows_what_was_done(submit: Submit) -> None:
    """After a session it tells what is finished, and that failures wait for a rescue."""
    submit("--runner", "threads")
    before = planned()
    found = json.loads(submit("--runner", "threads", "-n", "--json")[1])
    assert (found["states"], found["finished"]) == ({"processed": 2, "error": 1}, 2)
    assert found["to_run"] == []
    assert planned() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("spring",),
        ("spring", "file:raw", "file:out"),
        ("spring", "not-a-name"),
        ("spring", "@gone.txt"),
        ("spring", "j8bt05njq", "file:a", "file:b", "onsite", "file:c"),
        ("spring", "j8bt05njq", "--rungs", "8,2"),
        ("spring", "j8bt05njq", "--workers", "0"),
        ("spring", "j8bt05njq", "--chunk-size", "0"),
        ("spring", "j8bt05njq", "--delay-scale", "-1"),
        ("spring", "j8bt05njq", "--stages", "some"),
        ("spring", "j8bt05njq", "--simulate", "calibrate=boom"),
        ("spring", "j8bt05njq", "--runner", "gone.yaml"),
        ("spring", "j8bt05njq", "--set", "DARKCORR"),
        ("adhoc", "j8bt05njq"),
        ("a/b", "j8bt05njq"),
        ("j8bt05njq", "j8bt06niq"),
    ],
)
def test_bad_input_is_refused_before_anything(
    arguments: tuple[str, ...], own_home: Path, engine: Engine
) -> None:
    """Code 2, no ledger, no session."""
    assert run(["campaign", "submit", *arguments]) == COMMAND
    assert not (own_home / "ledger.db").exists()
    assert engine.asked is None


def test_lists_that_contradict_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One dataset with two rungs is refused, wherever it is said."""
    (tmp_path / "a.txt").write_text("j8bt05njq rung=8\n")
    (tmp_path / "b.yaml").write_text("j8bt05njq: {rung: 16}\n")
    lists = [f"@{tmp_path}/a.txt", f"@{tmp_path}/b.yaml"]
    assert run(["campaign", "submit", "spring", *lists]) == COMMAND
    assert "different things" in capsys.readouterr().err


def test_a_word_with_the_form_of_a_dataset(submit: Submit) -> None:
    """`overnight` has nine letters as a dataset has, and is a fine name for a campaign."""
    del submit
    assert run(["campaign", "submit", "overnight", "--rungs", "8,2"]) == COMMAND
    from deployments.cli.campaign.lookup import check_name

    assert check_name("overnight") == "overnight"


@pytest.mark.parametrize("runner", ["tcp://127.0.0.1:9", "tls://127.0.0.1:9"])
def test_a_scheduler_that_does_not_answer(runner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said before anything starts."""
    monkeypatch.setattr(session, "_CONNECT", 0.3)
    assert run(["campaign", "submit", "spring", "j8bt05njq", "--runner", runner]) == 1


def test_a_scheduler_that_is_about_to_listen() -> None:
    """One that was started a moment ago gets the time to come up."""
    port = free_port()
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(check_runner, f"tcp://127.0.0.1:{port}")
        time.sleep(0.5)
        assert not waiting.done()
        with socket.create_server(("127.0.0.1", port)):
            waiting.result(timeout=30)


def test_a_server_that_does_not_answer(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """PREFECT_API_URL without a server behind it ends with one line, and no session."""
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert run(["campaign", "resume", "spring"]) == 1
    assert "the Prefect server does not answer" in capsys.readouterr().err
    assert ledger.ask(lambda rows: campaigns(rows, "spring"))[0].session is None


def test_a_runner_that_is_none_is_told_as_typed(capsys: pytest.CaptureFixture[str]) -> None:
    """Not as a path that nobody wrote; the runners are named."""
    assert run(["campaign", "submit", "spring", "j8bt05njq", "--runner", "dask"]) == COMMAND
    said = " ".join(capsys.readouterr().err.split())
    assert "local (Dask here)" in said
    assert "found dask" in said


def test_a_cluster_file_is_a_runner(tmp_path: Path) -> None:
    """A file that exists is left to the runners to read."""
    (tmp_path / "slurm.yaml").write_text("class: dask_jobqueue.SLURMCluster\n")
    check_runner(str(tmp_path / "slurm.yaml"))


def test_resume(ledger: Ledger, engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    """A paused campaign goes on, with other workers where they are named."""
    ledger.write(lambda c: set_control(c, "spring", "pause"))
    arguments = ["--runner", "local", "--workers", "7", "--json"]
    assert run(["campaign", "resume", "spring", *arguments]) == 32
    assert json.loads(capsys.readouterr().out)["control"] == "run"
    assert engine.asked == ("local", 7)


def test_resume_where_somebody_is_at_work(
    ledger: Ledger, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    """A live session goes on, also one that was pausing; a second one is not begun."""
    begin_session(ledger)
    ledger.write(lambda c: set_control(c, "spring", "pause"))
    assert run(["campaign", "resume", "spring"]) == 0
    assert f"goes on in pid {os.getpid()}" in capsys.readouterr().out
    assert engine.asked is None
    assert ledger.ask(lambda rows: campaigns(rows, "spring"))[0].control == "run"


def test_resume_waits_for_a_cancelled_session(
    ledger: Ledger, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that is being cancelled ends first; then another one begins."""
    session = ledger.write(lambda c: open_session(c, "spring", current_owner()))
    ledger.write(lambda c: set_control(c, "spring", "cancel"))

    def sleep(_seconds: float) -> None:
        ledger.write(lambda c: close_session(c, session, "cancelled", "cancelled"))

    monkeypatch.setattr("deployments.cli.campaign.session.time.sleep", sleep)
    assert run(["campaign", "resume", "spring", "--quiet"]) != 0
    assert engine.asked == (None, None)


def test_a_session_that_does_not_end(
    ledger: Ledger, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it hangs, that is said, and the cancellation stays."""
    begin_session(ledger)
    ledger.write(lambda c: set_control(c, "spring", "cancel"))
    monkeypatch.setattr("deployments.cli.campaign.session.END_LIMIT", 0.0)
    assert run(["campaign", "resume", "spring"]) == 1
    assert engine.asked is None
    assert ledger.ask(lambda rows: campaigns(rows, "spring"))[0].control == "cancel"


def test_a_background_session_that_fails_says_why(
    ledger: Ledger, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    """A child that cannot begin, here for want of a server, gives its code and its log."""
    assert run(["campaign", "resume", "spring", "--detach"]) == 1
    said = capsys.readouterr().err
    assert "the session ended" in said
    assert "the Prefect server does not answer" in said
    assert "campaigns/spring/session-" in said
    assert engine.asked is None
    assert ledger.ask(lambda rows: campaigns(rows, "spring"))[0].session is None
