"""`hstflow demo`: a newcomer's first two minutes (the tutorial's test runs it undisturbed)."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from PIL import Image

pytestmark = pytest.mark.prefect

ROOT = Path(__file__).parents[2]
BROKEN = "jsky04aaq"


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    """Start the demo in a session of its own, as a terminal does."""
    return subprocess.Popen(
        [sys.executable, "-m", "deployments.cli", "demo", str(folder), *options],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def job_states(folder: Path) -> dict[str, str]:
    """Return the state of each dataset, read from the ledger's file."""
    path = folder / "ledger.db"
    if not path.exists():
        return {}
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        try:
            return dict(database.execute("select dataset, state from job").fetchall())
        except sqlite3.OperationalError:
            return {}


def rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    """Ask Prefect's database."""
    with closing(sqlite3.connect(folder / "prefect" / "prefect.db")) as database:
        return database.execute(query).fetchall()


def test_interrupted_demo_leaves_nothing_running_and_goes_on(tmp_path: Path) -> None:
    """Ctrl-C leaves no process and a consistent ledger; the same command finishes the demo."""
    folder = tmp_path / "demo"
    with start(folder) as child:
        deadline = time.monotonic() + 200
        while time.monotonic() < deadline and child.poll() is None:
            if "processing" in job_states(folder).values():
                break
            time.sleep(0.05)
        assert child.poll() is None, child.communicate()
        family = psutil.Process(child.pid).children(recursive=True)
        os.killpg(child.pid, signal.SIGINT)
        _, err = child.communicate(timeout=60)

    assert child.returncode == 130, err
    assert "interrupted" in err
    assert "Traceback" not in err
    gone, alive = psutil.wait_procs(family, timeout=20)
    assert (bool(gone), alive) == (True, [])
    assert "processing" not in job_states(folder).values()

    with start(folder, "--json") as child:
        out, err = child.communicate(timeout=250)

    assert (child.returncode, err.strip()) == (0, ""), out
    states = {job["dataset"]: job["state"] for job in json.loads(out)}
    assert states.pop(BROKEN) == "error"
    assert set(states.values()) == {"processed"}
    assert len(states) == 15
    with Image.open(next((folder / "archive" / "runs").rglob("jsky05011_crj.jpg"))) as picture:
        assert picture.size == (512, 512)
    tasks = rows(folder, "select name from task_run where state_type = 'COMPLETED'")
    done = {str(name).rsplit("-", 1)[-1] for (name,) in tasks if str(name).startswith("archive-")}
    assert done == set(states)
