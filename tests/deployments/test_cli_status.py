"""`hstflow status` and `hstflow ledger`: what a person and a program see."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, get_args

import pytest

from calib.errors import COMMAND
from calib.ids import DatasetId, parse_dataset
from calib.ledger.ledger import Ledger, StageMetrics, current_owner, open_ledger
from calib.ledger.revision import REVISION
from calib.ledger.states import STATES
from calib.records import Outcome
from deployments.cli.main import run
from deployments.cli.status import State

GOOD, BAD = parse_dataset("j8bt05njq"), parse_dataset("la8q99030")
CONTEXT = "hst_0729.pmap"


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    """Return the ledger of a user with one good and one bad dataset."""
    with open_ledger(os.environ["HSTFLOW_LEDGER"]) as opened:
        opened.ensure_run(
            "r1",
            context=CONTEXT,
            engine="native",
            engine_version="1",
            parameters={},
            output="/out",
        )
        opened.set_current(GOOD, "r1")
        process(opened, GOOD, Outcome(GOOD.name, "processed", "published", uri="file:///out/r1"))
        failed = Outcome(BAD.name, "error", "no [calcos] here", 23, "UnsupportedMode")
        process(opened, BAD, failed, campaign="nightly")
        yield opened


def process(
    ledger: Ledger, dataset: DatasetId, outcome: Outcome, *, campaign: str = "adhoc"
) -> None:
    """Tell the ledger the story of one attempt with one stage."""
    job = ledger.submit(campaign, dataset, "r1", context=CONTEXT)
    attempt = ledger.begin_attempt(job, current_owner())
    metrics = StageMetrics(
        wall=1.25, cpu=0.5, peak_rss=120_000_000, bytes_in=3_400_000, bytes_out=0
    )
    end = "error" if outcome.error_class else "done"
    ledger.close_stage(ledger.open_stage(attempt, "calibrate"), end, metrics=metrics)
    ledger.finish_attempt(attempt, outcome)


def status(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return what `hstflow status` says."""
    assert run(["status", *arguments]) == 0
    return capsys.readouterr().out


def status_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """Return what `hstflow status --json` says."""
    return json.loads(status(capsys, *arguments, "--json"))


def test_states_are_those_of_the_ledger() -> None:
    """The states that --state offers are all there are."""
    assert get_args(State) == STATES


def test_without_a_ledger(capsys: pytest.CaptureFixture[str], own_home: Path) -> None:
    """Where nothing was processed yet, status says so, succeeds, and makes no file."""
    assert "nothing was processed yet" in status(capsys)
    assert "nothing was processed yet" in status(capsys, "j8bt05njq")
    found = status_json(capsys)
    assert (found["exists"], found["ledger"]) == (False, os.environ["HSTFLOW_LEDGER"])
    assert not (own_home / "ledger.db").exists()


@pytest.mark.usefixtures("ledger")
def test_overview(capsys: pytest.CaptureFixture[str]) -> None:
    """Counts by state, then the last jobs with stage, run, context and reason, latest first."""
    lines = status(capsys).splitlines()
    assert lines[0] == "jobs: processed 1, error 1"
    words = lines[2].split()
    assert words[:4] == ["la8q99030", "error", "calibrate", "(error)"]
    reason = "UnsupportedMode 23: no [calcos] here"
    assert words[6:] == ["r1", CONTEXT, *reason.split()]
    assert lines[3].split()[:3] == ["j8bt05njq", "processed", "calibrate"]


@pytest.mark.usefixtures("ledger")
def test_overview_is_narrowed(capsys: pytest.CaptureFixture[str]) -> None:
    """A campaign, a state or a number narrow what is listed."""

    def listed(*arguments: str) -> list[str]:
        return [job["dataset"] for job in status_json(capsys, *arguments)["jobs"]]

    assert listed() == ["la8q99030", "j8bt05njq"]
    assert listed("--number", "1") == ["la8q99030"]
    assert listed("--state", "processed") == ["j8bt05njq"]
    assert listed("--campaign", "nightly") == ["la8q99030"]
    assert status_json(capsys, "--campaign", "nightly")["counts"] == {"error": 1}
    assert listed("--campaign", "nobody") == []
    assert status(capsys, "--campaign", "nobody") == "jobs: none\n"


