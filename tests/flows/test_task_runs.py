"""Tests of flows.task_runs: what the server is told of a task that is begun at once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect import tags, task
from prefect.task_engine import _create_task_run_locally

from flows.task_runs import new_run

SCRIPT = """
from types import SimpleNamespace
from prefect import flow
from calib.errors import Unavailable
from flows.task_runs import call_task
from tasks.policies import stage_task

@stage_task("fetch")
def good(job, number):
    return number + 1

@stage_task("preview")
def bad(job):
    raise ValueError("broken on purpose")

tries = []

def again(job):
    tries.append(job)
    if len(tries) == 1:
        raise Unavailable("away")
    return job.dataset

again = stage_task("archive")(again).with_options(retry_delay_seconds=0)

@flow(name="told", flow_run_name="told-{name}", persist_result=False, validate_parameters=False)
def told(name):
    job = SimpleNamespace(dataset="j1")
    assert call_task(good, job, 1) == 2
    assert call_task(again, job) == "j1"
    try:
        call_task(bad, job)
    except ValueError as error:
        assert "on purpose" in str(error)

told("NAME")
"""

SECONDS = 30.0  # the server writes task runs a moment after it heard of them


def test_run_is_the_one_that_prefect_would_make() -> None:
    """All but its number, its key and its times is as Prefect makes it, tags too."""

    @task(name="calibrate", retries=2, retry_delay_seconds=[1, 2], tags={"own"}, version="7")
    def function(job: object) -> object:
        return job

    with tags("night"):
        ours, theirs = new_run(function), _create_task_run_locally(function)
    skipped = {"id", "name", "dynamic_key", "state", "state_id", "expected_start_time", "tags"}
    skipped |= {"created", "updated"}
    assert ours.model_dump(exclude=skipped) == theirs.model_dump(exclude=skipped)
    assert set(ours.tags) == set(theirs.tags) == {"own", "night"}
    assert ours.state is not None
    assert ours.state.is_pending()


@pytest.mark.prefect
def test_server_has_names_states_and_failures(
    prefect_environment: dict[str, str], tmp_path: Path
) -> None:
    """Each run begins as Running; how it ends, is retried and why it fails is told as ever."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace("NAME", tmp_path.name))
    environment = {**prefect_environment, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, str(script)], env=environment, check=True, timeout=120)

    url = prefect_environment["PREFECT_API_URL"]
    found = {each["name"]: each for each in _ended_runs(url, f"told-{tmp_path.name}", 3)}

    assert found.keys() == {"fetch-j1", "archive-j1", "preview-j1"}
    assert _states(url, found["fetch-j1"]) == ["Running", "Completed"]
    assert _states(url, found["archive-j1"]) == ["Running", "Retrying", "Completed"]
    assert found["archive-j1"]["run_count"] == 2
    assert _states(url, found["preview-j1"]) == ["Running", "Failed"]
    assert "broken on purpose" in found["preview-j1"]["state"]["message"]
    assert all(each["start_time"] and each["end_time"] for each in found.values())


def _ended_runs(url: str, flow_run: str, number: int) -> list[dict[str, Any]]:
    """Return the task runs of a flow run, as soon as so many have ended."""
    body = {"flow_runs": {"name": {"any_": [flow_run]}}, "limit": 20}
    deadline = time.monotonic() + SECONDS
    while True:
        runs: list[dict[str, Any]] = httpx.post(f"{url}/task_runs/filter", json=body).json()
        ended = [each for each in runs if each["state_type"] in {"COMPLETED", "FAILED"}]
        if len(ended) >= number or time.monotonic() > deadline:
            return ended
        time.sleep(0.5)


def _states(url: str, run: dict[str, Any]) -> list[str]:
    """Return the names of the states of a task run, in their order."""
    states = httpx.get(f"{url}/task_run_states/", params={"task_run_id": run["id"]}).json()
    return [each["name"] for each in sorted(states, key=lambda state: state["timestamp"])]
