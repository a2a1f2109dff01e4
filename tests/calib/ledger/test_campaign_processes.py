"""Eight workers and an operator at one campaign: each job ends once, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import select

from calib.ids import parse_dataset
from calib.ledger.campaigns import NewJob, enter_jobs, set_plan
from calib.ledger.ledger import Ledger
from calib.ledger.schema import attempt as attempts
from calib.ledger.schema import job as jobs
from calib.ledger.schema import stage_run as stage_runs
from calib.ledger.schema import transition as transitions
from calib.ledger.states import TRANSITIONS

WORKERS = 8
JOBS = 64
STAGES = ("fetch", "bestrefs", "calibrate", "preview", "archive", "state-message")

# What anybody may see is that somebody else has the job, or that it ended meanwhile. All else,
# such as a locked database or a deadlock, ends the process with a traceback and fails the test.
WORKER = """
import json, random, sys, time
from calib.errors import Interrupted, Unavailable
from calib.ids import parse_dataset
from calib.ledger.campaign_reports import chunks_left, jobs_left
from calib.ledger.ledger import Start, StageMetrics, current_owner, open_ledger
from calib.records import Outcome
from calib.grants import Grant, Retry
ledger, seed = open_ledger(sys.argv[1]), int(sys.argv[2])
chance, ended, seen = random.Random(seed), [], 0

def end_of(left):
    tried = dict(left.retries)
    if chance.random() < 0.35 and sum(tried.values()) < 3:
        kind = chance.choice(["memory", "time", "again"])
        grant = Grant(memory=(left.memory or 1) + 1, time_scale=left.time_scale,
                      retries={**tried, kind: tried.get(kind, 0) + 1})
        return Outcome(left.dataset, "error", "too little", 32, "OutOfMemory",
                       retry=Retry(kind, "more", 0, grant))
    state = chance.choice(["processed", "processed", "processed", "error"])
    return Outcome(left.dataset, state, "a test")

def live(left):
    start = Start("nightly", parse_dataset(left.dataset), "r1", "hst_1.pmap", is_supervised=True,
                  attempts=left.attempts)
    attempt = ledger.start(start, current_owner())
    outcome = end_of(left)
    for stage in STAGES:
        number = ledger.open_stage(attempt, stage)
        if stage == "calibrate":
            ledger.heartbeat(attempt)
        if stage == "state-message":
            ledger.finish_attempt(attempt, outcome)
        ledger.close_stage(number, "done", metrics=StageMetrics(1.0, 1.0))
    ended.append([attempt.id, left.id])

STAGES = json.loads(sys.argv[3])
print("ready", flush=True)
input()
while True:
    last_word = ledger.ask(lambda rows: rows("SELECT priority AS p FROM campaign", {}))[0]["p"]
    chunks = ledger.ask(lambda rows: chunks_left(rows, 1))
    if not chunks and last_word:
        break
    for left in ledger.ask(lambda rows: jobs_left(rows, 1, chance.choice(list(chunks or [0])))):
        if left.state == "processing":
            continue
        try:
            live(left)
        except (Interrupted, Unavailable) as error:
            expected = ("being processed", "is closed", "meanwhile", "since the job was")
            assert any(words in str(error) for words in expected), error
            seen += 1
print(json.dumps({"ended": ended, "seen": seen}), flush=True)
"""
OPERATOR = """
import json, random, sys, time
from calib.errors import ConfigError
from calib.ledger.campaigns import Changes, cancel_jobs, rescue_jobs, set_control, set_plan
from calib.ledger.ledger import open_ledger
ledger, chance = open_ledger(sys.argv[1]), random.Random(int(sys.argv[2]))
done = {"cancelled": 0, "rescued": 0}
for turn in range(40):
    if turn == 1:  # the first ones are cancelled before any worker can have ended them
        print("ready", flush=True)
        input()
    some = chance.sample(range(1, 65), 10)
    ledger.write(lambda c: set_control(c, "nightly", chance.choice(["run", "pause"])))
    done["cancelled"] += ledger.write(lambda c: cancel_jobs(c, some[:5], "by the operator"))
    changes = Changes(time_scale=2.0)
    done["rescued"] += ledger.write(lambda c: rescue_jobs(c, some[5:], "once more", changes))
    time.sleep(0.02)
