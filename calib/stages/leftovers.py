"""What campaigns leave in the work folder, and which of it may go.

A published dataset's folder is removed at once; what is left belongs to jobs that failed, were
cancelled, were asked to keep it, or whose process died. Folders are looked at first and the
ledger asked about each: what is left over is little, however many jobs there were.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psutil
from sqlalchemy import Connection, select

from calib.archive.messages import message_folder, messages_of
from calib.ledger.campaign_reports import LEFT, JobSelection, campaigns
from calib.ledger.ledger import Ledger
from calib.ledger.owners import this_host
from calib.ledger.reports import Rows
from calib.ledger.schema import job as jobs
from calib.ledger.states import FINISHED
from calib.stages.scratch import lies_in
from calib.stages.workplaces import BUNDLES, DASK, SESSIONS, SKIPPED, TAKEN

Kind = Literal["work", "bundle", "dask", "messages", "logs", "removed"]

# What a clean-up that was interrupted has renamed and not removed.
_REMOVED = ".removed-"

_OF_PROCESS = re.compile(r"(?P<host>.+)-(?P<pid>\d+)")


@dataclass(frozen=True)
class Leftover:
    """Something in the work folder.

    Attributes
    ----------
    kind
        ``work`` (finished stages of a dataset), ``bundle`` (what a failure left to look at),
        ``dask`` (scratch of a dead process), ``messages`` (message files of a dataset), ``logs``
        (of sessions in the background) or ``removed`` (half of a clean-up that was interrupted).
    paths
        The folder, or the files.
    size
        Bytes.
    dataset, run, state
        Of its job; None where it has none.
    why
        Why it may go, or stays.
    """

    kind: Kind
    paths: tuple[Path, ...]
    size: int
    dataset: str | None
    run: str | None
    state: str | None
    why: str


@dataclass(frozen=True)
class CleanPlan:
    """What would go and what stays."""

    going: tuple[Leftover, ...]
    staying: tuple[Leftover, ...]

    @property
    def freed(self) -> int:
        """Bytes that would go."""
        return sum(each.size for each in self.going)


@dataclass(frozen=True)
class Wish:
    """What an operator wants to be rid of.

    Attributes
    ----------
    selection
        Whose leftovers; an empty one means everybody's, Dask's scratch included.
    messages
        Also the message files of finished jobs.
    force
        Also unpublished work of jobs that failed or are blocked.
    """

    selection: JobSelection = field(default_factory=JobSelection)
    messages: bool = False
    force: bool = False


_JOBS = """
SELECT job.id AS id, campaign.name AS campaign, job.instrument AS instrument,
  job.state AS state, job.uri AS uri, job.updated_at AS updated_at
FROM job JOIN campaign ON campaign.id = job.campaign_id
WHERE job.dataset = :dataset AND job.run = :run ORDER BY job.id
"""

_BUSY = """
SELECT COUNT(*) AS number FROM job
WHERE run = :run AND state IN ('planned', 'submitted', 'processing')
"""

_JOBS_OF_DATASET = """
SELECT job.id AS id, campaign.name AS campaign, job.dataset AS dataset,
  job.instrument AS instrument, job.run AS run, job.state AS state, job.uri AS uri,
  job.updated_at AS updated_at, run.output AS output
FROM job JOIN campaign ON campaign.id = job.campaign_id
  LEFT JOIN run ON run.name = job.run
WHERE job.dataset = :dataset ORDER BY job.id
"""

_OUTPUTS = "SELECT DISTINCT output FROM run"


def plan_clean(rows: Rows, work: Path, wish: Wish) -> CleanPlan:
    """Look at the work folder, and say of everything in it whether it may go.

    Parameters
    ----------
    rows
        Asks the ledger.
    work
        The work folder.
    wish
        What an operator wants to be rid of.

    Returns
    -------
    CleanPlan
        What is not in the selection is in neither list. Nothing was touched.
    """
    found = [*_folders(rows, work, wish)]
    if wish.selection == JobSelection():
        found += _scratch(work)
    found += _logs(rows, work, wish.selection)
    if wish.messages:
        found += _messages(rows, work, wish.selection)
    going = tuple(each for may_go, each in found if may_go)
    return CleanPlan(going, tuple(each for may_go, each in found if not may_go))


def remove(leftover: Leftover, ledger: Ledger) -> str | None:
    """Remove what is left over; return why it could not be, None where it is gone.

    A job's folder is taken away while its job is locked: an attempt that begins meanwhile
    finds the whole folder or none, and one that has begun keeps it.
    """
    try:
        if leftover.kind in {"work", "bundle"}:
            return _remove_folder(leftover, ledger)
        for path in leftover.paths:
            _remove_path(path)
        if leftover.kind in {"dask", "logs"}:
            _remove_if_empty(leftover.paths[0].parent)
    except OSError as error:
        return error.strerror or str(error)
    return None


def _remove_folder(leftover: Leftover, ledger: Ledger) -> str | None:
    (path,) = leftover.paths
    aside = path.with_name(f"{_REMOVED}{path.name}-{os.getpid()}")

    def take_away(connection: Connection) -> bool:
        mine = (jobs.c.dataset == leftover.dataset) & (jobs.c.run == leftover.run)
        query = select(jobs.c.state, jobs.c.uri).where(mine).with_for_update()
        for state, uri in connection.execute(query):
            if state in LEFT or (uri and lies_in(uri, path)):
                return False
        if path.exists():  # not where a conflict of the database has us do it again
            path.rename(aside)
        return True

    if not ledger.write(take_away):
        return "its job has gone on meanwhile"
    _remove_path(aside)
    if ledger.ask(lambda rows: rows(_BUSY, {"run": leftover.run}))[0]["number"] == 0:
        _remove_if_empty(path.parent)
    if leftover.kind == "bundle":
        _remove_if_empty(path.parent.parent)
    return None


def _remove_path(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):  # something is in it, or it is gone
        folder.rmdir()


def _folders(rows: Rows, work: Path, wish: Wish) -> Iterator[tuple[bool, Leftover]]:
    """Yield the folders of datasets, in runs and among the bundles of what has no products."""
    runs = [each for each in _subfolders(work) if each.name not in TAKEN]
    places: list[tuple[Kind, Path]] = [("work", run) for run in runs]
    bundles = (work / BUNDLES, work / SKIPPED)
    places += [("bundle", run) for kept in bundles for run in _subfolders(kept)]
    for kind, run in places:
        for folder in _subfolders(run):
            if folder.name.startswith(_REMOVED):
                why = "a clean-up was interrupted"
                yield True, Leftover("removed", (folder,), size_of(folder), None, None, None, why)
            elif found := _judged(rows, kind, folder, wish):
                yield found


def _judged(rows: Rows, kind: Kind, folder: Path, wish: Wish) -> tuple[bool, Leftover] | None:
    """Say whether a dataset's folder may go; None where nobody asked about it."""
    of_folder = {"dataset": folder.name, "run": folder.parent.name}
    found = rows(_JOBS, of_folder)
    chosen = [job for job in found if _is_chosen(job, wish.selection)]
    if not chosen:
        return None
    may_go, why = _verdict(found, folder, force=wish.force)
    leftover = Leftover(
        kind, (folder,), size_of(folder), state=chosen[-1]["state"], why=why, **of_folder
    )
    return may_go, leftover


