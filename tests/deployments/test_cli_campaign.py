"""`hstflow campaign status, watch, pause, cancel`: what a person and a program see."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from campaign_ledger import (
    BUSY,
    CONTEXT,
    DONE,
    EVERY,
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

from calib.campaigns.remedies import next_steps
from calib.errors import COMMAND, INPUT
from calib.ledger import campaign_reports
from calib.ledger.campaign_reports import CampaignSession, Failure, campaigns
from calib.ledger.campaigns import set_control
from calib.ledger.ledger import Ledger, current_owner
from calib.ledger.sessions import close_session, open_session
from calib.records import Outcome
from deployments.cli.campaign.session import SessionFlags, tell_end
from deployments.cli.campaign.show import exit_code, span_text
from deployments.cli.main import run

__all__ = ["campaign_template", "ledger"]


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """Return what a command of the group says on stdout."""
    assert run(["campaign", *arguments]) == code
    return capsys.readouterr().out


def read(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """Return what a command of the group says as JSON."""
    return json.loads(said(capsys, *arguments, "--json"))


def control(ledger: Ledger) -> str:
    """Return what the ledger says is wanted of the campaign."""
    return ledger.ask(lambda rows: campaigns(rows, "spring"))[0].control


def test_without_a_ledger(capsys: pytest.CaptureFixture[str], own_home: Path) -> None:
    """Where there is no ledger, the list is empty, one campaign is refused, nothing is made."""
    assert "no campaign yet" in said(capsys, "status")
    assert read(capsys, "status")["campaigns"] == []
    said(capsys, "status", "spring", code=COMMAND)
    assert not (own_home / "ledger.db").exists()


def test_all_campaigns(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    """Each campaign is one line with its counts; --json has the same."""
    enter(ledger, "autumn", (DONE,))
    assert "autumn" in said(capsys, "status")
    spring, autumn = read(capsys, "status")["campaigns"]
    assert (spring["name"], spring["context"], spring["total"]) == ("spring", CONTEXT, len(EVERY))
    assert (spring["finished"], spring["failed"], spring["left"]) == (1, 2, 2)
    assert autumn["counts"] == {"planned": 1}


def test_one_campaign(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    """One campaign shows instruments, failures by class with an example, and what is at work."""
    text = said(capsys, "status", "spring")
    for word in ("1 of 5 done", "2 failed", "OutOfMemory", "[no] such file", BUSY, "calibrate"):
        assert word in text
    found = read(capsys, "status", "spring")
    assert found["instruments"]["wfc3"] == {"processing": 1, "error": 1}
    assert [each["error_class"] for each in found["failures"]] == ["OutOfMemory", "NotFound"]
    assert [(each["dataset"], each["stage"]) for each in found["at_work"]] == [(BUSY, "calibrate")]
    assert "jobs" not in found


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--state", "error"], [HEAVY, GONE]),
        (["--state", "planned", "--state", "processed"], [DONE, WAITING]),
        (["--class", "NotFound"], [GONE]),
        (["--instrument", "wfc3"], [GONE, BUSY]),
        (["-n", "2"], [DONE, HEAVY]),
    ],
)
def test_datasets_are_listed_on_demand(
    ledger: Ledger, capsys: pytest.CaptureFixture[str], options: list[str], expected: list[str]
) -> None:
    """Options select the datasets that are listed, of one campaign or of all."""
    del ledger
    assert [
        job["dataset"] for job in read(capsys, "status", "spring", *options)["jobs"]
    ] == expected
    assert [job["dataset"] for job in read(capsys, "status", *options)["jobs"]] == expected
    assert expected[0] in said(capsys, "status", "spring", *options)


def test_an_unknown_name_is_answered_with_near_ones(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    """A slip of the finger ends with code 2 and the name that was meant, in every command."""
    del ledger
    for command in ("status", "watch", "pause", "cancel", "resume", "rescue"):
        assert run(["campaign", command, "sprong"]) == COMMAND
        assert "expected spring" in capsys.readouterr().err


def test_what_process_runs_is_no_campaign(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    """The campaign that nobody submitted is shown, and can neither be paused nor resumed."""
    end(ledger, "adhoc", Outcome(DONE, "processed", "published"))
    assert read(capsys, "status", "adhoc")["state"] == "unplanned"
    for command in ("pause", "cancel", "resume", "rescue"):
        assert run(["campaign", command, "adhoc"]) == COMMAND
        assert "hstflow process" in capsys.readouterr().err


def state(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the state of the campaign as status says it."""
    return str(read(capsys, "status", "spring")["state"])


