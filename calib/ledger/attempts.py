"""Attempts of a job: who works on it, who takes over from the dead, how each try ended."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Update, bindparam, insert, literal_column, select, update

from calib.errors import INTERRUPTED, ConfigError, Interrupted
from calib.grants import Retry
from calib.ids import DatasetId
from calib.ledger.admission import at_work
from calib.ledger.endings import how_ended
from calib.ledger.jobs import find_or_plan, lock_job, move, update_job
from calib.ledger.location import hide_credentials
from calib.ledger.owners import Owner, why_dead
from calib.ledger.schema import attempt as attempts
from calib.ledger.schema import campaign as campaigns
from calib.ledger.schema import job as jobs
from calib.ledger.schema import stage_run as stage_runs
from calib.ledger.states import OUTCOMES, check_transition
from calib.records import Outcome, utc_now

# Made once, as in :mod:`calib.ledger.jobs`.
_NEW = insert(attempts).returning(attempts.c.id)
_ATTEMPT = select(attempts).where(attempts.c.id == bindparam("of_attempt"))
_LOCKED = _ATTEMPT.with_for_update()
# The attempt that is at work: exactly one while the job is processing.
OPEN_ATTEMPT = select(attempts).where(
    attempts.c.job_id == bindparam("of_job"), attempts.c.outcome.is_(None)
)
_ALL_OPEN = select(attempts).where(attempts.c.outcome.is_(None)).order_by(attempts.c.job_id)
_BEAT = (
    update(attempts)
    .where(
        attempts.c.id == bindparam("of_attempt"),
        attempts.c.token == bindparam("of_owner"),
        attempts.c.outcome.is_(None),
    )
    .values(heartbeat_at=bindparam("heartbeat_at"))
)
# The state stands in the text: only then is PostgreSQL sure that the partial index will do.
_SAME_WORK = select(jobs).where(
    jobs.c.work_key == bindparam("of_key"),
    jobs.c.state == literal_column("'processing'"),
    jobs.c.id != bindparam("of_job"),
)
_CAMPAIGN = select(campaigns.c.name).where(campaigns.c.id == bindparam("of_campaign"))


@dataclass(frozen=True)
class Attempt:
    """One try of a job, as its owner holds it.

    Attributes
    ----------
    id, job_id
        Numbers in the ledger.
    dataset
        Name of the dataset.
    number
        First, second... try of the job.
    token
        Proves ownership: an attempt that was taken over writes nothing any more.
    """

    id: int
    job_id: int
    dataset: str
    number: int
    token: str


def submit(
    connection: Connection,
    campaign: str,
    dataset: DatasetId,
    run: str,
    *,
    context: str,
    stale_after: timedelta,
) -> int:
    """Bring a job into ``submitted`` from wherever it rests, entered first if it is new.

    A job that is submitted already stays so. One that is processing is freed if its owner is
    dead.

    Returns
    -------
    int
        The job's number.

    Raises
    ------
    ConfigError
        The campaign or the run is frozen on another context.
    Unavailable
        A live owner is processing it.
    """
    job = find_or_plan(connection, campaign, dataset, run, context)
    if job.state == "processing":
        _free_from_dead(connection, job, stale_after)
    elif job.state != "submitted":
        reason = "asked for" if job.state == "planned" else f"asked for again after {job.state}"
        move(connection, job, "submitted", reason)
    if job.context != context:  # an earlier try, on another context, published nothing
        update_job(connection, job.id, {"context": context})
    return int(job.id)


def begin(connection: Connection, job_id: int, owner: Owner, *, stale_after: timedelta) -> Attempt:
    """Bring a submitted job into ``processing``, with a new attempt of this owner.

    Raises
    ------
    Unavailable
        A live owner is processing it, or the same work in another campaign.
    ConfigError
        It is in another state than ``submitted``, or there is no such job.
    """
    job = lock_job(connection, job_id)
    if job.state == "processing":
        _free_from_dead(connection, job, stale_after)
        job = lock_job(connection, job_id)
    check_transition(job.state, "processing", dataset=job.dataset)
    if job.work_key is not None:
        _free_same_work(connection, job, stale_after)
    number = job.attempts + 1
    attempt_id = connection.scalars(_NEW, _new_attempt(job, number, owner)).one()
    reason = f"attempt {number} by {owner}"
    move(connection, job, "processing", reason, attempt_id=attempt_id, attempts=number)
    return Attempt(attempt_id, job_id, job.dataset, number, owner.token)


def beat(connection: Connection, attempt: Attempt) -> None:
    """Write down that the owner lives.

    Raises
    ------
    Interrupted
        The attempt is closed: taken over, cancelled or finished.
    """
    values = {"of_attempt": attempt.id, "of_owner": attempt.token, "heartbeat_at": utc_now()}
    if connection.execute(_BEAT, values).rowcount != 1:
        check_held(connection, attempt)


def finish(connection: Connection, attempt: Attempt, outcome: Outcome) -> None:
    """Close an attempt, and bring its job into the state of its outcome.

    ``skipped`` with a URI is a dataset that is published already: the job is ``processed``.
    An outcome with a retry brings it back into ``submitted``, with what the next attempt is
    granted. Finishing again with the same outcome changes nothing. A stage run that is still
    open stays so: the stage that finishes the attempt is one, and its owner closes it.

    Raises
    ------
    ConfigError
        The outcome is of another dataset, or its state is not the end of an attempt.
    Interrupted
        The attempt was taken over or cancelled meanwhile; nothing was written.
    """
    _check_outcome(attempt, outcome)
    job = lock_job(connection, attempt.job_id)
    row = connection.execute(_LOCKED, {"of_attempt": attempt.id}).one()
    if _is_closed_with(row, attempt, outcome):
        return
    _check_open(row, attempt)
    published = outcome.state == "skipped" and outcome.uri is not None
    fields: dict[str, Any] = {"error_class": outcome.error_class, "code": outcome.code}
    ended = {"outcome": outcome.state, "warnings": json.dumps(outcome.warnings)}
    _close(connection, attempt.id, message=outcome.reason, **ended, **fields)
    fields |= how_ended(connection, row, outcome.state)
    if outcome.uri is not None:
        fields["uri"] = hide_credentials(outcome.uri)
    state = "processed" if published else outcome.state
    if outcome.retry is None:
        move(connection, job, state, outcome.reason, attempt_id=attempt.id, **fields)
    else:
        submit_again(connection, job, outcome.retry, outcome.reason, attempt.id)


def submit_again(
    connection: Connection, job: Row[Any], retry: Retry, reason: str, attempt_id: int | None
) -> None:
    """Bring a locked job back into ``submitted``, with what its next attempt is granted."""
    reason = f"{reason}: {retry.reason}"
    move(connection, job, "submitted", reason, attempt_id=attempt_id, **granted(retry))


def granted(retry: Retry) -> dict[str, Any]:
    """Return the columns of a job that say what its next attempt may use."""
    return {
        "memory": retry.grant.memory,
        "disk": retry.grant.disk,
        "time_scale": retry.grant.time_scale,
        "retries": json.dumps(retry.grant.retries, sort_keys=True),
    }


def change_state(
    connection: Connection,
    job_id: int,
    state: str,
    reason: str,
    *,
    error_class: str | None = None,
    code: int | None = None,
) -> None:
    """Bring a job into a state from outside: cancelled, synced, archived, a lost worker.

    An attempt that is at work is closed with it: its owner learns so at its next word.

    Raises
    ------
    ConfigError
        The change is illegal, only an attempt can make it, or there is no such job.
    """
    if state == "processing":
        message = "only an attempt brings a job into processing"
        raise ConfigError(message, found=f"job {job_id}")
    job = lock_job(connection, job_id)
    row = connection.execute(OPEN_ATTEMPT, {"of_job": job_id}).one_or_none()
    fields: dict[str, Any] = {"error_class": error_class, "code": code}
    ended = how_ended(connection, row, state) if row else {}
    move(connection, job, state, reason, attempt_id=row.id if row else None, **fields, **ended)
    if row is not None:
        outcome = state if state in OUTCOMES else "interrupted"
        _close(connection, row.id, outcome=outcome, message=reason, **fields)
        _interrupt_stages(connection, row.id, reason)


def free_all_dead(connection: Connection, *, stale_after: timedelta) -> list[Attempt]:
    """Bring the jobs of all dead owners back into ``submitted``, and return their attempts."""
    freed = []
    for job_id in with_dead_owners(connection, stale_after=stale_after):
        job = lock_job(connection, job_id)
        row = connection.execute(OPEN_ATTEMPT, {"of_job": job_id}).one_or_none()
        if row is not None and (death := death_of(row, stale_after)):
            _free(connection, job, row, death)
            freed.append(Attempt(row.id, job_id, job.dataset, row.number, row.token))
    return freed


def with_dead_owners(connection: Connection, *, stale_after: timedelta) -> list[int]:
    """Return the numbers of the jobs whose owners are taken for dead; nothing is locked."""
    rows = connection.execute(_ALL_OPEN).all()
    return [row.job_id for row in rows if death_of(row, stale_after)]


def check_held(connection: Connection, attempt: Attempt) -> None:
    """Refuse to go on with an attempt that is not this owner's any more.

    The attempt's row is locked, so that nobody takes over before the transaction ends.

    Raises
    ------
    Interrupted
        The attempt is closed: taken over, cancelled or finished.
    """
    _check_open(connection.execute(_LOCKED, {"of_attempt": attempt.id}).one(), attempt)


def is_finished(connection: Connection, attempt: Attempt, outcome: Outcome) -> bool:
    """Tell whether this owner's attempt was closed with this outcome before.

    The job is locked first, as by all who close attempts: two never wait for each other.
    """
    lock_job(connection, attempt.job_id)
    row = connection.execute(_ATTEMPT, {"of_attempt": attempt.id}).one()
    return _is_closed_with(row, attempt, outcome)


def _is_closed_with(row: Row[Any], attempt: Attempt, outcome: Outcome) -> bool:
    known = (row.token, row.outcome, row.error_class)
    return bool(known == (attempt.token, outcome.state, outcome.error_class))


def _check_open(row: Row[Any], attempt: Attempt) -> None:
    if row.outcome is not None or row.token != attempt.token:
        message = f"attempt {attempt.number} is closed: {row.message or row.outcome}"
        raise Interrupted(message, dataset=attempt.dataset)


def _free_from_dead(connection: Connection, job: Row[Any], stale_after: timedelta) -> None:
    """Take a job from a dead owner, or refuse because the owner may live."""
    row = connection.execute(OPEN_ATTEMPT, {"of_job": job.id}).one()
    death = death_of(row, stale_after)
    if death is None:
        raise at_work(_owner_of(row), row.started_at, job.dataset)
    _free(connection, job, row, death)


def _free_same_work(connection: Connection, job: Row[Any], stale_after: timedelta) -> None:
    """Take the same work from a dead owner in another campaign, or refuse: it may live."""
    wanted = {"of_key": job.work_key, "of_job": job.id}
    for number in connection.scalars(_SAME_WORK, wanted).all():
        other = lock_job(connection, number)
        row = connection.execute(OPEN_ATTEMPT, {"of_job": number}).one_or_none()
        if row is None:  # it ended while we waited for its lock
            continue
        death = death_of(row, stale_after)
        if death is None:
            campaign = connection.scalar(_CAMPAIGN, {"of_campaign": other.campaign_id})
            raise at_work(_owner_of(row), row.started_at, job.dataset, campaign=campaign)
        _free(connection, other, row, death)


def _free(connection: Connection, job: Row[Any], row: Row[Any], death: str) -> None:
    reason = f"attempt {row.number} was lost: {death}"
    fields = {"error_class": Interrupted.__name__, "code": INTERRUPTED}
    _close(connection, row.id, outcome="interrupted", message=reason, **fields)
    _interrupt_stages(connection, row.id, reason)
    move(connection, job, "submitted", reason, attempt_id=row.id, **fields)


def _close(connection: Connection, attempt_id: int, **fields: Any) -> None:
    fields["message"] = hide_credentials(fields["message"])
    values = {"ended_at": utc_now(), **fields}
    connection.execute(_closing(tuple(values)), {"of_attempt": attempt_id, **values})


@cache
def _closing(names: tuple[str, ...]) -> Update:
    """Return the statement that writes these columns of an attempt."""
    change = update(attempts).where(attempts.c.id == bindparam("of_attempt"))
    return change.values({name: bindparam(name) for name in names})


def _interrupt_stages(connection: Connection, attempt_id: int, reason: str) -> None:
    """Close what an attempt has left open: its owner is dead or stopped."""
    left = update(stage_runs).where(
        stage_runs.c.attempt_id == attempt_id, stage_runs.c.state == "running"
    )
    values = {"state": "interrupted", "ended_at": utc_now(), "error": hide_credentials(reason)}
    connection.execute(left.values(values))


def _new_attempt(job: Row[Any], number: int, owner: Owner) -> dict[str, Any]:
    now = utc_now()
    return {
        "job_id": job.id,
        "number": number,
        "memory": job.memory,
        "time_scale": job.time_scale,
        "host": owner.host,
        "pid": owner.pid,
        "process_started": owner.started,
        "token": owner.token,
        "started_at": now,
        "heartbeat_at": now,
    }


def _owner_of(row: Row[Any]) -> Owner:
    return Owner(row.host, row.pid, row.process_started, row.token)


def death_of(row: Row[Any], stale_after: timedelta) -> str | None:
    """Tell why the owner of an attempt's row is taken for dead; None while it may live."""
    return why_dead(_owner_of(row), row.heartbeat_at, stale_after=stale_after)


def _check_outcome(attempt: Attempt, outcome: Outcome) -> None:
    if outcome.state not in OUTCOMES:
        message = "an attempt cannot end in this state"
        raise ConfigError(
            message,
            dataset=attempt.dataset,
            expected=", ".join(sorted(OUTCOMES)),
            found=outcome.state,
        )
    if outcome.dataset != attempt.dataset:
        message = "the outcome is of another dataset"
        raise ConfigError(message, expected=attempt.dataset, found=outcome.dataset)
