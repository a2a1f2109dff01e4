"""Ledger and Prefect server under eight worker processes: nothing is lost, nobody is locked out."""

from __future__ import annotations

import os
import re
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from campaign_sessions import Sessions, names, running, wait_for
from sqlalchemy import create_engine, make_url, text

from calib.simulate.observatory import Observatory
from flows.private_server import DEFAULTS, answers, free_port

pytestmark = [pytest.mark.prefect, pytest.mark.slow]

DATASETS, WORKERS = 48, 8
POSTGRES = os.environ.get("HSTFLOW_TEST_POSTGRES")
STAGES = 6
KNOWN = STAGES * DATASETS + 1  # the chunk's flow run is a task run of the campaign's
CATCH_UP = 30  # seconds that the server has to take in what it was told

# What databases and their drivers say when two of their users stand in each other's way.
LOCKED = re.compile(r"locked|deadlock|could not serialize|lock timeout|too many (clients|connect)")


@pytest.fixture(params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Return the URLs of a new ledger and of a new database for the server."""
    if request.param == "sqlite":
        home = tmp_path / "prefect.db"
        yield f"sqlite:///{tmp_path / 'ledger.db'}", f"sqlite+aiosqlite:///{home}"
        return
    if not POSTGRES:
        pytest.skip("no PostgreSQL (set HSTFLOW_TEST_POSTGRES)")
    base = make_url(POSTGRES).set(drivername="postgresql+psycopg")
    made = [f"hstflow_{uuid.uuid4().hex[:12]}" for _ in range(2)]
    engine = create_engine(base, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for name in made:
            connection.execute(text(f"CREATE DATABASE {name}"))
    ledger = base.set(drivername="postgresql", database=made[0])
    server = base.set(drivername="postgresql+asyncpg", database=made[1])
    yield tuple(each.render_as_string(hide_password=False) for each in (ledger, server))
    with engine.connect() as connection:
        for name in made:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@contextmanager
def prefect_server(url: str, folder: Path) -> Iterator[dict[str, str]]:
    """Run a server on a database; yield the variables that point at it."""
    port = free_port()
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")},
        **DEFAULTS,
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_DATABASE_CONNECTION_URL": url,
    }
    command = [sys.executable, "-m", "prefect", "server", "start", "--no-ui"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    api = f"http://127.0.0.1:{port}/api"
    with contextmanager(running)(command, environment, folder / "server.log"):
        wait_for(lambda: answers(api), "the server", 120)
        yield {**environment, "PREFECT_API_URL": api}


def task_runs(api: str) -> int:
    """Return how many task runs the server knows that have ended well."""
    body = {"task_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
    return int(httpx.post(f"{api}/task_runs/count", json=body, timeout=30).json())


def test_eight_workers_share_a_ledger_and_a_server(
    databases: tuple[str, str], observatory: Observatory, tmp_path: Path
) -> None:
    """Every dataset is processed in one attempt, all task runs are known, no log says locked."""
    ledger, database = databases
    with prefect_server(database, tmp_path) as server:
        sessions = Sessions(observatory, server, tmp_path, ledger)
        sessions.enrol(names(DATASETS), runner="local", workers=WORKERS, stages="tasks")
        said = sessions.run(seconds=400)
        assert f"RESULT completed all {DATASETS}" in said, said
        api = server["PREFECT_API_URL"]
        known = [task_runs(api)]
        deadline = time.monotonic() + CATCH_UP
        while known[-1] < KNOWN and time.monotonic() < deadline:
            time.sleep(1)
            known.append(task_runs(api))
        assert known[-1] == KNOWN

    assert sessions.ask("SELECT state, attempts, COUNT(*) AS n FROM job GROUP BY 1, 2") == [
        {"state": "processed", "attempts": 1, "n": DATASETS}
    ]
    stages = "SELECT COUNT(*) AS n FROM stage_run WHERE ended_at IS NOT NULL"
    assert sessions.ask(stages) == [{"n": STAGES * DATASETS}]
    pids = sessions.ask("SELECT COUNT(DISTINCT pid) AS n FROM attempt")
    assert pids == [{"n": WORKERS}]
    logs = [said, (tmp_path / "server.log").read_text()]
    logs += [path.read_text() for path in (tmp_path / "work").rglob("process.txt")]
    assert [found for each in logs for found in LOCKED.findall(each)] == []