def test_states_with_and_without_a_session(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    """The state tells who is at work, what is wanted, and how the last session ended."""
    assert state(capsys) == "planned"
    begin_session(ledger, pid=2**22 + 1)  # beyond what Linux counts to: nobody
    assert state(capsys) == "lost"
    begin_session(ledger)
    for wish, word in (("run", "running"), ("pause", "pausing"), ("cancel", "cancelling")):
        ledger.write(partial(set_control, campaign="spring", control=wish))
        assert state(capsys) == word


@pytest.mark.parametrize(
    ("wish", "outcome", "expected"),
    [
        ("run", "interrupted", "interrupted"),
        ("run", "failed", "stopped"),
        ("pause", "paused", "paused"),
        ("cancel", "cancelled", "cancelled"),
    ],
)
def test_states_after_a_session(
    ledger: Ledger, capsys: pytest.CaptureFixture[str], wish: str, outcome: str, expected: str
) -> None:
    """With datasets left, the state says why nobody is at work on them."""
    session = ledger.write(lambda c: open_session(c, "spring", current_owner()))
    ledger.write(lambda c: close_session(c, session, outcome, "a [word] about it"))
    ledger.write(lambda c: set_control(c, "spring", wish))
    assert state(capsys) == expected
    assert "a [word] about it" in said(capsys, "status", "spring")


def test_states_at_the_end(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    """A campaign with nothing left is finished or failed; watch gives that as exit code."""
    enter(ledger, "small", (DONE, GONE))
    end(ledger, "small", Outcome(DONE, "processed", "published"))
    end(ledger, "small", Outcome(GONE, "error", "no such file", INPUT, "NotFound"))
    assert read(capsys, "status", "small")["state"] == "failed"
    said(capsys, "watch", "small", code=INPUT)
    end(ledger, "small", Outcome(GONE, "processed", "published"))
    assert read(capsys, "status", "small")["state"] == "finished"
    assert "2 of 2 done" in said(capsys, "watch", "small")


@pytest.mark.parametrize("is_json", [True, False])
def test_the_end_counts_what_was_not_drizzled(
    ledger: Ledger, capsys: pytest.CaptureFixture[str], *, is_json: bool
) -> None:
    """Who asked for stage 2 and has no drizzle is told once for all datasets."""
    enter(ledger, "small", (DONE, GONE))
    end(ledger, "small", Outcome(DONE, "processed", "published in run r; not drizzled"))
    end(ledger, "small", Outcome(GONE, "processed", "published in run r"))
    ended: Any = SimpleNamespace(outcome="finished", message="")  # flows.campaign.Result is slow

    assert tell_end("small", ended, SessionFlags(json=is_json)) == 0

    text = capsys.readouterr().out
    assert json.loads(text)["undrizzled"] == 1 if is_json else "1 not drizzled" in text


def test_throughput(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    """While a session is at work, what ended since it began gives the rate and the time left."""
    begin_session(ledger)
    end(ledger, "spring", Outcome(WAITING, "processed", "published"))
    found = read(capsys, "status", "spring")
    assert found["per_minute"] > 0
    assert found["seconds_left"] == pytest.approx(60 / found["per_minute"])


def test_no_proof_of_ownership_is_shown(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    """The token of a session stays in the ledger."""
    begin_session(ledger, token="f" * 32)
    found = read(capsys, "status", "spring")["session"]
    assert found["is_live"] is True
    assert set(found) == {*CampaignSession.__annotations__, "is_live", "death"} - {"token"}


def test_pause(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    """Pausing writes the wish, once; the second time changes nothing."""
    begin_session(ledger)
    assert read(capsys, "pause", "spring") == {
        "campaign": "spring",
        "changed": True,
        "is_live": True,
        "waiting": 1,
        "at_work": 1,
    }
    assert control(ledger) == "pause"
    assert "already" in said(capsys, "pause", "spring")
    assert read(capsys, "pause", "spring")["changed"] is False


def test_pause_does_not_undo_a_cancellation(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    """A campaign that is being cancelled, or has nothing left, is not paused."""
    ledger.write(lambda c: set_control(c, "spring", "cancel"))
    assert "cancelled already" in said(capsys, "pause", "spring")
    assert control(ledger) == "cancel"
    enter(ledger, "small", (DONE,))
    end(ledger, "small", Outcome(DONE, "processed", "published"))
    assert "nothing to pause" in said(capsys, "pause", "small")


def test_cancel_a_campaign(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    """With nobody at work all that is not at its end is cancelled in the ledger at once."""
    found = read(capsys, "cancel", "spring")
    assert (found["cancelled"], found["waiting"], found["at_work"]) == (2, 1, 1)
    assert control(ledger) == "cancel"
    ends = {DONE: "processed", HEAVY: "error", GONE: "error"}
    assert states(ledger) == ends | {BUSY: "cancelled", WAITING: "cancelled"}
    open_attempts = ledger.ask(
        lambda rows: rows("SELECT * FROM attempt WHERE ended_at IS NULL", {})
    )
    assert open_attempts == []
    assert "nothing to cancel" in said(capsys, "cancel", "spring")


def test_cancel_datasets(
    ledger: Ledger, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Only the datasets that were named are cancelled, and the campaign goes on."""
    (tmp_path / "some.txt").write_text(f"{WAITING}\n{DONE} # finished\n")
    assert "1 dataset cancelled" in said(capsys, "cancel", "spring", f"@{tmp_path}/some.txt")
    assert states(ledger)[WAITING] == "cancelled"
    assert states(ledger)[BUSY] == "processing"
    assert states(ledger)[DONE] == "processed"
    assert control(ledger) == "run"


@pytest.mark.parametrize(
    "bad", [["l00000000"], ["not-a-name"], [WAITING, "l00000000"], ["@gone.txt"]]
)
def test_cancel_refuses_strangers(
    ledger: Ledger, capsys: pytest.CaptureFixture[str], bad: list[str]
) -> None:
    """A dataset that the campaign does not have is refused before anything is cancelled."""
    before = states(ledger)
    said(capsys, "cancel", "spring", *bad, code=COMMAND)
    assert states(ledger) == before


def test_watch_once(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    """One look succeeds, whatever it shows."""
    begin_session(ledger)
    assert "running" in said(capsys, "watch", "spring", "--once")


def test_watch_tells_how_to_go_on(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody is at work, watch ends at once and says what to do about what failed."""
    del ledger
    assert run(["campaign", "watch", "spring"]) == 32
    captured = capsys.readouterr()
    assert "hstflow campaign rescue spring --class OutOfMemory --rung GB" in captured.err
    assert "hstflow campaign resume spring" in captured.err


def test_watch_writes_lines_until_the_end(
    ledger: Ledger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a terminal a live campaign is a line at each change of state, then its end."""
    session = ledger.write(lambda c: open_session(c, "spring", current_owner()))
    steps: Iterator[Callable[[], object]] = iter(
        [
            lambda: ledger.write(lambda c: set_control(c, "spring", "pause")),
            lambda: None,
            lambda: ledger.write(lambda c: close_session(c, session, "paused", "paused")),
        ]
    )
    monkeypatch.setattr("deployments.cli.campaign.watch.time.sleep", lambda _: next(steps)())
    assert run(["campaign", "watch", "spring"]) == 32
    lines = [line for line in capsys.readouterr().out.splitlines() if "done" in line]
    assert ["running" in lines[0], "pausing" in lines[1], len(lines)] == [True, True, 3]


def test_interrupting_the_view_stops_no_campaign(
    ledger: Ledger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in watch ends the view, says that the campaign goes on, and succeeds."""
    begin_session(ledger)

    def press(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("deployments.cli.campaign.watch.time.sleep", press)
    assert run(["campaign", "watch", "spring"]) == 0
    assert "the campaign goes on" in capsys.readouterr().err


def test_exit_codes() -> None:
    """The most frequent error gives the code; blocked and cancelled ones count as 1."""
    rare = Failure("error", "NotFound", 22, 1, "a", None)
    often = Failure("error", "OutOfMemory", 32, 5, "b", None)
    blocked = Failure("blocked", "ReferenceUnavailable", 27, 9, "c", None)
    assert exit_code({"processed": 3, "skipped": 1}, 4, []) == 0
    assert exit_code({"error": 6, "blocked": 9}, 0, [blocked, often, rare]) == 32
    assert exit_code({"blocked": 9}, 0, [blocked]) == 1
    assert exit_code({"planned": 1}, 0, []) == 1


def test_next_steps_are_commands() -> None:
    """Each kind of failure has its own advice, and names are quoted for the shell."""
    failures = [
        Failure("error", "OutOfMemory", 32, 1, "a", None),
        Failure("error", "TimedOut", 137, 1, "b", None),
        Failure("error", "Unavailable", 22, 1, "c", None),
        Failure("error", "CorruptFile", 21, 1, "d", None),
        Failure("blocked", "ReferenceUnavailable", 27, 1, "e", None),
        Failure("cancelled", None, None, 1, "f", None),
    ]
    steps = next_steps("my campaign", failures)
    assert all("'my campaign'" in step for step in steps)
    words = ["--rung", "--timeout-scale", "Unavailable", "status d", "blocked", "cancelled"]
    assert all(word in step for word, step in zip(words, steps, strict=True))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.4, "0 s"),
        (59, "59 s"),
        (61, "1 min"),
        (7500, "2 h 05 min"),
        (100_000, "1 d 03 h"),
    ],
)
def test_spans(seconds: float | None, text: str) -> None:
    """Times to wait are short."""
    assert span_text(seconds) == text


def test_status_is_light(ledger: Ledger) -> None:
    """A reading command imports neither SQLAlchemy, nor Prefect, nor the array libraries."""
    del ledger
    code = (
        "import sys; from deployments.cli.main import run; run(['campaign', 'status', 'spring'])\n"
        "heavy = {'sqlalchemy', 'prefect', 'astropy', 'numpy', 'pydantic', 'distributed'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_many_jobs_are_counted_by_an_index(ledger: Ledger) -> None:
    """Counting states and failures of a large campaign reads indices, not all its rows."""
    path = os.environ["HSTFLOW_LEDGER"].removeprefix("sqlite:///")
    del ledger
    with closing(sqlite3.connect(path)) as connection:
        for query in (campaign_reports._COUNTS, campaign_reports._FAILURES):
            asked = f"EXPLAIN QUERY PLAN {query}"
            plan = " ".join(str(row) for row in connection.execute(asked, {"campaign_id": 1}))
            assert "USING" in plan
            assert "SCAN job" not in plan
