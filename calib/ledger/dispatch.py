"""What the process of a campaign writes about jobs: handed out to workers, lost with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from calib.grants import Retry
from calib.ledger.attempts import change_state, granted
from calib.ledger.jobs import batched, lock_job, update_job
from calib.ledger.owners import Owner, why_dead
from calib.ledger.reports import Rows
from calib.ledger.schema import attempt as attempts
from calib.ledger.schema import job as jobs
from calib.ledger.schema import transition as transitions
from calib.records import utc_now


@dataclass(frozen=True)
class Standing:
    """Where a job stands.

    Attributes
    ----------
    state, attempts
        As in the ledger.
    at_work
        Whether an attempt is open whose owner may live.
    is_closed
        Whether the last attempt was closed by its own process, which said what follows.
    reason
        Why it is in this state, for people.
    error_class, code
        What the last attempt ended with; None where it is open, or ended well.
    """

    state: str
    attempts: int
    at_work: bool
    is_closed: bool
    reason: str | None = None
    error_class: str | None = None
    code: int | None = None


@dataclass(frozen=True)
class Loss:
    """That nobody works on a job any more, and what becomes of it.

    Attributes
    ----------
    reason
        For people.
    error_class, code
        What the job ends with where it is not tried again.
    retry
        The attempt that follows; None: the job ends as an error.
    """

    reason: str
    error_class: str
    code: int
    retry: Retry | None


_STANDING = """
SELECT job.state AS state, job.attempts AS attempts, job.reason AS reason,
  attempt.host AS host, attempt.pid AS pid,
  attempt.process_started AS started, attempt.token AS token, attempt.heartbeat_at AS heartbeat,
  attempt.outcome AS outcome, attempt.error_class AS error_class, attempt.code AS code
FROM job LEFT JOIN attempt ON attempt.job_id = job.id AND attempt.number = job.attempts
WHERE job.id = :id
"""


_RUNS = """
SELECT DISTINCT job.run AS run FROM job JOIN campaign ON campaign.id = job.campaign_id
WHERE campaign.name = :name
"""


def runs_of(rows: Rows, campaign: str) -> list[str]:
    """Return the runs that the jobs of a campaign are for."""
    return [str(row["run"]) for row in rows(_RUNS, {"name": campaign})]


def standing(rows: Rows, job_id: int) -> Standing:
    """Return where a job stands, and whether somebody who may live works on it."""
    row = rows(_STANDING, {"id": job_id})[0]
    is_open = row["token"] is not None and row["outcome"] is None
    is_closed = row["outcome"] == "error"  # "interrupted": it was freed by somebody else
    is_alive = is_open and _may_live(row)
    last_word = (row["reason"], row["error_class"], row["code"])
    return Standing(row["state"], int(row["attempts"]), is_alive, is_closed, *last_word)


def hand_out(connection: Connection, numbers: Sequence[int], reason: str) -> int:
    """Bring planned jobs into ``submitted``, all in one statement; return how many were."""
    done = 0
    for some in batched(numbers):
        now = utc_now()
        planned = (jobs.c.id.in_(some)) & (jobs.c.state == "planned")
        values = {"state": "submitted", "reason": reason, "updated_at": now}
        change = update(jobs).where(planned).values(values).returning(jobs.c.id)
        moved = connection.scalars(change).all()
        told = {"from_state": "planned", "to_state": "submitted", "at": now, "reason": reason}
        if moved:
            connection.execute(insert(transitions), [told | {"job_id": each} for each in moved])
        done += len(moved)
    return done


def end_lost(connection: Connection, job_id: int, loss: Loss) -> str:
    """Take a job from a worker that is gone, and return the state in which it is then.

    A job that is at an end already stays so: its worker was lost after the last word.
    """
    job = lock_job(connection, job_id)
    if job.state not in {"submitted", "processing"}:
        return str(job.state)
    last = _last_attempt(connection, job_id)
    if loss.retry is None:
        change_state(
            connection, job_id, "error", loss.reason, error_class=loss.error_class, code=loss.code
        )
        return "error"
    if job.state == "processing":
        change_state(connection, job_id, "submitted", f"{loss.reason}: {loss.retry.reason}")
    _blame(connection, last, loss)
    update_job(connection, job_id, granted(loss.retry))
    return "submitted"


def _last_attempt(connection: Connection, job_id: int) -> int | None:
    query = select(attempts.c.id).where(attempts.c.job_id == job_id)
    return connection.scalar(query.order_by(attempts.c.number.desc()).limit(1))


def _blame(connection: Connection, attempt_id: int | None, loss: Loss) -> None:
    """Say in the attempt what it was lost to, also where it was freed by somebody else."""
    values = {"error_class": loss.error_class, "code": loss.code}
    freed = (attempts.c.id == attempt_id) & (attempts.c.outcome == "interrupted")
    connection.execute(update(attempts).where(freed).values(values))


def _may_live(row: dict[str, Any]) -> bool:
    owner = Owner(row["host"], row["pid"], row["started"], row["token"])
    return why_dead(owner, row["heartbeat"]) is None
