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


def runs_of(environment: dict[str, str], dataset: str, state: str) -> list[dict[str, Any]]:
    """Return the flow runs of a dataset that ended so."""
    which = {"name": {"any_": [f"process-{dataset}"]}, "state": {"type": {"any_": [state]}}}
    runs: list[dict[str, Any]] = api(
        environment, "flow_runs/filter", {"flow_runs": which, "limit": 200}
    )
    return runs


def test_calls_of_a_script_are_flow_runs(
    environment: dict[str, str], observatory: Observatory, tmp_path: Path
) -> None:
    """The first publishes, with six task runs, event and artifact; the second fails, and why."""
    script = script_for(observatory, tmp_path / "out", "script")
    fails = script_for(observatory, tmp_path / "out", "fails").replace(
        f"file:{observatory.raws}", f"file:{tmp_path / 'nowhere'}"
    )

    done = run_script(script + fails, environment, tmp_path)

    assert done.stdout.count("OUTCOME") == done.stdout.count("OUTCOME processed") == 1, done.stderr
    assert done.returncode != 0
    assert "DatasetFailed" in done.stderr
    failed = runs_of(environment, observatory.datasets[0], "FAILED")
    assert any("nowhere" in run["state"]["message"] for run in failed)
    (flow_run, *_) = runs_of(environment, observatory.datasets[0], "COMPLETED")
    tasks = api(
        environment,
        "task_runs/filter",
        {"flow_runs": {"id": {"any_": [flow_run["id"]]}}, "limit": 20},
    )
    stages = {"fetch", "bestrefs", "calibrate", "preview", "archive", "state-message"}
    assert {task["name"].rsplit("-", 1)[0] for task in tasks} == stages
    wanted = {"artifacts": {"flow_run_id": {"any_": [flow_run["id"]]}}, "limit": 20}
    (page,) = api(environment, "artifacts/filter", wanted)
    assert page["key"] == "dataset"
    assert page["data"].startswith(f"# {observatory.datasets[0]}: processed")
    assert "](data:image/jpeg;base64," in page["data"]
    assert "| calibrate | ok |" in page["data"]
    assert {"campaign:adhoc", f"context:{observatory.contexts[0]}"} < set(flow_run["tags"])


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
