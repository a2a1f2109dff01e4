"""Stages of an attempt: when each ran, and what it cost."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cache

from sqlalchemy import Connection, Update, bindparam, insert, update

from calib.ledger.attempts import Attempt, check_held, is_finished
from calib.ledger.location import hide_credentials
from calib.ledger.schema import stage_run as stage_runs
from calib.ledger.states import check_stage_state
from calib.records import Outcome, utc_now

# Made once, as in :mod:`calib.ledger.jobs`.
_NEW = insert(stage_runs).returning(stage_runs.c.id)


@dataclass(frozen=True)
class StageMetrics:
    """What a stage cost.

    Attributes
    ----------
    wall, cpu
        Seconds of wall clock, and of CPU with the child processes.
    peak_rss
        Peak resident memory, bytes; None where it was not measured.
    bytes_in, bytes_out
        Bytes read and written; None where not measured.
    disk
        Bytes that the stage left in the work folder; None where it leaves none.
    """

    wall: float
    cpu: float
    peak_rss: int | None = None
    bytes_in: int | None = None
    bytes_out: int | None = None
    disk: int | None = None


def open_stage(connection: Connection, attempt: Attempt, stage: str) -> int:
    """Enter a stage run as running, and return its number.

    Raises
    ------
    Interrupted
        The attempt is closed: taken over, cancelled or finished.
    """
    check_held(connection, attempt)
    row = {"attempt_id": attempt.id, "stage": stage, "state": "running", "started_at": utc_now()}
    return int(connection.scalars(_NEW, row).one())


def open_last_stage(
    connection: Connection, attempt: Attempt, stage: str, outcome: Outcome
) -> int | None:
    """Enter the stage run that closes the attempt; None where it was closed so already.

    Raises
    ------
    Interrupted
        The attempt is closed with another outcome: taken over, cancelled or finished.
    """
    if is_finished(connection, attempt, outcome):
        return None
    return open_stage(connection, attempt, stage)


def close_stage(
    connection: Connection,
    stage_run_id: int,
    state: str,
    metrics: StageMetrics | None,
    error: str | None,
) -> bool:
    """Close a stage run, and tell whether it was open.

    One that is closed already (its attempt was taken over) stays as it is: whoever asks may be
    busy with the error that matters.

    Raises
    ------
    ConfigError
        The state is not the end of a stage run.
    """
    check_stage_state(state)
    values = dataclasses.asdict(metrics) if metrics else {}
    values |= {"state": state, "ended_at": utc_now()}
    values["error"] = None if error is None else hide_credentials(error)
    of_stage = {"of_stage": stage_run_id, "of_state": "running"}
    return connection.execute(_closing(tuple(values)), of_stage | values).rowcount == 1


@cache
def _closing(names: tuple[str, ...]) -> Update:
    """Return the statement that writes these columns of a stage run that is open."""
    is_open = stage_runs.c.state == bindparam("of_state")
    change = update(stage_runs).where(stage_runs.c.id == bindparam("of_stage"), is_open)
    return change.values({name: bindparam(name) for name in names})
