"""What is published already: the current version, and a search through all runs."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from pathlib import Path

from calib.archive.disk import archive_errors
from calib.archive.layout import MANIFEST, list_runs, publication_folder
from calib.archive.manifest import Manifest, digest, parse_manifest, read_bytes, read_manifest
from calib.archive.pointer import current_run
from calib.archive.verification import find_problems
from calib.errors import ArchiveError
from calib.ids import DatasetId
from calib.records import Archived

log = logging.getLogger(__name__)


def current_manifest(output: Path, dataset: DatasetId) -> Manifest | None:
    """Return the manifest of the current version; None where nothing is published.

    Raises
    ------
    ArchiveError
        The pointer or the manifest is not what the archive made.
    """
    with archive_errors(output, dataset=dataset.name):
        run = current_run(output, dataset)
        return None if run is None else read_manifest(publication_folder(output, run, dataset))


def find_published(
    output: Path, dataset: DatasetId, fingerprint: str, *, runs: Sequence[str] | None = None
) -> Archived | None:
    """Look for a result that is published already: in the current version, then in all runs.

    With `runs` given, in these alone.

    Files are compared with the manifest by presence and size. A damaged publication does not
    count; it is named in the log. The pointer is left as it is: where another run was found,
    :func:`calib.archive.publish.make_current` moves it.

    Raises
    ------
    ArchiveError
        The pointer was not made by the archive, or a folder cannot be read.
    """
    output = output.absolute()
    with archive_errors(output, dataset=dataset.name):
        current = current_run(output, dataset)
        every = [*([current] if current else []), *list_runs(output)] if runs is None else runs
        places = dict.fromkeys(every)
        found = (_published_in(output, run, dataset, fingerprint) for run in places)
        return next((archived for archived in found if archived is not None), None)


def free_run(output: Path, run: str, dataset: DatasetId, fingerprint: str) -> str:
    """Return a run that can take this result: `run`, or ``RUN-2``, ``RUN-3``...

    The first that does not hold the dataset, or holds this same result undamaged.

    Raises
    ------
    ConfigError
        The run's name is not allowed.
    ArchiveError
        A folder cannot be read.
    """
    output = output.absolute()
    names = itertools.chain([run], (f"{run}-{number}" for number in itertools.count(2)))
    with archive_errors(output, dataset=dataset.name):
        return next(
            name
            for name in names
            if not is_taken(publication_folder(output, name, dataset))
            or _published_in(output, name, dataset, fingerprint)
        )


def is_taken(final: Path) -> bool:
    """Tell whether something lies there; an empty folder gives way to the rename."""
    return final.exists() and not (final.is_dir() and next(final.iterdir(), None) is None)


def refuse_damage(folder: Path, manifest: Manifest) -> None:
    """Raise where named files are missing or of another size.

    Raises
    ------
    ArchiveError
        With the list of them.
    """
    if damage := _damage(folder, manifest):
        raise ArchiveError(
            "what was published here is damaged: use another run",
            dataset=manifest.dataset,
            path=folder,
            found=damage,
        )


def _damage(folder: Path, manifest: Manifest) -> str:
    """Say what is missing or of another size; files that nobody named do no harm."""
    problems = find_problems(folder, manifest, deep=False)
    return "; ".join(str(problem) for problem in problems if problem.kind != "orphaned")


def _published_in(output: Path, run: str, dataset: DatasetId, fingerprint: str) -> Archived | None:
    folder = publication_folder(output, run, dataset)
    if not (folder / MANIFEST).exists():
        return None
    try:
        content = read_bytes(folder)
        manifest = parse_manifest(content, folder / MANIFEST)
    except ArchiveError as error:
        log.warning("passed over: %s", error)
        return None
    if manifest.fingerprint != fingerprint:
        return None
    if damage := _damage(folder, manifest):
        log.warning("passed over %s, which is damaged: %s", folder, damage)
        return None
    return Archived(run, folder.as_uri(), digest(content), already_there=True)
