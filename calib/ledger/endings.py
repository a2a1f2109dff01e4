"""What is kept with a job of how its attempt ended, so that many jobs can be searched by it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, case, select

from calib.ledger.schema import stage_run as stage_runs

# Ends without a result: people ask at which stage.
_FAILED = frozenset({"error", "blocked", "cancelled"})

# The stage that failed; else the first that is open: the last one may be open to tell the end.
_FAILING = (
    select(stage_runs.c.stage)
    .where(
        stage_runs.c.attempt_id == bindparam("of_attempt"),
        stage_runs.c.state.in_(("error", "running", "interrupted")),
    )
    .order_by(case((stage_runs.c.state == "error", 0), else_=1), stage_runs.c.id)
    .limit(1)
)


def how_ended(connection: Connection, attempt: Row[Any], state: str) -> dict[str, Any]:
    """Return the columns of a job that say how its attempt ends now.

    Parameters
    ----------
    connection
        The transaction that ends it.
    attempt
        Its row.
    state
        In which the attempt, or the job, ends.

    Returns
    -------
    dict
        ``seconds`` that it took (never less than zero, though a clock was set back), and
        ``failed_stage``: None for a result, or before the first stage.
    """
    took = datetime.now(UTC) - datetime.fromisoformat(attempt.started_at)
    failed = state in _FAILED
    stage = connection.scalar(_FAILING, {"of_attempt": attempt.id}) if failed else None
    return {"seconds": max(0.0, took.total_seconds()), "failed_stage": stage}
