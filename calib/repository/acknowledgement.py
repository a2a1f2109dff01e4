"""What an archive says of products that it was given: synced, archived, or failed.

The archive is whoever takes the products away from the output: a poller, a person. Its word
moves the job on (``processed`` -> ``synced`` -> ``archived``), or into ``error`` with class
ArchiveError, code 25 and its own words. Saying the same again changes nothing. A job that is at
work again is left alone. Products stay where they are, whatever it says.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, Row, Select, and_, select

from calib.archive.messages import find_style, message_folder, write_message
from calib.errors import ARCHIVE, ArchiveError, ConfigError
from calib.ids import DatasetId, parse_dataset
from calib.ledger.attempts import change_state
from calib.ledger.jobs import lock_job
from calib.ledger.ledger import Ledger
from calib.ledger.schema import campaign, current_run, job, publication, run

log = logging.getLogger(__name__)

Word = Literal["synced", "archived", "failed"]

# States of a job that makes new products, or is about to: the archive's word is about the old.
_AT_WORK = frozenset({"submitted", "processing"})

# Datasets in one transaction: some tenths of a second, in which other writers wait.
_AT_ONCE = 500

# The state that each word leads to.
_STATES: dict[Word, str] = {"synced": "synced", "archived": "archived", "failed": "error"}

# Further states that say the same, or more.
_AFTER = {"synced": frozenset({"synced", "archived"}), "archived": frozenset({"archived"})}


@dataclass(frozen=True)
class Acknowledged:
    """What became of one acknowledgement.

    Attributes
    ----------
    dataset
        As it was named.
    campaign, run, state
        The job that it is about, the run that its products are in, and its state now; None
        where there is no such job.
    is_new
        False where the ledger knew it before.
    refusal
        Why it could not be taken; empty where it was.
    """

    dataset: str
    campaign: str | None = None
    run: str | None = None
    state: str | None = None
    is_new: bool = False
    refusal: str = ""


def acknowledge(
    ledger: Ledger,
    word: Word,
    datasets: Sequence[str],
    *,
    work: Path,
    campaign: str | None = None,
    run: str | None = None,
    message: str = "",
) -> Iterator[Acknowledged]:
    """Take an archive's word on datasets, some hundreds in one transaction.

    It is about the jobs whose products are the current version (or that in `run`). Where a
    dataset has message files, they follow after the commit.

    Parameters
    ----------
    ledger
        Where the jobs are.
    word
        ``synced``, ``archived`` or ``failed``.
    datasets
        Names; one that is none, or that the ledger does not know, is refused alone.
    work
        Work folder, where message files of outputs that are no folders are.
    campaign, run
        Only jobs of this campaign; only products of this run.
    message
        What the archive says: the reason in the history.

    Yields
    ------
    Acknowledged
        One for each job concerned, or for a name without a job.
    """
    reason = message or {"failed": "the archive could not take it"}.get(
        word, f"{word} by the archive"
    )
    names = [*dict.fromkeys(datasets)]
    for start in range(0, len(names), _AT_ONCE):
        some = names[start : start + _AT_ONCE]
        told = ledger.write(lambda c: _tell(c, word, some, (campaign, run), reason))  # noqa: B023 - called at once
        for said, found in told:
            if found is not None and not said.refusal and said.state == _STATES[word]:
                _write_message(ledger, word, found, reason, work)
            yield said


def _tell(
    connection: Connection,
    word: Word,
    names: Sequence[str],
    wanted: tuple[str | None, str | None],
    reason: str,
) -> list[tuple[Acknowledged, Row[Any] | None]]:
    """Change the states of jobs; what cannot be changed is refused, the rest goes on."""
    parsed = {name: _parse(name) for name in names}
    found = _jobs(connection, [each.name for each in parsed.values() if each], *wanted)
    told: list[tuple[Acknowledged, Row[Any] | None]] = []
    for name, dataset in parsed.items():
        if dataset is None:
            told.append((Acknowledged(name, refusal="not the name of a dataset"), None))
        elif jobs := found.get(dataset.name):
            told += [(_tell_one(connection, word, each, reason), each) for each in jobs]
        else:
            told.append((Acknowledged(dataset.name, refusal=_why_none(*wanted)), None))
    return told


def _tell_one(connection: Connection, word: Word, found: Row[Any], reason: str) -> Acknowledged:
    job = lock_job(connection, found.id)  # it may have moved since it was looked for
    about = Acknowledged(found.dataset, found.campaign, found.run, job.state)
    state = _STATES[word]
    if job.state in _AT_WORK:
        return replace(about, refusal=f"a job is at work on it again ({job.state})")
    if job.state in _AFTER.get(word, ()) or _has_failed(word, job):
        return about
    kind, code = (ArchiveError.__name__, ARCHIVE) if word == "failed" else (None, None)
    try:
        change_state(connection, found.id, state, reason, error_class=kind, code=code)
    except ConfigError as error:
        return replace(about, refusal=error.message)
    return replace(about, state=state, is_new=True)


def _has_failed(word: Word, job: Row[Any]) -> bool:
    is_ours = (job.state, job.error_class) == ("error", ArchiveError.__name__)
    return word == "failed" and is_ours


def _parse(name: str) -> DatasetId | None:
    try:
        return parse_dataset(name)
    except ConfigError:
        return None


def _why_none(campaign_name: str | None, run_name: str | None) -> str:
    where = f" in campaign {campaign_name}" if campaign_name else ""
    return f"no job{where} has products {f'in run {run_name}' if run_name else 'of it'}"


def _jobs(
    connection: Connection, names: Sequence[str], campaign_name: str | None, run_name: str | None
) -> dict[str, list[Row[Any]]]:
    """Return the jobs that an acknowledgement is about, by dataset."""
    found: dict[str, list[Row[Any]]] = {}
    for row in connection.execute(_query(names)):
        if campaign_name in {None, row.campaign} and run_name in {None, row.run}:
            found.setdefault(row.dataset, []).append(row)
    if run_name is None:
        return {name: _current(those) for name, those in found.items()}
    return found


def _query(names: Sequence[str]) -> Select[Any]:
    """Select the jobs with products; a job knows these by their URI."""
    place = and_(publication.c.dataset == job.c.dataset, publication.c.uri == job.c.uri)
    shown = current_run.c.dataset == job.c.dataset
    tables = (
        job.join(campaign)
        .join(publication, place)
        .join(run, run.c.id == publication.c.run_id)
        .outerjoin(current_run, shown)
    )
    columns = (
        job.c.id,
        job.c.dataset,
        campaign.c.name.label("campaign"),
        run.c.name.label("run"),
        run.c.output,
        publication.c.id.label("publication_id"),
        (current_run.c.run_id == run.c.id).label("is_current"),
    )
    query = select(*columns).select_from(tables).where(job.c.dataset.in_(names))
    return query.order_by(job.c.updated_at, job.c.id)


def _current(jobs: Sequence[Row[Any]]) -> list[Row[Any]]:
    """Return the jobs whose products are current; else those of the run that changed last."""
    return [each for each in jobs if each.is_current] or [
        each for each in jobs if each.run == jobs[-1].run
    ]


def _write_message(ledger: Ledger, word: Word, found: Row[Any], reason: str, work: Path) -> None:
    """Write the message file, in the style and place of those that the dataset has.

    One that cannot be written is a warning: the ledger is the truth.
    """
    folder = message_folder(found.output, work)
    style = find_style(folder, found.dataset)
    if style is None:
        return
    state = _STATES[word]
    lines = [reason] if word == "failed" else _names(ledger, found.publication_id)
    try:
        write_message(folder, style, state, found.dataset, lines)
    except ArchiveError as error:
        log.warning("the message file was not written: %s", error)


def _names(ledger: Ledger, publication_id: int) -> list[str]:
    query = "SELECT name FROM product WHERE publication_id = :id ORDER BY name"
    return ledger.ask(lambda rows: [row["name"] for row in rows(query, {"id": publication_id})])
