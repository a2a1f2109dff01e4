"""What a process tells and asks of all its attempts at once: that they live, and are wanted."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select, update

from calib.ledger.attempts import Attempt
from calib.ledger.location import hide_credentials
from calib.ledger.owners import Owner, why_dead
from calib.ledger.reports import Rows
from calib.ledger.schema import attempt as attempts
from calib.ledger.schema import campaign as campaigns
from calib.ledger.schema import job as jobs
from calib.ledger.schema import stage_run as stage_runs
from calib.records import utc_now

_OWNER = ("host", "pid", "process_started", "token", "heartbeat_at")

_CLOSED = """
SELECT attempt.id AS id, attempt.token AS token, attempt.outcome AS outcome,
  attempt.message AS message
FROM attempt WHERE attempt.id IN ({numbers})
"""


def beat_all(connection: Connection, held: Sequence[Attempt]) -> None:
    """Write down that the owner of attempts lives; those that are closed stay as they are."""
    for each in held:
        mine = (attempts.c.id == each.id) & (attempts.c.token == each.token)
        still_open = mine & attempts.c.outcome.is_(None)
        connection.execute(update(attempts).where(still_open).values(heartbeat_at=utc_now()))


def closed_of(rows: Rows, held: Sequence[Attempt]) -> dict[int, tuple[str, str]]:
    """Return outcome and message of those attempts that are closed, or not this owner's."""
    names = {f"a{place}": each.id for place, each in enumerate(held)}
    query = _CLOSED.format(numbers=", ".join(f":{name}" for name in names))
    tokens = {each.id: each.token for each in held}
    return {
        row["id"]: (row["outcome"] or "interrupted", row["message"] or "taken over")
        for row in rows(query, names)
        if row["outcome"] is not None or row["token"] != tokens[row["id"]]
    }


def close_open_stages(connection: Connection, attempt: Attempt, error: str) -> None:
    """Close what is open of an attempt as failed: the thread that would do so hangs."""
    running = (stage_runs.c.attempt_id == attempt.id) & (stage_runs.c.state == "running")
    values = {"state": "error", "ended_at": utc_now(), "error": hide_credentials(error)}
    connection.execute(update(stage_runs).where(running).values(values))


def close_left_stages(connection: Connection, campaign: str) -> int:
    """Close what attempts at their end have left open, where their process is gone.

    The last word of an attempt is written before its stage is over (a message, the work folder):
    a process that is killed in between leaves the stage running.

    Returns
    -------
    int
        How many stage runs were closed, as interrupted.
    """
    left = (
        select(stage_runs.c.id, *(attempts.c[name] for name in _OWNER))
        .join(attempts, attempts.c.id == stage_runs.c.attempt_id)
        .join(jobs, jobs.c.id == attempts.c.job_id)
        .join(campaigns, campaigns.c.id == jobs.c.campaign_id)
        .where(campaigns.c.name == campaign, stage_runs.c.state == "running")
        .where(attempts.c.outcome.is_not(None))
    )
    closed = 0
    for number, host, pid, started, token, heartbeat in connection.execute(left).all():
        death = why_dead(Owner(host, pid, started, token), heartbeat)
        if death is not None:
            values = {"state": "interrupted", "ended_at": utc_now(), "error": death}
            still = (stage_runs.c.id == number) & (stage_runs.c.state == "running")
            closed += connection.execute(update(stage_runs).where(still).values(values)).rowcount
    return closed
