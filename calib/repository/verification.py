"""Whether the whole archive is what its manifests and the registry say.

Three things are compared: bytes with the manifest of their publication, manifests with the
registry, and the pointers to current versions with what the registry calls current. Files that
the archive does not own (in-place) are compared with the registry alone. Nothing is changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby
from typing import Any

from calib.archive.at_once import spread
from calib.archive.layout import check_run_name
from calib.archive.outputs import Output, open_output
from calib.archive.survey import Place
from calib.archive.verification import Problem
from calib.errors import ArchiveError, ConfigError, HstflowError
from calib.ids import DatasetId, parse_dataset
from calib.ledger.reports import Rows
from calib.ledger.versions import Version, files_of, list_outputs, versions_in, versions_of
from calib.repository.in_place import check_file
from calib.stores.transfer import local_path

REBUILD = "`hstflow ledger rebuild` enters it"


@dataclass(frozen=True)
class Checked:
    """What was found about one publication.

    Attributes
    ----------
    run, dataset
        Which; None for what belongs to no publication.
    uri
        Where it lies, or should.
    size
        Its bytes as the ledger knows them; 0 where it does not.
    problems
        Empty where all is well.
    """

    run: str | None
    dataset: str | None
    uri: str
    size: int
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class _Task:
    """One publication to check: on disk, in the ledger, or both.

    `is_there` is None where the listing has not said; `is_home` tells whether the ledger knows
    the run to be in this output (and not that of which this one is a copy).
    """

    run: str
    dataset: DatasetId
    version: Version | None
    is_there: bool | None
    is_home: bool
    files: tuple[dict[str, Any], ...] = ()


def verify_repository(
    output: Output,
    rows: Rows | None,
    *,
    datasets: Sequence[str] = (),
    runs: Sequence[str] = (),
    deep: bool = False,
    at_once: int = 4,
) -> Iterator[Checked]:
    """Check every publication of an output, run after run, and what should not be there.

    Parameters
    ----------
    output
        Where to look.
    rows
        Reads the ledger; None to compare bytes with manifests only.
    datasets
        Only these. Looked for in the runs that the ledger knows and in the current version,
        without a listing of the whole output.
    runs
        Only these. With names of datasets or runs, strays are not looked for.
    deep
        Compute checksums; otherwise only presence and size of files are compared.
    at_once
        Publications checked at the same time.

    Yields
    ------
    Checked
        One for each publication; those of strays come last. Damage is told, never raised.

    Raises
    ------
    ConfigError
        A name is not one of a dataset, or there is no such bucket.
    ArchiveError
        The folder of a run cannot be read.
    Unavailable
        The store does not answer to a listing.
    """
    names = [parse_dataset(name) for name in dict.fromkeys(datasets)]
    wanted = [check_run_name(run) for run in dict.fromkeys(runs)]
    check = partial(_check, output, deep=deep, has_ledger=rows is not None)
    seen: set[str] = set()
    for checked in spread(check, _tasks(output, rows, names, wanted), at_once):
        seen.update(_plain(problem.path) for problem in checked.problems)
        yield checked
    if not names and not wanted:
        for stray in output.strays():
            if _plain(stray.path) not in seen:  # a pointer, or a folder without a manifest
                yield Checked(None, None, stray.path, 0, (stray,))


def known_outputs(rows: Rows) -> list[str]:
    """Return the URIs of all outputs that runs were written to."""
    return [*dict.fromkeys(uri for uri in map(canonical, list_outputs(rows)) if uri)]


def expected_number(rows: Rows, output: Output) -> int:
    """Return how many publications the ledger knows in an output: for progress bars."""
    home = _runs_of(output, rows)
    found = rows("SELECT run, datasets FROM runs", {})
    return sum(int(row["datasets"]) for row in found if row["run"] in home)


def canonical(output: str) -> str | None:
    """Return the URI of an output as :attr:`Output.uri` says it; None where it is none."""
    try:
        return open_output(output).uri
    except ConfigError:
        return None


def _runs_of(output: Output, rows: Rows | None) -> set[str]:
    """Return the runs that the ledger knows to be in this output."""
    known = {} if rows is None else list_outputs(rows)
    return {run for uri, those in known.items() if canonical(uri) == output.uri for run in those}


def _tasks(
    output: Output, rows: Rows | None, names: Sequence[DatasetId], wanted: Sequence[str]
) -> Iterator[_Task]:
    home = _runs_of(output, rows)
    if names:
        for name in names:
            yield from _tasks_of(output, rows, name, home, wanted)
        return
    listed = set()
    listings = [output.publications(run) for run in wanted] or [output.publications()]
    for run, places in groupby(chain.from_iterable(listings), lambda place: place.run):
        listed.add(run)
        yield from _tasks_in(run, places, rows, is_home=run in home)
    for run in sorted(home - listed):
        if not wanted or run in wanted:
            yield from _tasks_in(run, (), rows, is_home=True)


def _tasks_in(
    run: str, places: Iterable[Place], rows: Rows | None, *, is_home: bool
) -> Iterator[_Task]:
    """Match what lies in a run with what the ledger knows of it."""
    versions = {v.dataset: v for v in (versions_in(rows, run) if rows else ())}
    for place in places:
        version = versions.pop(place.dataset.name, None)
        yield _Task(run, place.dataset, version, is_there=True, is_home=is_home)
    for version in versions.values():
        if rows and version.removed_at is None and (is_home or not version.is_ours):
            yield _task_of(rows, version, is_there=False, is_home=is_home)


def _tasks_of(
    output: Output, rows: Rows | None, name: DatasetId, home: set[str], wanted: Sequence[str]
) -> Iterator[_Task]:
    """Find the versions of one dataset without a listing of the whole output."""
    seen = set()
    for version in versions_of(rows, name.name) if rows else ():
        is_home = version.run in home
        if rows and is_home and (not wanted or version.run in wanted):
            seen.add(version.run)
            yield _task_of(rows, version, is_there=None, is_home=True)
    others = wanted or [run for run in [_pointed_run(output, name)] if run]
    for run in others:
        if run not in seen and output.holds(run, name):
            yield _Task(run, name, None, is_there=True, is_home=run in home)


def _task_of(rows: Rows, version: Version, *, is_there: bool | None, is_home: bool) -> _Task:
    files = () if version.is_ours else tuple(files_of(rows, version))
    return _Task(version.run, parse_dataset(version.dataset), version, is_there, is_home, files)


def _pointed_run(output: Output, name: DatasetId) -> str | None:
    with suppress(ArchiveError):  # said where the current version is checked
        return output.pointed_run(name)
    return None


def _check(output: Output, task: _Task, *, deep: bool, has_ledger: bool) -> Checked:
    version = task.version
    uri = version.uri if version else output.uri_of(task.run, task.dataset)
    try:
        problems = [*_problems(output, task, uri, deep=deep, has_ledger=has_ledger)]
    except HstflowError as error:
        problems = [Problem("unreadable", uri, str(error))]
    size = version.size if version else 0
    return Checked(task.run, task.dataset.name, uri, size, tuple(problems))


def _problems(
    output: Output, task: _Task, uri: str, *, deep: bool, has_ledger: bool
) -> Iterator[Problem]:
    version = task.version
    if version and not version.is_ours:
        found = (check_file(file, deep=deep) for file in task.files)
        yield from (problem for problem in found if problem is not None)
        return
    is_there = output.holds(task.run, task.dataset) if task.is_there is None else task.is_there
    if is_there:
        sha256 = version.manifest_sha256 if version and not version.removed_at else None
        yield from output.verify(task.dataset, run=task.run, deep=deep, manifest_sha256=sha256)
    if has_ledger:
        yield from _against_ledger(output, task, uri, is_there=is_there)


def _against_ledger(output: Output, task: _Task, uri: str, *, is_there: bool) -> Iterator[Problem]:
    version = task.version
    if version is None:
        yield Problem("unregistered", uri, f"the ledger does not know it: {REBUILD}")
    elif version.removed_at:
        if is_there:
            when = version.removed_at[:19]
            yield Problem("unregistered", uri, f"pruned at {when}, and there again: {REBUILD}")
    elif not is_there:
        yield Problem("missing", uri, "the ledger knows it, and it is not there")
    elif task.is_home:
        yield from _against_current(output, task, version)


def _against_current(output: Output, task: _Task, version: Version) -> Iterator[Problem]:
    """Compare what readers are shown with what the ledger calls current."""
    if not version.is_current and version.current_run is not None:
        return
    try:
        shown = output.pointed_run(task.dataset)
    except ArchiveError as error:
        yield Problem("changed", str(error.path), error.message)
        return
    if version.is_current and shown != task.run:
        message = f"current by the ledger, but readers are shown {shown or 'nothing'}"
        yield Problem("changed", version.uri, message)
    elif version.current_run is None and shown == task.run:
        message = f"readers are shown it, and the ledger knows no current version: {REBUILD}"
        yield Problem("unregistered", version.uri, message)


def _plain(path: str) -> str:
    """Return a path of a file URI, and anything else as it is."""
    return str(local_path(path)) if path.startswith("file:///") else path
