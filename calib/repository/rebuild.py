"""The ledger from the archive alone: every manifest read, every row that it tells written.

For a ledger that was lost, and for an archive that came from elsewhere. What is known is passed
over, so an interrupted rebuild goes on where it stopped, and the same again changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath

from sqlalchemy import Connection

from calib.archive.layout import MANIFEST
from calib.archive.manifest import Manifest, digest, parse_manifest
from calib.archive.outputs import Output
from calib.archive.survey import Place
from calib.caldp import suffix_of
from calib.errors import ARCHIVE, ArchiveError, ConfigError, HstflowError
from calib.ids import DatasetId
from calib.ledger.ingested import KIND, Origin, set_current_runs
from calib.ledger.ledger import Ledger
from calib.ledger.recovery import (
    CAMPAIGN,
    Recovered,
    add_recovered,
    check_lengths,
    ensure_recovered_run,
    known_manifests,
)
from calib.ledger.registry import run_row
from calib.records import InputFile, References
from calib.repository.deposit import ORIGIN as DEPOSITED
from calib.repository.provenance import Input, read_provenance
from calib.repository.registration import registration_of
from calib.repository.verification import canonical

log = logging.getLogger(__name__)

# Publications whose rows are written in one transaction.
_BATCH = 500

# Manifests that are read at once: on a bucket a round trip costs more than the bytes.
_THREADS = 8

Progress = Callable[[int, int], None]


@dataclass
class Rebuilt:
    """What a rebuild did.

    Attributes
    ----------
    new, known
        Publications.
    current
        Datasets whose current version the archive names.
    problems
        Manifest or pointer, and what is wrong with it.
    """

    new: int = 0
    known: int = 0
    current: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)

    @property
    def code(self) -> int:
        """Exit code: 25 where something could not be read."""
        return ARCHIVE if self.problems else 0


def rebuild(output: Output, ledger: Ledger, *, progress: Progress | None = None) -> Rebuilt:
    """Write down in a ledger what an archive holds.

    Parameters
    ----------
    output
        The archive; it is only read.
    ledger
        Empty or not: what is there stays.
    progress
        Is told how many publications are done, of how many.

    Returns
    -------
    Rebuilt
        With the manifests that cannot be read, or that contradict the ledger.

    Raises
    ------
    ArchiveError
        A folder of the archive cannot be read.
    Unavailable
        The bucket or the ledger does not answer: what was done is kept, try again.
    """
    places, done, count = [*output.publications()], Rebuilt(), 0
    with ThreadPoolExecutor(_THREADS) as pool:
        for run, those in _by_run(places):
            known = ledger.write(partial(known_manifests, run=run))
            for start in range(0, len(those), _BATCH):
                some = those[start : start + _BATCH]
                read = pool.map(partial(_read, output, known), some)
                _add(ledger, output, read, done)
                count += len(some)
                if progress is not None:
                    progress(count, len(places))
        _point(output, ledger, places, pool, done)
    return done


def _by_run(places: Iterable[Place]) -> Iterator[tuple[str, list[Place]]]:
    runs: dict[str, list[Place]] = {}
    for place in places:
        runs.setdefault(place.run, []).append(place)
    yield from sorted(runs.items())


_Problem = tuple[str, str]


def _read(
    output: Output, known: Mapping[str, str | None], place: Place
) -> Recovered | _Problem | None:
    """Read one manifest; None where the ledger knows it."""
    try:
        content = output.manifest_bytes(place.run, place.dataset)
        sha256 = digest(content)
        if place.dataset.name in known:
            _refuse_another(place, known[place.dataset.name], sha256)
            return None
        path = PurePosixPath(place.run, place.dataset.instrument, place.dataset.name, MANIFEST)
        found = _recover(parse_manifest(content, path), place, sha256)
        check_lengths(found)
    except (ArchiveError, ConfigError) as error:
        return _problem(place, error)
    return found


def _problem(place: Place, error: HstflowError) -> _Problem:
    return f"{place.uri}/{MANIFEST}", " ".join(str(error).split())


def _refuse_another(place: Place, known: str | None, sha256: str) -> None:
    if known != sha256:
        raise ArchiveError(
            "the ledger knows another manifest of this dataset in this run",
            dataset=place.dataset.name,
            expected=f"sha256 {known}",
            found=sha256,
        )


def _recover(manifest: Manifest, place: Place, sha256: str) -> Recovered:
    told = read_provenance(manifest.dataset, manifest.provenance, place.uri)
    registration = registration_of(manifest, place.uri, sha256)
    is_ingested = told.origin in {KIND, DEPOSITED}
    engine, version = told.engine.get("name", ""), told.engine.get("version", "")
    if told.origin == DEPOSITED:  # as `put` makes its run: the next one goes into it
        engine = DEPOSITED
    elif not is_ingested:  # a run of ours is of the engine that was asked for, and of our version
        engine = told.execution.get("engine", engine)
        version = told.code.get("version", version)
    return Recovered(
        id=place.dataset,
        published=registration.published,
        origin=Origin(told.context, engine, version),
        is_ingested=is_ingested,
        is_put=told.origin == DEPOSITED,
        campaign=told.execution.get("campaign") or CAMPAIGN,
        parameters=told.request.get("run_parameters", told.parameters),
        source=told.source,
        inputs=tuple(_input(each) for each in told.inputs),
        references=References(told.context, "", tuple(e.as_recorded() for e in told.references)),
        data_ids=told.data_ids,
        members=told.members,
    )


def _input(each: Input) -> InputFile:
    return InputFile(each.name, "", each.sha256, each.size, suffix_of(each.name), each.rootname)


def _add(
    ledger: Ledger, output: Output, read: Iterable[Recovered | _Problem | None], done: Rebuilt
) -> None:
    """Write a batch down; where one publication is in the way, the others go on without it."""
    found = []
    for each in read:
        if each is None:
            done.known += 1
        elif isinstance(each, Recovered):
            found.append(each)
        else:
            done.problems.append(each)
    try:
        done.new += ledger.write(lambda c: _write(c, found, output.uri))
    except (ArchiveError, ConfigError):
        for each in found:
            _add_one(ledger, output, each, done)


def _add_one(ledger: Ledger, output: Output, each: Recovered, done: Rebuilt) -> None:
    try:
        done.new += ledger.write(lambda c: _write(c, [each], output.uri))
    except (ArchiveError, ConfigError) as error:
        place = Place(each.published.run, each.id, each.published.uri)
        done.problems.append(_problem(place, error))


def _write(connection: Connection, found: Sequence[Recovered], output: str) -> int:
    for each in found:
        ensure_recovered_run(connection, each, output)
    for run in sorted({each.published.run for each in found}):
        _refuse_elsewhere(run, run_row(connection, run).output, output)
    return add_recovered(connection, found)


def _refuse_elsewhere(run: str, known: str, output: str) -> None:
    """Refuse a run that the ledger has in another archive: each of its runs lies in one."""
    if canonical(known) != output:
        message = f"run {run} of the ledger lies in another output"
        raise ConfigError(message, expected=known, found=output)


def _point(
    output: Output,
    ledger: Ledger,
    places: Sequence[Place],
    pool: ThreadPoolExecutor,
    done: Rebuilt,
) -> None:
    """Let the ledger name the current versions that the archive does, where it names none."""
    bad = {path for path, _ in done.problems}
    whole = {(p.run, p.dataset) for p in places if f"{p.uri}/{MANIFEST}" not in bad}
    datasets = sorted({place.dataset for place in places})
    by_run: dict[str, list[str]] = {}
    for dataset, run in zip(
        datasets, pool.map(lambda d: _pointed(output, d), datasets), strict=True
    ):
        if isinstance(run, tuple):
            done.problems.append(run)
        elif run is not None and (run, dataset) in whole:
            by_run.setdefault(run, []).append(dataset.name)
    for run, names in sorted(by_run.items()):
        ledger.write(partial(set_current_runs, run=run, datasets=names, replace=False))
        done.current += len(names)


def _pointed(output: Output, dataset: DatasetId) -> str | _Problem | None:
    try:
        return output.pointed_run(dataset)
    except ArchiveError as error:
        return f"{output.uri}/data/{dataset.instrument}/{dataset.name}", " ".join(
            str(error).split()
        )
