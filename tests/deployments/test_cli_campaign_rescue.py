"""`hstflow campaign rescue`: what is selected, what is changed, what is left alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from campaign_ledger import (
    BUSY,
    DONE,
    EVERY,
    GB,
    GONE,
    HEAVY,
    WAITING,
    begin_session,
    campaign_template,
    end,
    enter,
    ledger,
    states,
)

from calib.errors import COMMAND
from calib.ids import parse_dataset
from calib.ledger.attempts import finish
from calib.ledger.campaign_reports import JobSelection, find_jobs
from calib.ledger.ledger import Ledger, Start, current_owner
from calib.records import Outcome
from deployments.cli.campaign.session import SessionFlags
from deployments.cli.main import run

__all__ = ["campaign_template", "ledger"]


def rescue(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """Return what `hstflow campaign rescue --json` says."""
    assert run(["campaign", "rescue", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def rows(ledger: Ledger) -> list[dict[str, Any]]:
    """Return all that the ledger says of jobs."""
    return ledger.ask(lambda ask: ask("SELECT * FROM job ORDER BY id", {}))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["spring"], [HEAVY, GONE]),
        (["spring", "--class", "OutOfMemory"], [HEAVY]),
        (["spring", "--code", "21"], [GONE]),
        (["spring", "--instrument", "acs,cos"], [HEAVY]),
        (["spring", "--state", "blocked"], []),
        (["spring", GONE, DONE, BUSY, WAITING], [GONE]),
        ([f"{HEAVY},{GONE}"], [HEAVY, GONE]),
        (["--class", "NotFound"], [GONE]),
    ],
)
def test_only_what_ended_badly_is_rescued(
    ledger: Ledger, capsys: pytest.CaptureFixture[str], arguments: list[str], expected: list[str]
) -> None:
    """Whatever is selected, jobs that are finished, wait or are at work stay as they are."""
    before = states(ledger)
    listed = rescue(capsys, *arguments, "-n")
    assert [job["dataset"] for job in listed["jobs"]] == expected
    assert states(ledger) == before
    assert rescue(capsys, *arguments)["datasets"] == expected
    assert states(ledger) == before | dict.fromkeys(expected, "submitted")
    assert rescue(capsys, *arguments)["number"] == 0


def test_a_dry_run_writes_nothing(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    """The list names what would be submitted, and the ledger has the same rows afterwards."""
    before = rows(ledger)
    assert run(["campaign", "rescue", "spring", "--rung", "8", "-n"]) == 0
    text = capsys.readouterr().out
    assert "2 datasets would be submitted again; nothing was written" in text
    assert HEAVY in text
    assert rows(ledger) == before


def test_changes(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    """Memory, time, priority and switches are those of the next attempt."""
    options = ["--rung", "8GB", "--disk", "20", "--timeout-scale", "4", "--priority", "7"]
    switches = ["--set", "DARKCORR=OMIT", "--set", "FLATCORR=OMIT"]
    rescue(capsys, "spring", HEAVY, *options, *switches)
    found = next(row for row in rows(ledger) if row["dataset"] == HEAVY)
    assert (found["memory"], found["disk"]) == (8 * GB, 20 * GB)
    assert (found["time_scale"], found["priority"]) == (4, 7)
    assert json.loads(found["overrides"])["set"] == ["DARKCORR=OMIT", "FLATCORR=OMIT"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["spring", "--rung", "3"],
        ["spring", "--rung", "much"],
        ["spring", "--disk", "0"],
        ["spring", "--timeout-scale", "0"],
        ["spring", "--timeout-scale", "101"],
        ["spring", "--set", "DARKCORR"],
        ["spring", "--state", "processed"],
        ["spring", "l00000000"],
        ["spring", "@gone.txt"],
        ["not-a-campaign"],
    ],
)
def test_bad_input_changes_nothing(
    ledger: Ledger, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """What cannot be meant is refused with code 2, and nothing is submitted."""
    before = rows(ledger)
    assert run(["campaign", "rescue", *arguments]) == COMMAND
    assert capsys.readouterr().err
    assert rows(ledger) == before


def test_over_all_campaigns(
    ledger: Ledger, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Without a campaign those of all are rescued, except what `hstflow process` ran."""
    enter(ledger, "autumn", (GONE,))
    for campaign in ("autumn", "adhoc"):
        end(ledger, campaign, Outcome(GONE, "blocked", "awaited", 27, "ReferenceUnavailable"))
    (tmp_path / "ids.txt").write_text(f"{GONE}\n")
    assert rescue(capsys, f"@{tmp_path}/ids.txt")["campaigns"] == {"spring": 1, "autumn": 1}
    assert states(ledger, "adhoc") == {GONE: "blocked"}


def test_how_to_go_on(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody is at work the next command is said, else who takes the datasets up."""
    assert run(["campaign", "rescue", "spring", HEAVY]) == 0
    assert "hstflow campaign resume spring" in capsys.readouterr().err
    begin_session(ledger)
    assert run(["campaign", "rescue", "spring"]) == 0
    assert "which takes them up" in capsys.readouterr().out


def test_run_goes_on_at_once(
    ledger: Ledger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --run a session of the campaign follows, on its runner, and gives the exit code."""
    seen: list[tuple[str, str]] = []

    def session(name: str, runner: str, flags: SessionFlags) -> int:
        assert flags.json
        seen.append((name, runner))
        return 23

    monkeypatch.setattr("deployments.cli.campaign.rescue.run_session", session)
    assert run(["campaign", "rescue", "spring", "--run", "--json"]) == 23
    assert capsys.readouterr().out == ""
    assert seen == [("spring", "threads")]
    found = ledger.ask(lambda ask: find_jobs(ask, JobSelection("spring", ("submitted",))))
    assert [job.dataset for job in found] == [HEAVY, GONE]
    assert set(states(ledger)) == set(EVERY)


def test_datasets_of_process_are_not_rescued(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody would take them up: it is said who does, and nothing changes."""
    alone = parse_dataset("jbtaaa01q")
    attempt = ledger.start(Start("adhoc", alone, "r9", "hst_1.pmap"), current_owner())
    outcome = Outcome(alone.name, "error", "no", code=21, error_class="NotFound")
    ledger.write(lambda c: finish(c, attempt, outcome))
    before = rows(ledger)

    assert run(["campaign", "rescue", alone.name]) == COMMAND
    assert "hstflow process" in " ".join(capsys.readouterr().err.split())
    assert rows(ledger) == before
    assert rescue(capsys, "--class", "NotFound", "--dry-run")["number"] == 1
