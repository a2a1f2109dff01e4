"""What dead processes left in the work folder, and its removal beside live jobs.

An attempt removes its own leavings, and those of earlier ones when it comes by. A job that
goes on elsewhere, or never, does not come by: the end of a campaign's session does.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from calib.errors import ConfigError
from calib.ledger.reports import Rows
from calib.ledger.states import FINISHED
from calib.stages.recording import ledger_of
from calib.stages.workplaces import BUNDLES, SKIPPED
from calib.stores.transfer import local_path

log = logging.getLogger(__name__)

_JOBS = """
SELECT job.state AS state, job.uri AS uri, campaign.name AS campaign
FROM job JOIN campaign ON campaign.id = job.campaign_id
WHERE job.dataset = :dataset AND job.run = :run
"""


def remove_leftovers(
    work: str | Path, run: str, *, ledger: str, campaign: str, keep_scratch: bool = False
) -> list[Path]:
    """Remove what dead processes left in the folder of a run.

    That is: half-made stages, and the folders of datasets that are published. What belongs to
    a dataset that somebody is processing stays, whoever that is, and so do the finished stages
    of failed ones: the next attempt goes on there.

    Parameters
    ----------
    work, run
        Work folder of all jobs, and the run.
    ledger
        URL of the ledger, which says who is at work.
    campaign
        Whose published datasets lose their folder.
    keep_scratch
        Keep the folders of published datasets.

    Returns
    -------
    list of Path
        What was removed.
    """
    began, place = time.time(), Path(work) / run
    removed: list[Path] = []
    for folder in _folders(place):
        jobs = ledger_of(ledger).ask(lambda rows: _jobs_of(rows, folder.name, run))  # noqa: B023 - called at once
        if any(job["state"] == "processing" for job in jobs):
            continue
        mine = [job for job in jobs if job["campaign"] == campaign]
        if mine and not keep_scratch and all(_is_published(job, folder) for job in jobs):
            removed += _remove([folder], began)
        else:
            removed += _remove(_half_made(folder), began)
    kept = [Path(work) / BUNDLES, Path(work) / SKIPPED]
    for bundles in kept:
        removed += _remove(_half_made(bundles / run), began)
    for empty in (place, *(bundles / run for bundles in kept), *kept):
        with suppress(OSError):
            empty.rmdir()
    if removed:
        log.info("removed %d leftovers of ended processes", len(removed))
    return removed


def _folders(place: Path) -> Iterator[Path]:
    """Yield the folders of datasets; some may go meanwhile."""
    if place.is_dir():
        yield from sorted(path for path in place.iterdir() if path.is_dir())


def _jobs_of(rows: Rows, dataset: str, run: str) -> list[dict[str, Any]]:
    return rows(_JOBS, {"dataset": dataset, "run": run})


def _is_published(job: dict[str, Any], folder: Path) -> bool:
    """Tell whether the products lie elsewhere: without an output they are in the folder."""
    is_done = job["state"] in FINISHED and job["uri"] is not None
    return is_done and not lies_in(job["uri"], folder)


def lies_in(uri: str, folder: Path) -> bool:
    """Tell whether products may lie in a folder, whatever path leads to it.

    Where that cannot be told they may: nobody removes what could be the only copy.

    Parameters
    ----------
    uri
        Where the ledger says that the products are.
    folder
        A folder that somebody wants to remove.
    """
    try:
        place = local_path(uri)
        return place is not None and place.resolve().is_relative_to(folder.resolve())
    except (ConfigError, OSError, RuntimeError, ValueError):  # RuntimeError: a loop of links
        return True


def _half_made(folder: Path) -> list[Path]:
    """Return private folders (``.STAGE.PID``) of processes that this host does not have."""
    found = folder.glob(".*.*") if folder.is_dir() else ()
    return [path for path in found if path.suffix[1:].isdigit() and not _lives(path)]


def _lives(path: Path) -> bool:
    return bool(psutil.pid_exists(int(path.suffix[1:])))


def _remove(folders: list[Path], began: float) -> list[Path]:
    """Remove folders, but none that changed after we asked: a job may have begun there."""
    gone = []
    for folder in folders:
        with suppress(OSError):
            if folder.stat().st_mtime < began:
                shutil.rmtree(folder)
                gone.append(folder)
    return gone
