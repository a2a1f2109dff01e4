"""Runs of the deployment `reprocess` on a real server: one for each step, a dead one replaced."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Completed, Running
from standin_reprocess import reprocess

from calib.reprocessing.watching import Change, Start
from flows.reprocess_runs import DEPLOYMENT, MOST_RUNS, ensure_run

pytestmark = pytest.mark.prefect

A, B = "hst_9001.pmap", "hst_9002.pmap"
LONG = timedelta(hours=1)
NOW = timedelta(0)
NAME = "9001-9002"


def start(key: str, **parameters: str) -> Start:
    """Return something that is to be started, and was last touched long ago."""
    since = (datetime.now(UTC) - LONG).isoformat()
    return Start(f"{key}-{datetime.now(UTC)}", parameters, Change(A, B), since, "a test")


@pytest.fixture
def server(prefect_environment: dict[str, str]) -> Iterator[None]:
    """Point this process at the server, which has a deployment without a work pool."""
    with temporary_settings({PREFECT_API_URL: prefect_environment["PREFECT_API_URL"]}):
        with get_client(sync_client=True) as client:
            flow = client.create_flow(reprocess)
            deployment = client.create_deployment(flow, "reprocess")
        yield
        with get_client(sync_client=True) as client:
            for run in our_runs():
                client.delete_flow_run(run.id)
            client.delete_deployment(deployment)


def our_runs() -> list[FlowRun]:
    """Return the runs of the deployment; the server has those of other tests, too."""
    with get_client(sync_client=True) as client:
        mine = client.read_deployment_by_name(DEPLOYMENT).id
        return [run for run in client.read_flow_runs() if run.deployment_id == mine]


def states() -> dict[str, str]:
    """Return the state of each run of the deployment, by its key's last part."""
    return {str(run.idempotency_key).rpartition(":")[2]: str(run.state_name) for run in our_runs()}


def move(number: int, state: State[Any]) -> None:
    """Bring the run of a number into a state."""
    (run,) = (run for run in our_runs() if str(run.idempotency_key).endswith(f":{number}"))
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run.id, state, force=True)


def test_who_asks_twice_gets_one_run(server: None) -> None:
    """A run that waits for a worker, or was given the change by the event, will do."""
    asked = start("twice", old=A, new=B)

    first = ensure_run(asked, nobody_for=NOW)
    second = ensure_run(asked, nobody_for=NOW)
    by_name = ensure_run(start("by-name", name=NAME), nobody_for=NOW)

    assert "is started: a test" in first
    assert "is there for it (Scheduled)" in second
    assert "is there for it (Scheduled)" in by_name
    assert states() == {"0": "Scheduled"}


def test_dead_run_is_buried_and_replaced(server: None) -> None:
    """What runs without a sign in the ledger for too long has no process any more."""
    asked = start("dead", name=NAME)
    ensure_run(asked, nobody_for=LONG)
    move(0, Running())

    alive = ensure_run(asked, nobody_for=LONG)
    dead = ensure_run(asked, nobody_for=NOW)

    assert "is there for it (Running)" in alive
    assert "is started" in dead
    assert states() == {"0": "Crashed", "1": "Scheduled"}


def test_runs_that_come_to_nothing_are_few(server: None) -> None:
    """A run that ends and changes nothing is no reason for an endless row of runs."""
    asked = start("vain", name=NAME)
    for number in range(MOST_RUNS):
        assert "is started" in ensure_run(asked, nobody_for=NOW)
        move(number, Completed())

    said = ensure_run(asked, nobody_for=NOW)

    assert f"{MOST_RUNS} runs came to nothing" in said
    assert NAME in said
    assert len(states()) == MOST_RUNS
