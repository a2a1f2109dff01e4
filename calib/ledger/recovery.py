"""Rows that a ledger has lost, or another one has, written anew from what manifests say.

Nothing that is there is changed: a publication gets a job, an attempt and what it used only
where the ledger does not know it. Attempts that published nothing left no manifest, and stay
lost.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Table, and_, bindparam, insert, select, update

from calib.errors import ConfigError
from calib.ids import DatasetId
from calib.ledger.fitness import refuse_unfit
from calib.ledger.ingested import (
    KIND,
    Origin,
    add_data_ids,
    add_origins,
    ensure_ingested_run,
    enter_data_ids,
    rows_of_dataset,
)
from calib.ledger.jobs import ensure_campaign, insert_once, new_job
from calib.ledger.location import hide_credentials
from calib.ledger.names import check_run_name_free
from calib.ledger.publications import (
    Published,
    record_members,
    record_publications,
)
from calib.ledger.registry import (
    HEADER_KEY,
    header_row,
    input_rows,
    reference_rows,
    run_row,
)
from calib.ledger.schema import attempt as attempts
from calib.ledger.schema import campaign as campaigns
from calib.ledger.schema import exposure_header as exposure_headers
from calib.ledger.schema import input_used as inputs_used
from calib.ledger.schema import job as jobs
from calib.ledger.schema import publication as publications
from calib.ledger.schema import reference_used as references_used
from calib.ledger.schema import run as runs
from calib.ledger.schema import transition as transitions
from calib.ledger.upsert import insert_absent
from calib.records import DataId, InputFile, Member, References

# The campaign of jobs whose own is not known.
CAMPAIGN = "rebuilt"

_REASON = "rebuilt from the manifest"


@dataclass(frozen=True)
class Recovered:
    """A publication as its manifest tells it.

    Attributes
    ----------
    id
        The dataset.
    published
        What was published.
    origin
        Context, engine and its version, as the run has them.
    is_ingested
        Whether it was made elsewhere: then there is no job.
    is_put
        Whether somebody put it there: what is known of its exposures stays as it is.
    campaign
        The campaign that it was made in.
    parameters
        What a user set.
    source
        Where the inputs came from.
    inputs, references
        What it was made from.
    data_ids, members
        What it shows.
    """

    id: DatasetId
    published: Published
    origin: Origin
    is_ingested: bool
    is_put: bool = False
    campaign: str = CAMPAIGN
    parameters: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    inputs: tuple[InputFile, ...] = ()
    references: References = field(default_factory=lambda: References("", "", ()))
    data_ids: tuple[DataId, ...] = ()
    members: tuple[Member, ...] = ()


def known_manifests(connection: Connection, run: str) -> dict[str, str | None]:
    """Return the checksums of the manifests that the ledger knows of a run, by dataset."""
    query = (
        select(publications.c.dataset, publications.c.manifest_sha256)
        .join(runs, runs.c.id == publications.c.run_id)
        .where(runs.c.name == run, publications.c.removed_at.is_(None))
    )
    return {row.dataset: row.manifest_sha256 for row in connection.execute(query)}


def check_lengths(found: Recovered) -> None:
    """Refuse what no column holds: PostgreSQL would refuse all rows with it.

    Raises
    ------
    ArchiveError
        The manifest says something that ours do not.
    """
    rows = [
        *((inputs_used, row) for row in _inputs(found, 0)),
        *((references_used, row) for row in reference_rows(0, found.references)),
        *((exposure_headers, row) for row in _headers(found)),
        (campaigns, {"name": found.campaign}),
        *rows_of_dataset(found.published.files, found.data_ids, found.members, found.origin),
    ]
    refuse_unfit(found.id.name, rows)


def ensure_recovered_run(connection: Connection, found: Recovered, output: str) -> None:
    """Make the run of a publication where it is not there; one that is stays as it is.

    Raises
    ------
    ConfigError
        A run of another kind, or a collection, has the name.
    """
    name, origin = found.published.run, found.origin
    if found.is_ingested:
        ensure_ingested_run(connection, name, output)
        add_origins(connection, name, {origin})
        return
    values = {
        **vars(origin),
        "kind": "processed",
        "parameters": json.dumps(found.parameters, sort_keys=True),
        "output": hide_credentials(output),
        "created_at": found.published.published_at,
    }
    check_run_name_free(connection, name)
    row = insert_once(connection, runs, {"name": name}, values)
    if row.kind == KIND:
        message = "what this run of the ledger holds was ingested"
        raise ConfigError(message, expected="a processed run", found=name)


def add_recovered(connection: Connection, found: Sequence[Recovered]) -> int:
    """Write publications down, with jobs, inputs and references; their runs exist.

    Parameters
    ----------
    found
        No two of the same run and dataset, none that the ledger knows.

    Returns
    -------
    int
        How many are new.

    Raises
    ------
    ArchiveError
        The ledger knows one by now, with other content.
    """
    new = record_publications(connection, [each.published for each in found])
    made = [each for each in found if not each.is_ingested]
    numbers = _add_jobs(connection, made)
    for each, number in zip(made, numbers, strict=True):
        if number is not None:
            _insert(connection, inputs_used, _inputs(each, number))
            _insert(connection, references_used, reference_rows(number, each.references))
        insert_absent(connection, exposure_headers, _headers(each), HEADER_KEY)
    _link_attempts(connection, zip(made, numbers, strict=True))
    _add_data_ids(connection, found)
    return new


def _add_data_ids(connection: Connection, found: Sequence[Recovered]) -> None:
    said = [one for each in found if not each.is_put for one in each.data_ids]
    enter_data_ids(connection, said)
    add_data_ids(connection, [one for each in found if each.is_put for one in each.data_ids])
    for each in found:
        if each.members:
            record_members(connection, each.id.name, each.members)


def _add_jobs(connection: Connection, found: Sequence[Recovered]) -> list[int | None]:
    """Enter a job with one attempt for each; give the attempts, None where a job is there."""
    numbers: list[int | None] = []
    named = {name: ensure_campaign(connection, name, None) for name in _campaigns(found)}
    there = _jobs_there(connection, found)
    for each in found:
        key = (each.id.name, each.published.run)
        free = [name for name in (each.campaign, CAMPAIGN) if (named[name], *key) not in there]
        numbers.append(_add_job(connection, named[free[0]], each) if free else None)
    return numbers


def _campaigns(found: Iterable[Recovered]) -> list[str]:
    return sorted({each.campaign for each in found} | {CAMPAIGN})


def _jobs_there(connection: Connection, found: Sequence[Recovered]) -> set[tuple[int, str, str]]:
    names = {each.published.run for each in found}
    query = select(jobs.c.campaign_id, jobs.c.dataset, jobs.c.run).where(jobs.c.run.in_(names))
    return {(row.campaign_id, row.dataset, row.run) for row in connection.execute(query)}


def _add_job(connection: Connection, campaign_id: int, each: Recovered) -> int:
    at = each.published.published_at
    job = {
        **new_job(campaign_id, each.id, each.published.run, each.origin.context),
        "state": "processed",
        "attempts": 1,
        "reason": _REASON,
        "code": 0,
        "uri": hide_credentials(each.published.uri),
        "created_at": at,
        "updated_at": at,
    }
    job_id = connection.scalars(insert(jobs).returning(jobs.c.id), job).one()
    attempt = {
        "job_id": job_id,
        "number": 1,
        "host": "",
        "pid": 0,
        "process_started": 0.0,
        "token": secrets.token_hex(16),
        "started_at": at,
        "heartbeat_at": at,
        "ended_at": at,
        "outcome": "processed",
        "code": 0,
        "message": _REASON,
        "warnings": "[]",
    }
    number = connection.scalars(insert(attempts).returning(attempts.c.id), attempt).one()
    change = {"job_id": job_id, "attempt_id": number, "at": at, "to_state": "processed"}
    connection.execute(insert(transitions), {**change, "reason": _REASON})
    return int(number)


def _link_attempts(connection: Connection, found: Iterable[tuple[Recovered, int | None]]) -> None:
    pairs = [*found]
    names = {each.published.run for each, _ in pairs}
    numbers = {run: run_row(connection, run).id for run in names}
    rows = [
        {"of_run": numbers[each.published.run], "of": each.id.name, "number": number}
        for each, number in pairs
        if number is not None
    ]
    mine = and_(
        publications.c.run_id == bindparam("of_run"),
        publications.c.dataset == bindparam("of"),
        publications.c.attempt_id.is_(None),
    )
    if rows:
        statement = update(publications).where(mine).values(attempt_id=bindparam("number"))
        connection.execute(statement, rows)


def _insert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), list(rows))


def _inputs(each: Recovered, attempt_id: int) -> list[dict[str, Any]]:
    return input_rows(attempt_id, each.inputs, each.source)


def _headers(each: Recovered) -> list[dict[str, Any]]:
    told, at = each.references, each.published.published_at
    return [header_row(each.id.name, one, told.context, at) for one in told.exposures]