@pytest.mark.usefixtures("ledger")
def test_story_of_a_dataset(capsys: pytest.CaptureFixture[str]) -> None:
    """A dataset's history, its products, and what each stage cost."""
    text = status(capsys, "j8bt05njq")
    assert "j8bt05njq processed: run r1, campaign adhoc, context hst_0729.pmap" in text
    assert "products: file:///out/r1 (current)" in text
    words = [line.split() for line in text.splitlines()]
    told = [word for line in words for word in line if word in STATES and line[0][:2] == "20"]
    assert told == ["planned", "submitted", "processing", "processed"]
    assert ["1", "calibrate", "done", "1.25", "0.50", "120.0", "3.4", "0.0"] in words
    assert "la8q99030" not in text


@pytest.mark.usefixtures("ledger")
def test_stories_as_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Programs get the same, whole; names come from a list, in any case."""
    (tmp_path / "list").write_text("LA8Q99030  # bad\nj8bt05njq\nj8bt05nkq\n")
    found = status_json(capsys, f"@{tmp_path / 'list'}")
    bad, good, unknown = found["datasets"]
    assert found["jobs"] == []
    assert [change["to_state"] for change in bad["history"]] == [
        "planned",
        "submitted",
        "processing",
        "error",
    ]
    (job,) = bad["jobs"]
    assert (job["error_class"], job["code"]) == ("UnsupportedMode", 23)
    assert job["stages"][0]["state"] == "error"
    assert (good["current_run"], bad["current_run"]) == ("r1", None)
    assert (unknown["jobs"], unknown["history"]) == ([], [])


@pytest.mark.usefixtures("ledger")
def test_unknown_dataset_has_no_job(capsys: pytest.CaptureFixture[str]) -> None:
    """A dataset that was never asked for is no error: it has no job."""
    assert status(capsys, "j8bt05nkq") == "j8bt05nkq: no job\n"


def test_bad_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be the name of a dataset is exit code 2, in one line."""
    assert run(["status", "w0j10101t"]) == COMMAND
    assert "WF/PC-1 data cannot be calibrated" in capsys.readouterr().err


def test_newer_ledger_is_refused(capsys: pytest.CaptureFixture[str], ledger: Ledger) -> None:
    """The ledger of a newer hstflow is exit code 2: the line says to upgrade."""
    path = os.environ["HSTFLOW_LEDGER"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE hstflow_ledger_version SET version_num = '9999'")
    assert run(["status"]) == COMMAND
    assert "upgrade hstflow" in capsys.readouterr().err


@pytest.mark.usefixtures("ledger")
def test_password_is_not_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The URL of the ledger is shown without user and password, also in errors."""
    monkeypatch.setenv("HSTFLOW_LEDGER", "mysql://me:hunter2@host/hst")
    assert run(["status"]) == COMMAND
    said = capsys.readouterr().err
    assert "mysql://host/hst" in said
    assert "hunter2" not in said


def test_upgrade_makes_a_ledger(capsys: pytest.CaptureFixture[str], own_home: Path) -> None:
    """`hstflow ledger upgrade` makes a ledger where there is none; again changes nothing."""
    for _ in range(2):
        assert run(["ledger", "upgrade"]) == 0
        assert f"up to date, schema {REVISION}" in capsys.readouterr().out
    assert (own_home / "ledger.db").exists()


@pytest.mark.usefixtures("ledger")
def test_backup(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`hstflow ledger backup FILE` makes a file that serves as a ledger, once."""
    target = tmp_path / "copy.db"
    assert run(["ledger", "backup", str(target)]) == 0
    assert str(target) in capsys.readouterr().out
    assert run(["ledger", "backup", str(target)]) == COMMAND
    assert "the backup exists" in capsys.readouterr().err
    monkeypatch.setenv("HSTFLOW_LEDGER", str(target))
    assert status_json(capsys)["counts"] == {"processed": 1, "error": 1}
