"""Campaigns: their plan, their jobs in chunks, and what an operator wants of them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, func, insert, literal, select, update

from calib.errors import TERMINATED, Cancelled, ConfigError
from calib.ids import DatasetId
from calib.ledger.attempts import change_state
from calib.ledger.jobs import (
    batched,
    check_context,
    ensure_campaign,
    lock_jobs,
    move_all,
    new_job,
    planned,
)
from calib.ledger.schema import campaign as campaigns
from calib.ledger.schema import job as jobs
from calib.ledger.schema import transition as transitions

CONTROLS = ("run", "pause", "cancel")

_CANCELLED = Cancelled.__name__

# States in which a job may be cancelled with nobody at work on it, and may be rescued.
_RESTING = frozenset({"planned", "submitted", "blocked"})
_RESCUABLE = frozenset({"error", "blocked", "cancelled"})


@dataclass(frozen=True, slots=True)
class NewJob:
    """A dataset as a campaign takes it in.

    Attributes
    ----------
    dataset
        Its parsed name.
    work_key
        Names the work: dataset, context, and all that the result depends on.
    memory, disk
        What its first attempt is granted, bytes; None: not limited.
    priority
        Higher ones go first.
    time_scale
        Factor on its time limits.
    overrides
        What the manifest says of it alone.
    """

    dataset: DatasetId
    work_key: str | None = None
    memory: int | None = None
    disk: int | None = None
    priority: int = 0
    time_scale: float = 1.0
    overrides: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Changes:
    """What a rescue changes of a job; None stays as it is."""

    memory: int | None = None
    disk: int | None = None
    time_scale: float | None = None
    priority: int | None = None
    overrides: Mapping[str, Any] | None = None


def set_plan(
    connection: Connection, name: str, *, context: str, plan: str, priority: int = 0
) -> int:
    """Enter a campaign with its plan, or give one that exists a new plan; return its number.

    Raises
    ------
    ConfigError
        The name is empty, or the campaign is frozen on another context.
    """
    number = ensure_campaign(connection, name, context)
    values = {"context": context, "plan": plan, "priority": priority}
    connection.execute(update(campaigns).where(campaigns.c.id == number).values(values))
    return number


def enter_jobs(
    connection: Connection,
    campaign: str,
    wanted: Iterable[NewJob],
    *,
    run: str,
    context: str,
    chunk_size: int,
) -> int:
    """Enter jobs as planned, in chunks; those that exist stay as they are.

    Returns
    -------
    int
        How many are new. They follow those that are there: chunks that are full, or were
        made with another size, stay as they are.

    Raises
    ------
    ConfigError
        The campaign or the run is frozen on another context.
    """
    number = check_context(connection, campaign, run, context)
    there = select(jobs.c.dataset).where(jobs.c.campaign_id == number, jobs.c.run == run)
    known = set(connection.scalars(there))
    last = connection.scalar(select(func.max(jobs.c.position)).where(jobs.c.campaign_id == number))
    first = 0 if last is None else int(last) + 1
    chunk, filled = _next_chunk(connection, number, chunk_size)
    rows = (
        new_job(number, each.dataset, run, context)
        | _placed(each, first + n, chunk + (filled + n) // chunk_size)
        for n, each in enumerate(_unknown(wanted, known))
    )
    before = len(known)
    for some in batched(rows):
        connection.execute(insert(jobs), some)
    _tell_planned(connection, number, first)
    return len(known) - before


def set_control(connection: Connection, campaign: str, control: str) -> None:
    """Say what is wanted of a campaign: ``run``, ``pause`` or ``cancel``.

    Raises
    ------
    ConfigError
        There is no such campaign, or no such wish.
    """
    if control not in CONTROLS:
        message = "not a wish"
        raise ConfigError(message, expected=", ".join(CONTROLS), found=control)
    change = update(campaigns).where(campaigns.c.name == campaign).values(control=control)
    if connection.execute(change).rowcount != 1:
        message = "there is no such campaign"
        raise ConfigError(message, found=campaign)


def cancel_jobs(connection: Connection, numbers: Sequence[int], reason: str) -> int:
    """Cancel jobs that wait or are at work; return how many were.

    The attempt of one at work is closed: its owner learns so at its next word, and stops.
    """
    failed: dict[str, Any] = {"error_class": _CANCELLED, "code": TERMINATED}
    resting = lock_jobs(connection, numbers, _RESTING)
    move_all(connection, resting, "cancelled", reason, **failed)
    at_work = lock_jobs(connection, numbers, {"processing"})
    for job in at_work:
        change_state(connection, job.id, "cancelled", reason, **failed)
    return len(resting) + len(at_work)


def rescue_jobs(
    connection: Connection, numbers: Sequence[int], reason: str, changes: Changes
) -> int:
    """Submit jobs again that ended in an error, are blocked or were cancelled; return how many.

    Their retries are counted anew. Jobs that are finished or at work stay as they are.
    """
    found = lock_jobs(connection, numbers, _RESCUABLE)
    by_overrides: dict[str | None, list[Row[Any]]] = defaultdict(list)
    for job in found:
        by_overrides[job.overrides].append(job)
    for overrides, some in by_overrides.items():
        fields = _changed(overrides, changes)
        move_all(connection, some, "submitted", reason, retries=None, **fields)
    return len(found)


def _unknown(wanted: Iterable[NewJob], known: set[str]) -> Iterator[NewJob]:
    """Yield each job once that is not known yet, and note that it is."""
    for each in wanted:
        if each.dataset.name not in known:
            known.add(each.dataset.name)
            yield each


def _next_chunk(connection: Connection, campaign_id: int, size: int) -> tuple[int, int]:
    """Return the chunk that new jobs go to, and how many are in it.

    That is the last one while it has room, unless the chunk before it shows another size.
    """
    counted = select(jobs.c.chunk, func.count()).where(
        jobs.c.campaign_id == campaign_id, jobs.c.chunk.is_not(None)
    )
    newest = counted.group_by(jobs.c.chunk).order_by(jobs.c.chunk.desc()).limit(2)
    found = [(int(chunk), int(count)) for chunk, count in connection.execute(newest)]
    if not found:
        return 0, 0
    last, count = found[0]
    is_same_size = all(before == size for _, before in found[1:])
    return (last, count) if count < size and is_same_size else (last + 1, 0)


def _tell_planned(connection: Connection, campaign_id: int, first: int) -> None:
    """Begin the history of all jobs from a position on, in one statement."""
    said = planned(0)
    columns = ["job_id", "at", "to_state"]
    new = (jobs.c.campaign_id == campaign_id) & (jobs.c.position >= first)
    rows = select(jobs.c.id, literal(said["at"]), literal(said["to_state"])).where(new)
    connection.execute(insert(transitions).from_select(columns, rows.order_by(jobs.c.id)))


def _placed(wanted: NewJob, place: int, chunk: int) -> dict[str, Any]:
    return {
        "chunk": chunk,
        "position": place,
        "priority": wanted.priority,
        "memory": wanted.memory,
        "disk": wanted.disk,
        "time_scale": wanted.time_scale,
        "overrides": _json(wanted.overrides),
        "work_key": wanted.work_key,
    }


def _json(values: Mapping[str, Any]) -> str | None:
    return json.dumps(dict(values), sort_keys=True) if values else None


def _changed(overrides: str | None, changes: Changes) -> dict[str, Any]:
    values = {
        "memory": changes.memory,
        "disk": changes.disk,
        "time_scale": changes.time_scale,
        "priority": changes.priority,
    }
    found: dict[str, Any] = {key: value for key, value in values.items() if value is not None}
    if changes.overrides is not None:
        merged = json.loads(overrides or "{}") | dict(changes.overrides)
        found["overrides"] = _json(merged)
        found["work_key"] = None  # it named the work with the settings of before
    return found
