"""What a year leaves in Prefect's database: the server of `hstflow up` forgets old flow runs."""

from __future__ import annotations

import datetime as dt
import os
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from deployments.operation.program import Program
from deployments.operation.role import Patience
from deployments.operation.roles import Layout, roles_of
from deployments.operation.wishes import Ports, Share
from flows.private_server import free_port

pytestmark = [pytest.mark.prefect, pytest.mark.slow]

LIMIT = 120.0
BUSY, GONE, THERE = 503, 404, 200
# It looks each hour; a test does not wait so long, and needs no tokens.
QUICK = {
    "PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS": "1",
    "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "false",
}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[str]:
    """Start the server as `hstflow up` does, and return where it is."""
    ours = {name: each for name, each in os.environ.items() if not name.startswith("PREFECT_")}
    layout = Layout(
        parts=frozenset({"server"}),
        home=tmp_path,
        ports=Ports(free_port(), 0, 0, 0, 0),
        share=Share(1, 2.0, 1.0),
        environ={**ours, **QUICK},
        limit=1,
        may_change=False,
        scratch=tmp_path / "dask",
    )
    role = replace(roles_of(layout)[0], start_limit=LIMIT)
    server = Program(role, tmp_path, Patience())
    server.start(time.monotonic())
    try:
        while server.state == "starting":
            server.step(time.monotonic())
            time.sleep(0.1)
        assert server.state == "ready", server.tail()
        yield str(layout.api)
    finally:
        server.stop(lambda: False)


def made(url: str, what: dict[str, object]) -> str:
    """Have the server make something, and return its number.

    With 503 it says that its database is locked for the moment: Prefect's client asks again, too.
    """
    deadline = time.monotonic() + LIMIT
    while (answer := httpx.post(url, json=what, timeout=30)).status_code == BUSY:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.2)
    assert answer.is_success, answer.text
    return str(answer.json()["id"])


def test_flow_runs_go_after_ninety_days(api: str, tmp_path: Path) -> None:
    """One that ended 91 days ago goes by itself; one of 89 days, and one at work, stay."""
    flow = made(f"{api}/flows/", {"name": "old"})
    ended = {"type": "COMPLETED"}
    runs = [
        made(f"{api}/flow_runs/", {"flow_id": flow, "state": state})
        for state in (ended, ended, {"type": "RUNNING"})
    ]
    with sqlite3.connect(tmp_path / "prefect.db", timeout=30) as rows:
        for run, days in zip(runs, (91, 89, 91), strict=True):
            then = dt.datetime.now(dt.UTC) - dt.timedelta(days=days)
            words = "UPDATE flow_run SET end_time = ? WHERE id = ?"
            number = rows.execute(words, (f"{then:%Y-%m-%d %H:%M:%S.%f}", run)).rowcount
            assert number == 1
    deadline = time.monotonic() + LIMIT
    found = [BUSY]
    while (found[0] != GONE or BUSY in found) and time.monotonic() < deadline:
        time.sleep(0.2)
        found = [httpx.get(f"{api}/flow_runs/{run}", timeout=30).status_code for run in runs]
    assert found == [GONE, THERE, THERE]
