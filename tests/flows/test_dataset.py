"""One dataset as a real flow run on a real Prefect server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import nbformat
import pytest
from nbclient import NotebookClient

from calib.simulate.observatory import Observatory

pytestmark = pytest.mark.prefect

SCRIPT = """
from flows.dataset import process_dataset
outcome = process_dataset({dataset!r}, {source!r}, {output!r}, context={context!r}, run={run!r})
print("OUTCOME", outcome.state, outcome.uri)
"""


@pytest.fixture
def environment(
    prefect_environment: dict[str, str], observatory: Observatory, own_home: Path
) -> dict[str, str]:
    """Return variables for a process that talks to the server and the simulated observatory."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    server = {k: v for k, v in prefect_environment.items() if k.startswith("PREFECT_")}
    return {**ours, **server, **observatory.environ}


def run_script(
    text: str, environment: dict[str, str], cwd: Path
) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own, as a user's script."""
    script = cwd / "script.py"
    script.write_text(text)
    return subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", str(script)],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def api(environment: dict[str, str], path: str, body: dict[str, Any]) -> Any:
    """Ask the server."""
    answer = httpx.post(f"{environment['PREFECT_API_URL']}/{path}", json=body, timeout=30)
    answer.raise_for_status()
    return answer.json()


def script_for(observatory: Observatory, output: Path, run: str) -> str:
    """Return a script that processes the first simulated dataset."""
    return SCRIPT.format(
        dataset=observatory.datasets[0],
        source=f"file:{observatory.raws}",
        output=f"file:{output}",
        context=observatory.contexts[0],
        run=run,
    )


def test_script_makes_a_flow_run_with_six_tasks(
    environment: dict[str, str], observatory: Observatory, tmp_path: Path
) -> None:
    """A script's call is a flow run: products published, six task runs, event and artifact."""
    done = run_script(script_for(observatory, tmp_path / "out", "script"), environment, tmp_path)

    assert done.returncode == 0, done.stderr
    assert "OUTCOME processed" in done.stdout
    name = f"process-{observatory.datasets[0]}"
    flow_run = api(
        environment, "flow_runs/filter", {"flow_runs": {"name": {"any_": [name]}}, "limit": 5}
    )[0]
    assert flow_run["state"]["type"] == "COMPLETED"
    tasks = api(
        environment,
        "task_runs/filter",
        {"flow_runs": {"id": {"any_": [flow_run["id"]]}}, "limit": 20},
    )
    stages = {"fetch", "bestrefs", "calibrate", "preview", "archive", "state-message"}
    assert {task["name"].rsplit("-", 1)[0] for task in tasks} == stages
    artifacts = api(
        environment, "artifacts/filter", {"artifacts": {"type": {"any_": ["image"]}}, "limit": 20}
    )
    assert any(artifact["data"].startswith("data:image/jpeg") for artifact in artifacts)


def test_failure_shows_its_reason_as_the_run_state(
    environment: dict[str, str], observatory: Observatory, tmp_path: Path
) -> None:
    """A dataset that fails is a failed flow run whose message says why, and an exception."""
    text = script_for(observatory, tmp_path / "out", "fails").replace(
        f"file:{observatory.raws}", f"file:{tmp_path / 'nowhere'}"
    )

    done = run_script(text, environment, tmp_path)

    assert done.returncode != 0
    assert "DatasetFailed" in done.stderr
    failed = api(
        environment,
        "flow_runs/filter",
        {"flow_runs": {"state": {"type": {"any_": ["FAILED"]}}}, "limit": 200},
    )
    assert any("nowhere" in run["state"]["message"] for run in failed)


def test_notebook_runs_the_flow(
    environment: dict[str, str],
    observatory: Observatory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A notebook's kernel, with its own event loop, runs the same flow."""
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    notebook = nbformat.v4.new_notebook()
    code = script_for(observatory, tmp_path / "out", "notebook")
    notebook.cells = [nbformat.v4.new_code_cell(code)]

    NotebookClient(notebook, timeout=300, kernel_name="python3").execute(cwd=str(tmp_path))

    text = json.dumps(notebook.cells[0]["outputs"])
    assert "OUTCOME processed" in text
