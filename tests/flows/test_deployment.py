"""prefect.yaml on a real server: deployed, run by a worker, scheduled by cron.

These are the things that other versions of fastapi and SQLAlchemy broke (see pyproject.toml).
Each command of Prefect's takes seconds to start: what any client may ask is asked by its API.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from campaign_sessions import Sessions, running

from calib.simulate.observatory import Observatory

pytestmark = pytest.mark.prefect

ROOT = Path(__file__).parents[2]
SCHEDULE_LIMIT = 120  # seconds; the scheduler looks once a minute


@pytest.fixture
def prefect(prefect_environment: dict[str, str], observatory: Observatory) -> Any:
    """Return a function that runs the prefect command against the test server."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    server = {k: v for k, v in prefect_environment.items() if k.startswith("PREFECT_")}
    environment = {**ours, **server, **observatory.environ}

    def call(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "prefect", *arguments],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return call


def flow_runs(environment: dict[str, str], deployment: str, state: str) -> list[dict[str, Any]]:
    """Return the runs of a deployment in a state."""
    body = {
        "deployments": {"name": {"any_": [deployment]}},
        "flow_runs": {"state": {"type": {"any_": [state]}}},
        "limit": 50,
    }
    url = f"{environment['PREFECT_API_URL']}/flow_runs/filter"
    runs: list[dict[str, Any]] = httpx.post(url, json=body, timeout=30).json()
    return runs


@pytest.fixture
def work_pool(prefect_environment: dict[str, str]) -> None:
    """Make the work pool that prefect.yaml names, if it is not there."""
    url = f"{prefect_environment['PREFECT_API_URL']}/work_pools/"
    made = httpx.post(url, json={"name": "hstflow", "type": "process"}, timeout=30)
    assert made.status_code in {httpx.codes.CREATED, httpx.codes.CONFLICT}, made.text


def start_run(environment: dict[str, str], deployment: str, **parameters: Any) -> None:
    """Ask the server for a run of a deployment, FLOW/NAME."""
    url = f"{environment['PREFECT_API_URL']}/deployments"
    found = httpx.get(f"{url}/name/{deployment}", timeout=30).raise_for_status().json()
    body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
    asked = httpx.post(f"{url}/{found['id']}/create_flow_run", json=body, timeout=30)
    asked.raise_for_status()


def wait_for_scheduled(environment: dict[str, str], deployment: str) -> int:
    """Return how many runs a deployment will have, when the scheduler has looked at it."""
    deadline = time.monotonic() + SCHEDULE_LIMIT
    while time.monotonic() < deadline:
        if found := flow_runs(environment, deployment, "SCHEDULED"):
            return len(found)
        time.sleep(0.5)
    return 0


def test_deployment_is_run_by_a_worker(
    prefect: Any,
    work_pool: None,
    prefect_environment: dict[str, str],
    observatory: Observatory,
    tmp_path: Path,
) -> None:
    """A dataset and a campaign of another one are published; a cron has its SCHEDULED runs."""
    first, second, *_ = observatory.datasets
    manifest = tmp_path / "names.txt"
    manifest.write_text(second)
    places = {
        "input_uri": f"file:{observatory.raws}",
        "output_uri": f"file:{tmp_path / 'out'}",
        "context": observatory.contexts[0],
    }
    prefect("--no-prompt", "deploy", "--all")
    start_run(prefect_environment, "process-dataset/process-dataset", dataset=first, **places)
    how = {"runner": "threads", "workers": 1}
    start_run(
        prefect_environment,
        "campaign/campaign",
        name="deployed",
        manifest=str(manifest),
        how=how,
        **places,
    )

    # One more than these two: a look of `context-watch` may be due at this very moment.
    prefect("worker", "start", "--pool", "hstflow", "--run-once", "--limit", "3")

    assert len(flow_runs(prefect_environment, "process-dataset", "COMPLETED")) == 1
    assert len(flow_runs(prefect_environment, "campaign", "COMPLETED")) == 1
    for each in (first, second):
        assert (tmp_path / "out" / "data" / "acs" / each).exists()
    assert wait_for_scheduled(prefect_environment, "nightly-verify") >= 3


def ended_chunks(environment: dict[str, str]) -> set[str]:
    """Return the names of the chunks' flow runs, which end after their datasets."""
    deadline = time.monotonic() + SCHEDULE_LIMIT
    while time.monotonic() < deadline:
        found = flow_runs(environment, "campaign-chunk", "COMPLETED")
        if len(found) == 2:
            return {run["name"] for run in found}
        time.sleep(0.5)
    return {run["name"] for run in flow_runs(environment, "campaign-chunk", "COMPLETED")}


@pytest.mark.slow
def test_chunks_of_a_campaign_are_run_by_a_worker(
    prefect: Any,
    work_pool: None,
    prefect_environment: dict[str, str],
    observatory: Observatory,
    tmp_path: Path,
) -> None:
    """The session hands its chunks to the deployment, and ends when the ledger says so."""
    datasets = list(observatory.datasets[:2])
    sessions = Sessions(observatory, prefect_environment, tmp_path)
    output = f"file:{tmp_path / 'out'}"
    how = {"runner": "threads", "chunks": "deployment", "chunk_size": 1, "stages": "tasks"}
    sessions.enrol(datasets, output=output, **how)
    prefect("--no-prompt", "deploy", "--all")
    command = ["prefect", "worker", "start", "--pool", "hstflow", "--limit", "2"]
    log = tmp_path / "worker.log"

    with contextmanager(running)([sys.executable, "-m", *command], sessions.environment, log):
        said = sessions.run(noop=False, seconds=180)
        chunks = ended_chunks(prefect_environment)

    assert "RESULT completed all 2" in said, said + log.read_text()
    assert sessions.rows_by_name() == dict.fromkeys(datasets, "processed")
    assert chunks == {"campaign-night-chunk0", "campaign-night-chunk1"}
