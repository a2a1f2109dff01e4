"""Runs of the deployment `reprocess`: one for each thing that is to be done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment

from calib.reprocessing.watching import Start
from flows.open_runs import bury, open_runs

NAME = "reprocess"
DEPLOYMENT = f"{NAME}/{NAME}"

# Runs of one key: a run that ends and leaves everything as it was is followed by another one so
# often, and then people are told. A key lasts a day.
MOST_RUNS = 3

# A run that says it runs, but has not entered its reprocessing: comparing a million headers takes
# 25 CPU minutes at most, so its process is dead.
DEAD_AFTER = timedelta(hours=2)


def ensure_run(start: Start, *, nobody_for: timedelta) -> str:
    """See to it that there is a run for this; return what was done, for people.

    Parameters
    ----------
    start
        What is to be done.
    nobody_for
        How long a run may run without a sign in the ledger: longer, and its process is dead.

    Raises
    ------
    PrefectException, HTTPError
        The server does not answer, or there is no such deployment.
    """
    for run in open_runs(NAME):
        if not _is_for(run, start):
            continue
        if not _is_dead(run, start, nobody_for):
            return f"flow run {run.name} is there for it ({run.state_name})"
        bury(run)
    return _begin(start)


def _begin(start: Start) -> str:
    for number in range(MOST_RUNS):
        run: Any = run_deployment(  # a coroutine only where it is awaited
            DEPLOYMENT,
            parameters=dict(start.parameters),
            idempotency_key=f"{start.key}:{number}",
            timeout=0,
            as_subflow=False,
        )
        if run.state is None or not run.state.is_final():
            return f"flow run {run.name} is started: {start.why}"
    return (
        f"{MOST_RUNS} runs came to nothing, the last one is {run.name} ({run.state_name}): "
        f"nothing more is started for {start.parameters.get('name', start.change)} today"
    )


def _is_for(run: FlowRun, start: Start) -> bool:
    """Tell whether a run was given this name, or this change."""
    asked = [start.parameters, vars(start.change) if start.change else start.parameters]
    return any(all(run.parameters.get(key) == each[key] for key in each) for each in asked)


def _is_dead(run: FlowRun, start: Start, nobody_for: timedelta) -> bool:
    """Tell a run whose process is gone; one that waits for a worker has none yet."""
    if run.state is None or run.state.is_scheduled():
        return False
    last = max(run.state.timestamp, datetime.fromisoformat(start.since))
    return datetime.now(UTC) - last > nobody_for
