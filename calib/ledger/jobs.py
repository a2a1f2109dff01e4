"""Campaigns, jobs and the history of their states, as functions on one transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cache
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import (
    Connection,
    Row,
    Select,
    Table,
    Update,
    bindparam,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from calib.errors import ConfigError
from calib.ids import DatasetId
from calib.ledger.admission import refuse_other_context
from calib.ledger.location import hide_credentials
from calib.ledger.names import check_run_name_free
from calib.ledger.schema import campaign as campaigns
from calib.ledger.schema import job as jobs
from calib.ledger.schema import run as runs
from calib.ledger.schema import transition as transitions
from calib.ledger.states import check_transition
from calib.records import utc_now

T = TypeVar("T")

# Rows of one statement: PostgreSQL takes 65,535 parameters (protocol, Int16 count).
AT_ONCE = 2_000

# A statement that is made once costs a fifth of one that is made for every call, and a campaign
# makes tens of them for each dataset.
_LOCKED_JOB = select(jobs).where(jobs.c.id == bindparam("of_job")).with_for_update()
_ADD_CHANGE = insert(transitions)
_CHANGE = ["job_id", "from_state", "at", "to_state", "reason"]
_SHORT = (jobs.c.id, jobs.c.dataset, jobs.c.state, jobs.c.overrides)
_CONTEXT_OF_RUN = select(runs.c.context).where(runs.c.name == bindparam("of_run"))
_NUMBER_OF_JOB = select(jobs.c.id).where(
    jobs.c.campaign_id == bindparam("of_campaign"),
    jobs.c.dataset == bindparam("of_dataset"),
    jobs.c.run == bindparam("of_run"),
)


def ensure_campaign(connection: Connection, name: str, context: str | None) -> int:
    """Return the number of a campaign, made if it is new.

    Raises
    ------
    ConfigError
        The name is empty, or the campaign is frozen on another context.
    """
    found = _campaign(connection, name, context)
    if context is not None:
        refuse_other_context(f"campaign {name}", found.context, context)
    return int(found.id)


def plan(
    connection: Connection,
    campaign: str,
    datasets: Iterable[DatasetId],
    run: str,
    context: str,
) -> int:
    """Enter jobs as planned, all in one statement; those that exist stay as they are.

    Returns
    -------
    int
        How many are new.

    Raises
    ------
    ConfigError
        The campaign or the run is frozen on another context, or a collection has the name of
        the run.
    """
    campaign_id = check_context(connection, campaign, run, context)
    known = select(jobs.c.dataset).where(jobs.c.campaign_id == campaign_id, jobs.c.run == run)
    there = set(connection.scalars(known))
    new = {dataset.name: dataset for dataset in datasets if dataset.name not in there}
    if new:
        rows = [new_job(campaign_id, dataset, run, context) for dataset in new.values()]
        numbers = connection.scalars(insert(jobs).returning(jobs.c.id), rows).all()
        connection.execute(insert(transitions), [planned(number) for number in numbers])
    return len(new)


def find_or_plan(
    connection: Connection, campaign: str, dataset: DatasetId, run: str, context: str
) -> Row[Any]:
    """Return the locked row of a job, entered as planned if it is new.

    Raises
    ------
    ConfigError
        The campaign or the run is frozen on another context.
    """
    campaign_id = check_context(connection, campaign, run, context)
    new = new_job(campaign_id, dataset, run, context)
    key = {name: new.pop(name) for name in ("campaign_id", "dataset", "run")}
    before = connection.scalar(
        _NUMBER_OF_JOB, {f"of_{name.removesuffix('_id')}": key[name] for name in key}
    )
    number = insert_once(connection, jobs, key, new).id if before is None else before
    if before is None:
        connection.execute(_ADD_CHANGE, planned(number))
    return lock_job(connection, number)


def lock_job(connection: Connection, job_id: int) -> Row[Any]:
    """Return a job's row, which nobody else can change before this transaction ends.

    Raises
    ------
    ConfigError
        There is no such job.
    """
    found = connection.execute(_LOCKED_JOB, {"of_job": job_id}).one_or_none()
    if found is None:
        message = "the ledger has no such job"
        raise ConfigError(message, found=job_id)
    return found


def move(
    connection: Connection,
    job: Row[Any],
    state: str,
    reason: str,
    *,
    attempt_id: int | None = None,
    **fields: Any,
) -> None:
    """Bring a locked job into another state, and add the change to its history.

    Parameters
    ----------
    job
        The row as :func:`lock_job` gave it.
    state, reason
        The next state, and why, for people.
    attempt_id
        The attempt that caused it.
    **fields
        Other columns of the job; the error class, code and stage of before are forgotten.

    Raises
    ------
    ConfigError
        The change is illegal; nothing was written.
    """
    check_transition(job.state, state, dataset=job.dataset)
    now, reason = utc_now(), hide_credentials(reason)
    values = {"error_class": None, "code": None, "failed_stage": None, **fields}
    values |= {"state": state, "reason": reason, "updated_at": now}
    update_job(connection, job.id, values)
    change = {"job_id": job.id, "attempt_id": attempt_id, "at": now, "reason": reason}
    change |= {"from_state": job.state, "to_state": state}
    connection.execute(_ADD_CHANGE, change)


def move_all(
    connection: Connection, found: Sequence[Row[Any]], state: str, reason: str, **fields: Any
) -> None:
    """Bring many locked jobs that nobody is at work on into another state, as :func:`move`.

    Parameters
    ----------
    found
        Their rows: id, state and dataset are enough.
    state, reason, **fields
        As there, the same for all.

    Raises
    ------
    ConfigError
        The change is illegal for one of them; nothing was written.
    """
    for job in found:
        check_transition(job.state, state, dataset=job.dataset)
    now, reason = utc_now(), hide_credentials(reason)
    values = {"error_class": None, "code": None, "failed_stage": None, **fields}
    values |= {"state": state, "reason": reason, "updated_at": now}
    said = (literal(now), literal(state), literal(reason))
    for some in batched(found):
        these = jobs.c.id.in_([job.id for job in some])
        told = select(jobs.c.id, jobs.c.state, *said).where(these).order_by(jobs.c.id)
        connection.execute(insert(transitions).from_select(_CHANGE, told))
        connection.execute(update(jobs).where(these).values(values))


def lock_jobs(
    connection: Connection, numbers: Sequence[int], states: Collection[str]
) -> list[Row[Any]]:
    """Return the rows of those jobs that are in some states, locked as by :func:`lock_job`.

    They have the columns id, dataset, state and overrides.
    """
    found: list[Row[Any]] = []
    for some in batched(numbers):
        these = jobs.c.id.in_(some) & jobs.c.state.in_(states)
        # In one order: two who lock the same jobs wait for each other, and do not block.
        query = select(*_SHORT).where(these).order_by(jobs.c.id).with_for_update()
        found += connection.execute(query).all()
    return found


def update_job(connection: Connection, job_id: int, values: dict[str, Any]) -> None:
    """Write columns of a job; its state is changed by :func:`move` alone."""
    connection.execute(_update_of(tuple(values)), {"of_job": job_id, **values})


def insert_once(
    connection: Connection, table: Table, key: dict[str, Any], values: dict[str, Any]
) -> Row[Any]:
    """Return the row with a unique key, inserted if it is new.

    Another process may insert it at the same moment (PostgreSQL): then its row counts.
    """
    query, named = _row_of(table, tuple(key)), {f"of_{name}": key[name] for name in key}
    found = connection.execute(query, named).one_or_none()
    if found is not None:
        return found
    try:
        with connection.begin_nested():
            connection.execute(insert(table), {**key, **values})
    except IntegrityError:
        return connection.execute(query, named).one()
    return connection.execute(query, named).one()


def new_job(campaign_id: int, dataset: DatasetId, run: str, context: str) -> dict[str, Any]:
    """Return the row of a job that is planned."""
    now = utc_now()
    return {
        "campaign_id": campaign_id,
        "dataset": dataset.name,
        "kind": dataset.kind,
        "instrument": dataset.instrument,
        "run": run,
        "context": context,
        "state": "planned",
        "attempts": 0,
        "created_at": now,
        "updated_at": now,
    }


def planned(job_id: int) -> dict[str, Any]:
    """Return the first change of a job."""
    return {"job_id": job_id, "at": utc_now(), "from_state": None, "to_state": "planned"}


def check_context(connection: Connection, campaign: str, run: str, context: str) -> int:
    """Refuse a request on another context than that of its campaign or run.

    Returns
    -------
    int
        The campaign's number; it is entered if it is new.

    Raises
    ------
    ConfigError
        As said, or a collection has the name of the run.
    """
    found = _campaign(connection, campaign, None)
    refuse_other_context(f"campaign {campaign}", found.context, context)
    written = connection.scalar(_CONTEXT_OF_RUN, {"of_run": run})
    if written is None:
        check_run_name_free(connection, run)
    refuse_other_context(f"run {run}", written, context)
    return int(found.id)


def _campaign(connection: Connection, name: str, context: str | None) -> Row[Any]:
    if not name:
        message = "a campaign needs a name"
        raise ConfigError(message)
    values = {"context": context, "created_at": utc_now()}
    return insert_once(connection, campaigns, {"name": name}, values)


@cache
def _update_of(names: tuple[str, ...]) -> Update:
    """Return the statement that writes these columns of a job."""
    change = update(jobs).where(jobs.c.id == bindparam("of_job"))
    return change.values({name: bindparam(name) for name in names})


@cache
def _row_of(table: Table, names: tuple[str, ...]) -> Select[Any]:
    """Return the question for the row of a table with these columns."""
    return select(table).where(*(table.c[name] == bindparam(f"of_{name}") for name in names))


def batched(items: Iterable[T]) -> Iterator[list[T]]:
    """Yield what there is in parts that one statement can hold."""
    left = iter(items)
    while some := list(islice(left, AT_ONCE)):
        yield some
