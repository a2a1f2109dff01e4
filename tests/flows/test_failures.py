"""Stages that fail in a flow run: retried by their policy, or ended as a clear outcome."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from calib.simulate.observatory import Observatory

pytestmark = pytest.mark.prefect

# Runs in a process of its own: Prefect reads its settings at import.
PREAMBLE = """
import dataclasses, json, os, pickle, sys
from prefect import flow
import tasks.archive, tasks.bestrefs, tasks.calibrate, tasks.fetch
import tasks.preview, tasks.state_message
from calib.errors import Unavailable
from calib.stages import sequence
from calib.stages.planning import plan_jobs
from flows.dataset import TASKS, DatasetFailed, process_job
from flows.parameters import ProcessOptions, build_request

arguments = json.loads(sys.argv[1])
request = build_request(arguments["source"], arguments["output"], None, arguments["context"],
                        arguments["run"], ProcessOptions())
job = plan_jobs(request, [arguments["dataset"]])[0]
"""

FLAKY = (
    PREAMBLE
    + """
def fail_twice(module, name):
    original, calls = getattr(module, name), []
    def call(*given):
        calls.append(1)
        if len(calls) <= 2:
            raise Unavailable(f"{name} is busy")
        return original(*given)
    setattr(module, name, call)

for field in dataclasses.fields(TASKS):
    fail_twice(sys.modules[f"tasks.{field.name}"], f"run_{field.name}")
quick = {f.name: getattr(TASKS, f.name).with_options(retry_delay_seconds=[0.01] * 3)
         for f in dataclasses.fields(TASKS)}

@flow(name="flaky", flow_run_name="flaky-{name}")
def flaky(name):
    return sequence.process_dataset(job, dataclasses.replace(TASKS, **quick))

print("RESULT", json.dumps(dataclasses.asdict(flaky(job.dataset))))
"""
)

HOSTILE = (
    PREAMBLE
    + """
class Hostile(Exception):
    def __init__(self, a, b):
        super().__init__(a)
        self.handle = open(os.devnull)
    def __reduce__(self):
        raise RuntimeError("refuses to be pickled")

def raise_hostile(*given):
    raise Hostile("boom", 2)

tasks.calibrate.run_calibrate = raise_hostile

@flow(name="hostile")
def hostile():
    return process_job(job)

try:
    hostile()
except DatasetFailed as error:
    again = pickle.loads(pickle.dumps(error))
    print("RESULT", json.dumps(dataclasses.asdict(again.outcome)))
"""
)

STOPPED = (
    PREAMBLE
    + """
import time
from calib.grants import Grant
from calib.stages import calibrate

def forever(*given, **options):
    while True:
        time.sleep(0.01)

calibrate.calibrate = forever
job = dataclasses.replace(job, grant=Grant(limits={"calibrate": 300.0}, time_scale=0.001))

@flow(name="stopped")
def stopped():
    return process_job(job)

try:
    stopped()
except DatasetFailed as error:
    log = (job.folder / "process.txt").read_text().splitlines()
    print("RESULT", json.dumps({**dataclasses.asdict(error.outcome), "log": log}))
"""
)


def run_in_flow(
    code: str, run: str, observatory: Observatory, prefect_environment: dict[str, str], cwd: Path
) -> dict[str, object]:
    """Run one of the scripts against the server; return the outcome it prints."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    server = {k: v for k, v in prefect_environment.items() if k.startswith("PREFECT_")}
    arguments = {
        "dataset": observatory.datasets[0],
        "source": f"file:{observatory.raws}",
        "output": f"file:{cwd / 'out'}",
        "context": observatory.contexts[0],
        "run": run,
    }
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(arguments)],
        env={**ours, **server, **observatory.environ},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    assert lines, done.stderr[-3000:]
    outcome: dict[str, object] = json.loads(lines[0].removeprefix("RESULT"))
    return outcome


def test_each_stage_task_fails_twice_and_passes(
    observatory: Observatory, prefect_environment: dict[str, str], tmp_path: Path
) -> None:
    """All six tasks are tried a third time by their policy, and the dataset is published."""
    outcome = run_in_flow(FLAKY, "flaky", observatory, prefect_environment, tmp_path)

    assert outcome["state"] == "processed"
    url = prefect_environment["PREFECT_API_URL"]
    name = f"flaky-{observatory.datasets[0]}"
    body = {"flow_runs": {"name": {"any_": [name]}}, "limit": 20}
    runs = httpx.post(f"{url}/task_runs/filter", json=body, timeout=30).json()
    assert {run["run_count"] for run in runs} == {3}
    assert len(runs) == 6


def test_hostile_exception_becomes_an_outcome(
    observatory: Observatory, prefect_environment: dict[str, str], tmp_path: Path
) -> None:
    """An exception that cannot be pickled ends as an outcome with exit code 1 that can."""
    outcome = run_in_flow(HOSTILE, "hostile", observatory, prefect_environment, tmp_path)

    assert (outcome["state"], outcome["error_class"], outcome["code"]) == ("error", "Hostile", 1)
    assert "boom" in str(outcome["reason"])
    assert outcome["stage"] == "calibrate"


def test_stopped_stage_is_our_error_through_prefect(
    observatory: Observatory, prefect_environment: dict[str, str], tmp_path: Path
) -> None:
    """The exception that stops a stage travels through Prefect's engine and stays ours."""
    outcome = run_in_flow(STOPPED, "stopped", observatory, prefect_environment, tmp_path)

    assert (outcome["error_class"], outcome["code"]) == ("TimedOut", 137)
    assert "calibrate went over its limit" in str(outcome["reason"])
    log = outcome["log"]
    assert isinstance(log, list)
    dataset = observatory.datasets[0]
    assert any(f"INFO    {dataset} fetch #1  finished in" in line for line in log)
    assert any(f"ERROR   {dataset} calibrate #1  stopping: " in line for line in log)
