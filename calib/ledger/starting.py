"""Beginning a job in one transaction: entered, submitted and begun, or refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row

from calib.errors import Cancelled, Interrupted, WorkerLost
from calib.ids import DatasetId
from calib.ledger.attempts import OPEN_ATTEMPT, Attempt, begin, death_of
from calib.ledger.jobs import find_or_plan, move, update_job
from calib.ledger.owners import Owner


@dataclass(frozen=True)
class Start:
    """Which job is to be begun.

    Attributes
    ----------
    campaign, dataset, run, context
        What names it, and the context that it is for.
    work_key
        Names the work, whatever campaign it is for; None: as the ledger has it.
    is_supervised
        It belongs to a campaign that is at work: what was cancelled or ended meanwhile is not
        begun again.
    attempts
        How many were begun when it was handed out; None: any. Where one was begun since, a
        scheduler has given the job to a second worker: whoever handed it out decides.
    """

    campaign: str
    dataset: DatasetId
    run: str
    context: str
    work_key: str | None = None
    is_supervised: bool = False
    attempts: int | None = None


def start(
    connection: Connection, wanted: Start, owner: Owner, *, stale_after: timedelta
) -> Attempt:
    """Submit a job and begin an attempt of it.

    Raises
    ------
    ConfigError
        The campaign or the run is frozen on another context.
    Unavailable
        A live owner is processing it, or the same work in another campaign.
    Interrupted
        It is supervised, and ended or was begun meanwhile; Cancelled where an operator did that.
    WorkerLost
        It was begun meanwhile, and that attempt was lost.
    """
    known = (wanted.campaign, wanted.dataset, wanted.run, wanted.context)
    job = find_or_plan(connection, *known)
    if wanted.is_supervised:
        _refuse_ended(job)
        _refuse_begun(connection, job, wanted, stale_after)
    values = {"context": wanted.context, "work_key": wanted.work_key or job.work_key}
    if values != {"context": job.context, "work_key": job.work_key}:
        update_job(connection, job.id, values)
    if job.state not in {"submitted", "processing"}:
        reason = "asked for" if job.state == "planned" else f"asked for again after {job.state}"
        move(connection, job, "submitted", reason)
    return begin(connection, job.id, owner, stale_after=stale_after)


def _refuse_ended(job: Row[Any]) -> None:
    if job.state in {"planned", "submitted", "processing"}:
        return
    kind = Cancelled if job.state == "cancelled" else Interrupted
    message = f"the job is {job.state} meanwhile: {job.reason}"
    raise kind(message, dataset=job.dataset)


def _refuse_begun(
    connection: Connection, job: Row[Any], wanted: Start, stale_after: timedelta
) -> None:
    """Refuse a job that was begun since it was handed out; of a live owner, `begin` tells."""
    if wanted.attempts in {None, job.attempts}:
        return
    row = connection.execute(OPEN_ATTEMPT, {"of_job": job.id}).one_or_none()
    death = death_of(row, stale_after) if row is not None else None
    if row is not None and death is None:
        return
    if row is not None or job.error_class == Interrupted.__name__:
        message = f"attempt {job.attempts} was lost: {death or job.reason}"
        raise WorkerLost(message, dataset=job.dataset)
    message = f"attempt {job.attempts} was begun since the job was handed out"
    raise Interrupted(message, dataset=job.dataset)
