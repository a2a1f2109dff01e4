"""What the work folder keeps of jobs without products, where the dashboard can see it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from calib.archive.layout import check_run_name
from calib.errors import ConfigError
from calib.ids import parse_dataset
from calib.ledger.dataset_files import FailedJob, jobs_without_products
from calib.ledger.reports import Rows
from calib.stages.bundle import MOST
from calib.stages.joblog import LOG_NAME
from calib.stages.workplaces import BUNDLES, SKIPPED
from deployments.dashboard.opened import CannotShow, closing, open_inside

# Lines of a log that tell how it ended: the last stage, the error and the tries before it.
_LINES = 25

# Files of a bundle: one for each stage and program, and the headers.
_MOST_FILES = 50

# What text may hold that is no text: a log is a program's, and may hold anything. Marks of
# direction would show a line in another order than it is.
_BREAKS = "\n\t"
_MARKS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True)
class KeptFile:
    """A file of a bundle."""

    name: str
    size: int


@dataclass(frozen=True)
class Bundle:
    """What is kept of a job.

    Attributes
    ----------
    job
        How it ended.
    files
        What there is; empty where nothing is, or cannot be seen from here.
    tail
        The last lines of its log.
    """

    job: FailedJob
    files: tuple[KeptFile, ...] = ()
    tail: str = ""


def find_bundles(rows: Rows, dataset: str, work: str | Path | None) -> list[Bundle]:
    """Return what is kept of the jobs of a dataset that have no products, the latest first.

    Jobs of one run share a bundle; it is the latest one's.
    """
    latest: dict[str, FailedJob] = {}
    for job in jobs_without_products(rows, dataset):
        latest.setdefault(job.run, job)
    found = (_bundle(job, work) for job in latest.values())
    return [each for each in found if each.files or each.job.state == "error"]


def read_kept(job: FailedJob, work: str | Path | None, name: str) -> str:
    """Return a file of a bundle as text.

    Raises
    ------
    CannotShow
        It is none of those that are there.
    """
    folder = _folder(job, work)
    if folder is None or name not in {each.name for each in _listed(folder)}:
        raise CannotShow("nothing of this name is kept of this job")
    with closing(open_inside(folder / name, folder)) as opened:
        return plain(opened.read(max(0, opened.size - MOST), MOST))


def plain(data: bytes) -> str:
    """Return bytes of a log as text; what does not print is shown as such."""
    text = data.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    return "".join(
        each
        if (each.isprintable() or each in _BREAKS) and each not in _MARKS
        else "\N{REPLACEMENT CHARACTER}"
        for each in text
    )


def _bundle(job: FailedJob, work: str | Path | None) -> Bundle:
    folder = _folder(job, work)
    files = _listed(folder) if folder else ()
    if LOG_NAME not in {each.name for each in files}:
        return Bundle(job, files)
    try:
        lines = read_kept(job, work, LOG_NAME).splitlines()
    except CannotShow:
        return Bundle(job, files)
    return Bundle(job, files, "\n".join(lines[-_LINES:]))


def _folder(job: FailedJob, work: str | Path | None) -> Path | None:
    """Return where the bundle of a job lies; a ledger may be somebody else's, so names are held."""
    if work is None:
        return None
    kept = SKIPPED if job.state == "skipped" else BUNDLES
    try:
        return Path(work) / kept / check_run_name(job.run) / parse_dataset(job.dataset).name
    except ConfigError:
        return None


def _listed(folder: Path) -> tuple[KeptFile, ...]:
    try:
        found = [each for each in folder.iterdir() if each.is_file() and not each.is_symlink()]
        kept = [KeptFile(each.name, each.stat().st_size) for each in sorted(found)]
    except OSError:  # nothing is kept, or it goes just now
        return ()
    return tuple(kept[:_MOST_FILES])