ledger.write(lambda c: set_plan(c, "nightly", context="hst_1.pmap", plan="{}", priority=1))
print(json.dumps(done), flush=True)
"""


@pytest.fixture
def campaign(ledger: Ledger) -> None:
    """Enter a campaign of two chunks."""
    wanted = [NewJob(parse_dataset(f"j{number:07d}q"), f"{number:064x}") for number in range(JOBS)]
    ledger.write(lambda c: set_plan(c, "nightly", context="hst_1.pmap", plan="{}"))
    ledger.write(
        lambda c: enter_jobs(c, "nightly", wanted, run="r1", context="hst_1.pmap", chunk_size=32)
    )


@pytest.mark.usefixtures("campaign")
def test_eight_workers_and_an_operator(url: str, ledger: Ledger) -> None:
    """Whole lives with retries, cancels and rescues: afterwards the ledger is consistent."""
    *workers, operator = _run(url)

    told = {attempt: job for each in workers for attempt, job in each["ended"]}
    assert sum(len(each["ended"]) for each in workers) == len(told), "an attempt has one owner"
    rows = {table.name: _rows(ledger, table) for table in (jobs, attempts, stage_runs, transitions)}
    assert {job.state for job in rows["job"]} <= {"processed", "error", "cancelled"}
    for job in rows["job"]:
        tries = [each for each in rows["attempt"] if each.job_id == job.id]
        history = [each for each in rows["transition"] if each.job_id == job.id]
        _assert_attempts(job, tries, told)
        _assert_legal(job, history)
        begun = [each.attempt_id for each in history if each.to_state == "processing"]
        assert begun == [each.id for each in tries], "each attempt is begun once"
    changes = Counter(each.reason for each in rows["transition"])
    assert min(operator.values(), default=0) > 0
    assert sum(each["seen"] for each in workers) > 0, "they were in each other's way"
    assert changes["by the operator"] == operator["cancelled"]
    assert changes["once more"] == operator["rescued"]
    assert not [each for each in rows["stage_run"] if each.state == "running"]
    complete = Counter(each.attempt_id for each in rows["stage_run"])
    assert all(complete[attempt] == len(STAGES) for attempt in told)


def _run(url: str) -> list[Any]:
    """Run all processes, let them go together, and return what each has said."""
    with ExitStack() as stack:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        commands = [[WORKER, url, str(seed), json.dumps(STAGES)] for seed in range(WORKERS)]
        processes = [
            stack.enter_context(subprocess.Popen([sys.executable, "-c", *each], text=True, **pipes))  # type: ignore[call-overload]
            for each in [*commands, [OPERATOR, url, "0"]]
        ]
        for each in processes:
            stack.callback(each.kill)
        assert {each.stdout.readline().strip() for each in processes} == {"ready"}
        for each in processes:
            each.stdin.write("\n")
            each.stdin.flush()
        said = [each.communicate(timeout=120)[0] for each in processes]
        assert [each.returncode for each in processes] == [0] * len(processes)
        return [json.loads(each) for each in said]


def _rows(ledger: Ledger, table: Any) -> list[Any]:
    return ledger._store.read(lambda c: c.execute(select(table).order_by(table.c.id)).all())  # type: ignore[return-value]


def _assert_attempts(job: Any, tries: list[Any], told: dict[int, int]) -> None:
    """Check that attempts are numbered without gaps, closed, and ended by who says so."""
    assert [each.number for each in tries] == list(range(1, job.attempts + 1))
    for each in tries:
        assert each.ended_at is not None
        assert (each.id in told) == (each.outcome in {"processed", "error"})
        assert told.get(each.id, job.id) == job.id
    climbed = [each.memory or 0 for each in tries]
    assert climbed == sorted(climbed), "no grant of a retry is lost"


def _assert_legal(job: Any, history: list[Any]) -> None:
    """Check that every change follows the one before, and that the last one is the state."""
    assert (history[0].from_state, history[0].to_state) == (None, "planned")
    for before, after in pairwise(history):
        assert after.from_state == before.to_state
        assert after.to_state in TRANSITIONS[before.to_state]
    assert history[-1].to_state == job.state
