"""Many processes at one ledger: one winner, no lost update, no half-written row."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from calib.errors import Interrupted, Unavailable
from calib.ids import DatasetId
from calib.ledger.ledger import Attempt, Ledger, current_owner
from calib.records import Outcome

Spawn = Callable[..., "subprocess.Popen[str]"]

PRELUDE = """
import os, signal, sys, time
from calib.errors import *
from calib.ids import parse_dataset
from calib.ledger.ledger import *
from calib.records import Outcome
ledger = open_ledger(sys.argv[1])
dataset = parse_dataset("j8bt05njq")
print("ready", flush=True)
input()
"""
BEGIN = """
job = ledger.submit("adhoc", dataset, "r1", context="hst_1.pmap")
attempt = ledger.begin_attempt(job, current_owner())
"""


@pytest.fixture
def spawn(url: str) -> Iterator[Spawn]:
    """Return a function that starts a process with the ledger open; it goes on at `go`."""
    with ExitStack() as stack:

        def start(code: str, *arguments: str) -> subprocess.Popen[str]:
            command = [sys.executable, "-c", PRELUDE + code, url, *arguments]
            process = stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            stack.callback(process.kill)
            return process

        yield start


def line_of(process: subprocess.Popen[str]) -> str:
    """Return the next line that a process says."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go(*processes: subprocess.Popen[str]) -> None:
    """Wait until all processes are ready, then let them go on, as nearly together as may be."""
    assert {line_of(process) for process in processes} == {"ready"}
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()


def test_one_winner(spawn: Spawn, ledger: Ledger, dataset: DatasetId) -> None:
    """Of processes that begin one job together, one gets it; the others learn who has it."""
    code = f"""
try:
{"".join("    " + line + chr(10) for line in BEGIN.strip().splitlines())}
    print("won", os.getpid(), flush=True)
except Unavailable as error:
    print("lost", error.message.split()[4], flush=True)
input()
"""
    processes = [spawn(code) for _ in range(5)]
    go(*processes)
    said = sorted(line_of(process) for process in processes)
    (won,) = [line.removeprefix("won ") for line in said if line.startswith("won")]
    assert said == [f"lost {won}"] * 4 + [f"won {won}"]
    states = [change.to_state for change in ledger.history(dataset)]
    assert states == ["planned", "submitted", "processing"]


def test_no_update_is_lost(spawn: Spawn, ledger: Ledger, dataset: DatasetId) -> None:
    """Processes take turns on one job: every turn is an attempt, every change is in the history."""
    code = """
for _ in range(12):
    while True:
        try:
            job = ledger.submit("adhoc", dataset, "r1", context="hst_1.pmap")
            attempt = ledger.begin_attempt(job, current_owner())
            break
        except (Unavailable, ConfigError):
            time.sleep(0.002)
    ledger.close_stage(ledger.open_stage(attempt, "fetch"), "done")
    ledger.finish_attempt(attempt, Outcome(dataset.name, "error", "a test"))
"""
    processes = [spawn(code) for _ in range(3)]
    go(*processes)
    assert [process.wait(120) for process in processes] == [0, 0, 0]
    (job,) = ledger.jobs_of(dataset)
    assert (job.state, job.attempts) == ("error", 36)
    history = ledger.history(dataset)
    expected = ["planned", *["submitted", "processing", "error"] * 36]
    assert [change.to_state for change in history] == expected
    begun = [change.attempt for change in history if change.to_state == "processing"]
    assert begun == list(range(1, 37))


def test_campaign_of_many_processes(spawn: Spawn, ledger: Ledger) -> None:
    """Processes work through their own datasets of one new campaign: all are counted."""
    code = """
for number in range(20):
    name = parse_dataset(f"j8b{int(sys.argv[2]):02d}{number:03d}q")
    job = ledger.submit("nightly", name, "r1", context="hst_1.pmap")
    attempt = ledger.begin_attempt(job, current_owner())
    ledger.ensure_run("r1", context="hst_1.pmap", engine="native", engine_version="1",
                      parameters={}, output="/out")
    ledger.set_current(name, "r1")
    ledger.finish_attempt(attempt, Outcome(name.name, "processed", "a test"))
"""
    processes = [spawn(code, str(number)) for number in range(4)]
    go(*processes)
    assert [process.wait(120) for process in processes] == [0, 0, 0, 0]
    assert ledger.count_states(campaign="nightly") == {"processed": 80}


def test_killed_owner_is_taken_over(spawn: Spawn, ledger: Ledger, dataset: DatasetId) -> None:
    """The job of a killed process goes to the next who asks; while it lived, it did not."""
    process = spawn(BEGIN + "print(attempt.id, attempt.token, flush=True); input()")
    go(process)
    number, token = line_of(process).split()
    (job,) = ledger.jobs_of(dataset)
    with pytest.raises(Unavailable, match=f"pid {process.pid}"):
        ledger.begin_attempt(job.id, current_owner())
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert ledger.begin_attempt(job.id, current_owner()).number == 2
    reasons = [change.reason or "" for change in ledger.history(dataset)]
    assert f"attempt 1 was lost: pid {process.pid}" in reasons[-2]
    lost = Attempt(int(number), job.id, dataset.name, 1, token)
    with pytest.raises(Interrupted, match="attempt 1 was lost"):
        ledger.finish_attempt(lost, Outcome(dataset.name, "processed", "too late"))


def test_one_successor(spawn: Spawn, ledger: Ledger, dataset: DatasetId) -> None:
    """Of processes that take over from a dead one together, one gets the job."""
    go(first := spawn(BEGIN))
    first.wait()
    code = f"""
try:
    attempt = ledger.begin_attempt({ledger.jobs_of(dataset)[0].id}, current_owner())
    print("won", attempt.number, flush=True)
except Unavailable:
    print("lost", flush=True)
input()
"""
    processes = [spawn(code) for _ in range(4)]
    go(*processes)
    assert sorted(line_of(process) for process in processes) == ["lost"] * 3 + ["won 2"]
    freed = [c for c in ledger.history(dataset) if "was lost" in (c.reason or "")]
    assert len(freed) == 1


def test_death_within_a_transaction_leaves_nothing(
    spawn: Spawn, ledger: Ledger, dataset: DatasetId
) -> None:
    """A process killed between two statements has written neither, and blocks nobody."""
    code = """
from calib.ledger import attempts, jobs
def die(*arguments, **fields):
    os.kill(os.getpid(), signal.SIGKILL)
attempts.move = die
ledger.submit("adhoc", dataset, "r1", context="hst_1.pmap")
"""
    go(process := spawn(code))
    assert process.wait(60) == -signal.SIGKILL
    assert ledger.jobs_of(dataset) == []
    ledger.submit("adhoc", dataset, "r1", context="hst_1.pmap")
    assert ledger.count_states() == {"submitted": 1}


def test_many_open_a_new_ledger_at_once(url: str) -> None:
    """Processes that find no ledger make one together, and all can use it."""
    new = f"{url}.new" if url.startswith("sqlite") else url
    code = """
import sys
from calib.ledger.ledger import open_ledger
print("ready", flush=True)
input()
with open_ledger(sys.argv[1]) as ledger:
    print(ledger.ensure_campaign("nightly"), flush=True)
"""
    command = [sys.executable, "-c", code, new]
    with ExitStack() as stack:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        processes = [
            stack.enter_context(subprocess.Popen(command, text=True, **pipes)) for _ in range(5)
        ]
        go(*processes)
        assert [line_of(process) for process in processes] == ["1"] * 5
        assert [process.wait(60) for process in processes] == [0] * 5