def _verdict(found: Sequence[dict[str, Any]], folder: Path, *, force: bool) -> tuple[bool, str]:
    states = {job["state"] for job in found}
    if states & set(LEFT):
        return False, "its job is to run or at work: cancel it first"
    if any(job["uri"] and lies_in(job["uri"], folder) for job in found):
        return False, "its products are here: there was no other output"
    if states & {"error", "blocked"} and not force:
        return False, "a rescue goes on from here: --force removes it"
    if states <= FINISHED:
        return True, "its job is finished"
    return True, f"its job is {', '.join(sorted(states - FINISHED))}"


def _is_chosen(job: dict[str, Any], selection: JobSelection) -> bool:
    tests = (
        selection.campaign is None or job["campaign"] == selection.campaign,
        not selection.states or job["state"] in selection.states,
        not selection.instruments or job["instrument"] in selection.instruments,
        selection.older_than is None or job["updated_at"] < selection.older_than,
    )
    return all(tests)


def _scratch(work: Path) -> Iterator[tuple[bool, Leftover]]:
    """Yield Dask's folders, which a live process of a campaign removes itself at its end."""
    for folder in _subfolders(work / DASK):
        found = _OF_PROCESS.fullmatch(folder.name)
        if found is None:
            continue
        is_here = found["host"] == this_host()
        gone = is_here and not psutil.pid_exists(int(found["pid"]))
        dead = f"process {found['pid']} has ended"
        why = dead if gone else "its process may live"
        yield gone, Leftover("dask", (folder,), size_of(folder), None, None, None, why)


def _logs(rows: Rows, work: Path, selection: JobSelection) -> Iterator[tuple[bool, Leftover]]:
    """Yield the logs of campaigns in the background; those of a live session stay."""
    if selection.states or selection.instruments:  # a log is of all jobs
        return
    for folder in _subfolders(work / SESSIONS):
        campaign = next(iter(campaigns(rows, folder.name)), None)
        if campaign is None or selection.campaign not in {None, folder.name}:
            continue
        session = campaign.session
        last = campaign.created_at if session is None else session.heartbeat_at
        if selection.older_than is not None and last >= selection.older_than:
            continue
        is_over = session is None or not session.is_live
        why = "its session has ended" if is_over else "its session is at work"
        yield is_over, Leftover("logs", (folder,), size_of(folder), None, None, None, why)


def _messages(rows: Rows, work: Path, selection: JobSelection) -> Iterator[tuple[bool, Leftover]]:
    """Yield the message files of datasets of which every job is finished."""
    outputs = [row["output"] for row in rows(_OUTPUTS, {})]
    for folder in sorted({message_folder(output, work) for output in (*outputs, None)}):
        for dataset, paths in messages_of(folder).items():
            found = rows(_JOBS_OF_DATASET, {"dataset": dataset})
            here = [job for job in found if message_folder(job["output"], work) == folder]
            chosen = [job for job in here if _is_chosen(job, selection)]
            if chosen:
                states = {job["state"] for job in here}
                size = sum(path.stat().st_size for path in paths)
                why = "its job is finished" if states <= FINISHED else "its job is not finished"
                last = chosen[-1]
                yield (
                    states <= FINISHED,
                    Leftover("messages", paths, size, dataset, last["run"], last["state"], why),
                )


def _subfolders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(each for each in folder.iterdir() if each.is_dir() and not each.is_symlink())


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder; what vanishes meanwhile does not count."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(Path(place) / name).st_size
            except FileNotFoundError:
                continue
    return total
