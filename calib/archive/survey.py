"""What lies in an output folder: every publication, and everything that is none.

Nothing is followed and nothing is changed: links, odd names and other people's files in
``runs/`` and ``data/`` come out as problems. What lies beside these two (messages, a ledger,
the user's own files) is not the archive's and is passed over.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from calib.archive.disk import archive_errors
from calib.archive.layout import MANIFEST, STAGING, has_manifest, publication_folder
from calib.archive.pointer import current_run
from calib.archive.staging import is_abandoned
from calib.archive.verification import Problem
from calib.errors import ArchiveError, ConfigError
from calib.ids import DatasetId, is_run_name, parse_dataset

NOT_A_RUN = "not the name of a run"
NOT_A_DATASET = "not a dataset of this instrument"
NOT_OURS = "not made by the archive"
LEFT = "left by a process that ended"
_LINK = "a link, which is not followed"


class Place(NamedTuple):
    """Where something is published."""

    run: str
    dataset: DatasetId
    uri: str


def survey_runs(output: Path, only: str | None = None) -> Iterator[Place | Problem]:
    """Yield all that lies below ``runs/``, or in one run: publications, and what is none.

    A publication is a folder with a manifest. One that may not be looked into counts as such:
    whoever reads the manifest is told why he cannot.

    Raises
    ------
    ArchiveError
        A folder above those of the datasets cannot be read.
    """
    for run in _folders(output / "runs"):
        if isinstance(run, Problem):
            yield run
        elif not is_run_name(run.name):
            yield orphan(str(run), NOT_A_RUN)
        elif only in {None, run.name}:
            yield from _survey_run(output, run)


def survey_pointers(output: Path) -> Iterator[Problem]:
    """Yield everything below ``data/`` that is no pointer to a publication."""
    for folder in _folders(output / "data"):
        if isinstance(folder, Problem):
            yield folder
        else:
            found = (_pointer_problem(output, path) for path in _children(folder))
            yield from (problem for problem in found if problem is not None)


def dataset_of(instrument: str, name: str) -> DatasetId | None:
    """Return the dataset that a folder ``INSTRUMENT/NAME`` is for; None where it is for none."""
    try:
        dataset = parse_dataset(name)
    except ConfigError:
        return None
    return dataset if (dataset.instrument, dataset.name) == (instrument, name) else None


def orphan(path: str, why: str) -> Problem:
    """Name something that does not belong where it lies."""
    return Problem("orphaned", shown(path), why)


def shown(path: str) -> str:
    """Return a path for people: what does not print is escaped."""
    return path if path.isprintable() else ascii(path)[1:-1]


def _survey_run(output: Path, run: Path) -> Iterator[Place | Problem]:
    for folder in _folders(run):
        if isinstance(folder, Problem):
            yield folder
        elif folder.name == STAGING:
            found = (_staging_problem(path) for path in _children(folder))
            yield from (problem for problem in found if problem is not None)
        else:
            for entry in _folders(folder):
                yield entry if isinstance(entry, Problem) else _judge(output, run.name, entry)


def _judge(output: Path, run: str, folder: Path) -> Place | Problem:
    dataset = dataset_of(folder.parent.name, folder.name)
    if dataset is None:
        return orphan(str(folder), NOT_A_DATASET)
    try:
        mode: int | None = (folder / MANIFEST).lstat().st_mode
    except FileNotFoundError:
        return Problem("missing", str(folder), "a dataset's folder without a manifest")
    except OSError:  # not allowed, or a failing disk
        mode = None
    if mode is not None and not stat.S_ISREG(mode):
        return Problem("changed", str(folder / MANIFEST), "not an ordinary file")
    return Place(run, dataset, publication_folder(output, run, dataset).as_uri())


def _staging_problem(path: Path) -> Problem | None:
    if "+" not in path.name:
        return orphan(str(path), NOT_OURS)
    with archive_errors(path):
        return orphan(str(path), LEFT) if is_abandoned(path) else None


def _pointer_problem(output: Path, path: Path) -> Problem | None:
    dataset = dataset_of(path.parent.name, path.name)
    if dataset is None:
        return orphan(str(path), NOT_A_DATASET)
    try:
        run = current_run(output, dataset)
        if run is None or has_manifest(publication_folder(output, run, dataset)):
            return None
    except ArchiveError as error:
        return Problem("changed", str(path), f"{error.message}: found {shown(error.found or '')}")
    except OSError as error:
        return Problem("unreadable", str(path), str(error))
    return Problem("missing", str(path), f"leads to run {run}, which does not hold it")


def _folders(folder: Path) -> Iterator[Path | Problem]:
    """Yield the folders in a folder, and a problem for everything else that is there."""
    with archive_errors(folder):
        is_link = folder.is_symlink()
    if is_link:
        yield orphan(str(folder), _LINK)
        return
    yield from (_as_folder(path) for path in _children(folder))


def _as_folder(path: Path) -> Path | Problem:
    with archive_errors(path):
        if path.is_symlink():
            return orphan(str(path), _LINK)
        return path if path.is_dir() else orphan(str(path), "not a folder")


def _children(folder: Path) -> list[Path]:
    """Return what is in a folder, sorted; nothing where it is not there."""
    with archive_errors(folder):
        try:
            return sorted(folder.iterdir())
        except FileNotFoundError:
            return []
