"""What others made takes part: files of CALDP, of MAST or of a notebook become a run.

A dataset is ingested whole or refused with the reason, and the others go on. With ``copy`` and
``link`` it is published in the archive with a manifest, as if we had made it; with ``in-place``
nothing is written or moved, and only the registry learns of it. Everything can be repeated: what
is known is compared and passed over, and a run is write-once.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from calib.archive.fingerprint import fingerprint
from calib.archive.outputs import Output, open_output
from calib.archive.provenance import environment_versions
from calib.archive.publish import File, Publication
from calib.errors import ArchiveError, ConfigError, DataError, HstflowError, NotFound, Unavailable
from calib.ids import parse_dataset
from calib.ledger.ingested import (
    KIND,
    KnownFile,
    add_origins,
    ensure_ingested_run,
    enter_data_ids,
    known_files,
    set_current_runs,
)
from calib.ledger.ledger import Ledger
from calib.ledger.publications import Published, record_members, record_publications
from calib.records import utc_now
from calib.repository.candidates import Group, IngestRequest, Survey, survey
from calib.repository.examination import Examined, Part, bring_parts, examine
from calib.repository.registration import registration_of
from calib.repository.sources import Source, open_source

log = logging.getLogger(__name__)

# Files whose rows are written in one transaction: long enough that its cost does not count,
# short enough that others can write in between (about 0.3 s).
_BATCH = 1_000

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Refused:
    """A dataset that was not ingested.

    Attributes
    ----------
    run, dataset
        Which one.
    reason, code
        Why, and the exit code of that.
    """

    run: str
    dataset: str
    reason: str
    code: int


@dataclass
class Ingested:
    """What an ingest did.

    Attributes
    ----------
    new, known
        Datasets by whether anything of them was new.
    new_files, known_files, new_bytes
        The same of files.
    refused
        What was not ingested.
    unmatched
        Files that no template takes, and why.
    """

    new: int = 0
    known: int = 0
    new_files: int = 0
    known_files: int = 0
    new_bytes: int = 0
    refused: list[Refused] = field(default_factory=list)
    unmatched: tuple[tuple[str, str], ...] = ()

    @property
    def code(self) -> int:
        """Exit code: that of the first refusal."""
        return next((each.code for each in self.refused), 0)


def ingest(
    request: IngestRequest,
    ledger: Ledger,
    *,
    found: Survey | None = None,
    progress: Progress | None = None,
) -> Ingested:
    """Ingest what a template takes of a folder or bucket.

    Parameters
    ----------
    request
        What, and how.
    ledger
        Learns of it.
    found
        What :func:`survey` gave, where somebody has asked already.
    progress
        Is told how many datasets are done, of how many.

    Returns
    -------
    Ingested
        What was new, known and refused.

    Raises
    ------
    ConfigError
        The request cannot work, or a run that we processed has the name.
    NotFound
        There is no such folder, or the template takes nothing of it.
    Unavailable
        The bucket or the ledger does not answer: what was done is kept, try again.
    """
    found = found or survey(request)
    if not found.groups:
        raise NotFound(
            "the template takes no file here",
            path=request.uri,
            expected=request.template,
            found=", ".join(key for key, _ in found.unmatched[:3]) or "no file",
        )
    work = _Work(
        request,
        open_source(request.uri),
        None if request.output is None else open_output(request.output),
    )
    done = Ingested(unmatched=found.unmatched)
    _prepare_runs(ledger, found, work)
    count = 0
    with ThreadPoolExecutor(request.threads) as pool:
        for batch in _batches(found.groups):
            _ingest_batch(batch, work, ledger, pool, done)
            count += len(batch)
            if progress is not None:
                progress(count, len(found.groups))
    return done


@dataclass(frozen=True)
class _Work:
    """What the threads share."""

    request: IngestRequest
    source: Source
    output: Output | None


@dataclass(frozen=True)
class _Taken:
    """A dataset that was ingested, as the registry keeps it; `published` is None if known."""

    group: Group
    files: int
    new_files: int = 0
    new_bytes: int = 0
    published: Published | None = None
    examined: Examined | None = None


def _prepare_runs(ledger: Ledger, found: Survey, work: _Work) -> None:
    stays = work.output is None
    place = work.source.uri if work.output is None else work.output.uri
    runs = sorted({group.run for group in found.groups})
    ledger.write(lambda c: [ensure_ingested_run(c, r, place, is_in_place=stays) for r in runs])


def _batches(groups: Sequence[Group]) -> Iterator[list[Group]]:
    """Yield groups of one run, with about as many files as one transaction takes."""
    batch: list[Group] = []
    size = 0
    for group in groups:
        full = size + len(group.files) > _BATCH
        if batch and (full or batch[0].run != group.run):
            yield batch
            batch, size = [], 0
        batch.append(group)
        size += len(group.files)
    if batch:
        yield batch


def _ingest_batch(
    batch: Sequence[Group], work: _Work, ledger: Ledger, pool: ThreadPoolExecutor, done: Ingested
) -> None:
    run = batch[0].run
    known = ledger.ask(lambda rows: known_files(rows, run, [each.dataset for each in batch]))
    taken: list[_Taken] = []
    for each in pool.map(lambda group: _try(work, group, known.get(group.dataset, {})), batch):
        if isinstance(each, Refused):
            done.refused.append(each)
            log.info("%s not ingested: %s", each.dataset, each.reason)
        else:
            taken.append(each)
    for each in _recorded(ledger, taken, work.request, done):
        done.new += each.published is not None
        done.known += each.published is None
        done.new_files += each.new_files
        done.new_bytes += each.new_bytes
        done.known_files += each.files - each.new_files


def _recorded(
    ledger: Ledger, taken: Sequence[_Taken], request: IngestRequest, done: Ingested
) -> Sequence[_Taken]:
    """Write a batch down; where one dataset is in the way, the others go on without it."""
    if not taken:
        return ()
    try:
        ledger.write(lambda c: _record(c, taken[0].group.run, taken, request))
    except (ArchiveError, ConfigError) as error:
        if len(taken) > 1:
            return [one for each in taken for one in _recorded(ledger, [each], request, done)]
        done.refused.append(_refused(taken[0].group, error))
        return ()
    return taken


def _try(work: _Work, group: Group, known: dict[str, KnownFile]) -> _Taken | Refused:
    try:
        return _take(work, group, known)
    except (DataError, ArchiveError) as error:
        return _refused(group, error)
    except OSError as error:  # the folder for work in progress is full: so it is for all others
        message = f"reading or writing failed: {error.strerror}"
        raise Unavailable(message, dataset=group.dataset, path=error.filename, code=1) from error


def _refused(group: Group, error: HstflowError) -> Refused:
    return Refused(group.run, group.dataset, " ".join(str(error).split()), error.code)


def _take(work: _Work, group: Group, known: dict[str, KnownFile]) -> _Taken:
    """Ingest one dataset."""
    request = work.request
    _refuse_tarball(group, request)
    sizes = {each.placed.archived_name: each.found.size for each in group.files}
    if request.trust_size and all(
        name in known and known[name].size == size for name, size in sizes.items()
    ):
        return _Taken(group, len(group.files))
    with _private_folder(work, group) as name:
        parts = bring_parts(
            work.source,
            group.files,
            Path(name),
            checksums=request.checksums,
            headers=request.headers,
        )
        _refuse_changed(group, parts, known)
        new = [part for part in parts if part.archived_name not in known]
        if not new:
            return _Taken(group, len(parts))
        examined = examine(group.dataset, parts, headers=request.headers)
        published = _publish(work, group, examined)
    size = sum(part.size for part in new)
    return _Taken(group, len(parts), len(new), size, published, examined)


def _private_folder(work: _Work, group: Group) -> AbstractContextManager[str]:
    """Lend a folder for what has to be downloaded or unpacked; most files are read in place."""
    scratch = work.request.scratch
    if work.source.is_local and not any(each.placed.is_tarball for each in group.files):
        return nullcontext("")
    try:
        if scratch is not None:
            scratch.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix="ingest-", dir=scratch)
    except OSError as error:
        message = f"no folder can be made for work in progress: {error.strerror}"
        raise Unavailable(message, path=error.filename, code=1) from error


def _refuse_tarball(group: Group, request: IngestRequest) -> None:
    tarballs = [each.placed.key for each in group.files if each.placed.is_tarball]
    if tarballs and request.transfer != "copy":
        raise DataError(
            "files in a tar archive have no place of their own: copy them",
            dataset=group.dataset,
            path=tarballs[0],
            expected="transfer copy",
            found=f"transfer {request.transfer}",
        )


def _refuse_changed(group: Group, parts: Sequence[Part], known: dict[str, KnownFile]) -> None:
    for part in parts:
        before = known.get(part.archived_name)
        if before is None:
            continue
        is_same_sum = None in {before.sha256, part.sha256} or before.sha256 == part.sha256
        if before.size != part.size or not is_same_sum:
            raise ArchiveError(
                f"changed since it was ingested into {group.run}: a run is write-once, use another",
                dataset=group.dataset,
                path=part.uri,
                expected=f"{before.size} bytes, sha256 {before.sha256}",
                found=f"{part.size} bytes, sha256 {part.sha256}",
            )


def _publish(work: _Work, group: Group, examined: Examined) -> Published:
    if work.output is None:
        return _in_place(group, examined, work.source.uri)
    publication = _publication(work, work.output, group, examined)
    archived = work.output.publish(publication)
    manifest = work.output.manifest(group.run, publication.dataset)
    return registration_of(manifest, archived.uri, archived.manifest_sha256).published


def _in_place(group: Group, examined: Examined, uri: str) -> Published:
    files = tuple(part.entry for part in examined.parts)
    return Published(group.run, group.dataset, uri, files, utc_now(), transfer="in-place")


def _publication(work: _Work, output: Output, group: Group, examined: Examined) -> Publication:
    request, dataset = work.request, parse_dataset(group.dataset)
    files = [
        File(part.role, part.path, part.sha256, is_linked=request.transfer == "link")
        for part in examined.parts
        if part.path is not None
    ]
    mark = fingerprint(
        dataset,
        inputs=[f"{part.archived_name} {part.sha256}" for part in examined.parts],
        context=examined.origin.context,
        references=[],
        engine=KIND,
        parameters={},
    )
    is_current = request.is_current or output.current_manifest(dataset) is None
    return Publication(
        dataset=dataset,
        run=group.run,
        fingerprint=mark,
        files=tuple(files),
        provenance=_provenance(work, examined),
        becomes_current=is_current,
        follows=is_current,
    )


def _provenance(work: _Work, examined: Examined) -> dict[str, Any]:
    """Say where the files came from; who made them, and from what, only they know."""
    origin, environment = examined.origin, environment_versions()
    return {
        "origin": KIND,
        "transfer": work.request.transfer,
        "source": work.source.uri,
        "files": {part.archived_name: part.uri for part in examined.parts},
        "engine": {"name": origin.engine, "version": origin.engine_version},
        "context": origin.context,
        "code": {"name": "hstflow", "version": environment.get("hstflow", "unknown")},
        "data_ids": [asdict(each) for each in examined.data_ids],
        "members": [asdict(each) for each in examined.members],
        "inputs": [],
        "references": [],
        "parameters": {},
        "environment": environment,
    }


def _record(
    connection: Connection, run: str, taken: Iterable[_Taken], request: IngestRequest
) -> None:
    """Write down what is new, in one transaction."""
    new = [(each.published, each.examined) for each in taken if each.published and each.examined]
    record_publications(connection, [published for published, _ in new])
    add_origins(connection, run, {examined.origin for _, examined in new})
    enter_data_ids(connection, [each for _, examined in new for each in examined.data_ids])
    for published, examined in new:
        if examined.members:
            record_members(connection, published.dataset, examined.members)
    datasets = [published.dataset for published, _ in new]
    set_current_runs(connection, run, datasets, replace=request.is_current)
