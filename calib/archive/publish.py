"""Publication: a dataset appears whole, once, and stays as it was.

All is made ready in a staging folder on the same file system and flushed to disk: files,
manifest, and the link that will point to them. Two operations are left, each of which
happens or does not: the folder is renamed into its run, and the link into ``data/``. Whatever
stops the machine, a reader at ``OUTPUT/data/INSTRUMENT/ID`` finds the old version or the new
one, and a second try finishes what is left.
"""

from __future__ import annotations

import errno
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePath
from typing import Any

from calib.archive import disk, pointer
from calib.archive.file_holdings import FileHoldings
from calib.archive.holdings import Holdings, kept_back
from calib.archive.layout import (
    MANIFEST,
    Role,
    publication_folder,
    refuse_detour,
    relative_name,
    staging_area,
)
from calib.archive.manifest import (
    FileEntry,
    Manifest,
    Tombstone,
    digest,
    parse_manifest,
    plain_json,
    to_bytes,
)
from calib.archive.staging import staged, sweep
from calib.archive.tombstones import epitaphs, tombstones_of
from calib.errors import ArchiveError
from calib.ids import DatasetId
from calib.records import Archived, utc_now

log = logging.getLogger(__name__)

# Makes a version the current one.
Point = Callable[[DatasetId, str], None]

# Files take whole blocks (4 KiB on common file systems); folders and manifest need some room.
_BLOCK = 4096
_OVERHEAD = 16 * _BLOCK


@dataclass(frozen=True)
class File:
    """A file to publish.

    Attributes
    ----------
    role
        ``product``, ``preview``, ``log`` or ``env``: it decides the folder.
    path
        Where it lies now; its name is kept.
    sha256
        What its bytes must be (hexadecimal); None where nobody has said.
    is_linked
        Give the file a second name instead of copying it: :func:`calib.archive.disk.link_new`.
        In a bucket there is no such thing.
    """

    role: Role
    path: Path
    sha256: str | None = None
    is_linked: bool = False


@dataclass(frozen=True)
class Publication:
    """A finished dataset, ready to be published.

    Attributes
    ----------
    dataset, run
        What, and into which write-once collection.
    fingerprint
        Identity of the result.
    files
        At least one; no two of the same role and name.
    provenance
        How it was made, as JSON.
    created
        Time of publication, ISO 8601 in UTC: the newest publication becomes current.
    becomes_current
        Whether the pointer follows.
    follows
        Whether it is made to follow the current version, now or later: then its manifest says
        which products it has no more.
    context
        The CRDS context that it was made with, where readers are not to be led back to it from
        a version of a later one; None: they are led to it whatever they see now.
    """

    dataset: DatasetId
    run: str
    fingerprint: str
    files: tuple[File, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    created: str = field(default_factory=utc_now)
    becomes_current: bool = True
    follows: bool = True
    context: str | None = None


def publish(publication: Publication, output: Path) -> Archived:
    """Publish a dataset to ``OUTPUT/runs/RUN/INSTRUMENT/ID`` and make it current, if wanted.

    Parameters
    ----------
    publication
        What to publish. Its files are copied, never moved or changed.
    output
        Output folder, made where missing.

    Returns
    -------
    Archived
        With ``already_there`` where the run holds the same result: nothing is written then,
        but the pointer is mended where it is missing or shows an older publication. With
        ``stays`` where a version of a later context stays current.

    Raises
    ------
    ConfigError
        The run's name is not allowed.
    ArchiveError
        The run holds another result for this dataset, or a damaged one; a file is missing,
        changed or badly named; the output is full, not writable, or something else lies in
        the way. Nothing is half-published and no staging is left.
    """
    output = output.absolute()
    holdings = FileHoldings(output)
    final = publication_folder(output, publication.run, publication.dataset)
    sources = named_files(publication)
    needed = _bytes_needed(sources)
    with disk.archive_errors(final, dataset=str(publication.dataset), needed=needed):
        refuse_detour(output, staging_area(output, publication.run))
        refuse_detour(output, final)
        sweep(staging_area(output, publication.run))
        holdings.pointed_run(publication.dataset)  # an obstacle shows before the work
        if not holdings.is_taken(publication.run, publication.dataset):
            _refuse_full_disk(output, publication, needed)
            if archived := _publish_new(publication, output, sources):
                return archived
        return join_twin(publication, holdings, partial(_point, output))


def make_current(output: Path, dataset: DatasetId, run: str) -> None:
    """Make a published version the current one.

    Raises
    ------
    ArchiveError
        The run does not hold the dataset, holds it damaged, or is a link to somewhere else;
        or the pointer cannot be made.
    """
    output = output.absolute()
    folder = publication_folder(output, run, dataset)
    refuse_detour(output, staging_area(output, run))
    refuse_detour(output, folder)
    with disk.archive_errors(folder, dataset=str(dataset)):
        lead_to(FileHoldings(output), dataset, run, partial(_point, output))


def named_files(publication: Publication) -> dict[str, File]:
    """Return the files by their names in the archive, sorted.

    Raises
    ------
    ArchiveError
        There are none, or two of the same name.
    """
    names = [relative_name(file.role, file.path.name) for file in publication.files]
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if not names or twice:
        raise ArchiveError(
            "nothing to publish" if not names else "two files of the same name to publish",
            dataset=str(publication.dataset),
            found=", ".join(twice) or None,
        )
    return dict(sorted(zip(names, publication.files, strict=True)))


def _bytes_needed(sources: Mapping[str, File]) -> int:
    """Return what is written; a second name for a file takes no room, but must be one."""
    sizes = [(file, disk.size_of(file.path)) for file in sources.values()]
    blocks = sum(-(-size // _BLOCK) for file, size in sizes if not file.is_linked)
    return blocks * _BLOCK + _OVERHEAD


def _refuse_full_disk(output: Path, publication: Publication, needed: int) -> None:
    if (free := disk.free_bytes(output)) < needed:
        raise ArchiveError(
            "not enough free space; nothing was written",
            dataset=str(publication.dataset),
            path=output,
            expected=f"{needed} bytes free",
            found=f"{free} bytes free",
        )


def _publish_new(
    publication: Publication, output: Path, sources: Mapping[str, File]
) -> Archived | None:
    """Publish under a free name; None where another process was first."""
    dataset, run = publication.dataset, publication.run
    final = publication_folder(output, run, dataset)
    disk.make_folders(final.parent)
    with staged(staging_area(output, run), dataset.name) as entry:
        link = pointer.prepare(output, dataset, run, entry)
        files = _fill(entry / dataset.name, publication, sources)
        graves = tombstones_of(
            lambda: FileHoldings(output).current_manifest(dataset),
            dataset.name,
            files,
            follows=publication.follows,
        )
        content = write_manifest(publication, files, final, graves)
        _finish(entry / dataset.name, files, content)
        if not _move(entry / dataset.name, final):
            return None
        archived = Archived(run, final.as_uri(), digest(content), notes=epitaphs(graves))
        archived = lead_on(
            publication,
            FileHoldings(output),
            archived,
            lambda: pointer.swap(link, output, dataset),
        )
    log.info("%s published in %s: %d files", dataset, run, len(sources))
    return archived


def lead_on(
    publication: Publication, holdings: Holdings, archived: Archived, point: Callable[[], None]
) -> Archived:
    """Make a version current that was published just now, where it is to be.

    What is current is looked at now and not before the copying: another process may have
    published on a later context meanwhile.
    """
    if not publication.becomes_current:
        return archived
    later = holdings.later_than(publication.dataset, publication.context)
    if later is not None:
        return kept_back(archived, later)
    point()
    return archived


def _fill(
    folder: Path, publication: Publication, sources: Mapping[str, File]
) -> tuple[FileEntry, ...]:
    """Copy the files, each flushed to disk."""
    plain_json(publication.provenance)  # refused before anything is copied
    for parent in dict.fromkeys([folder, *((folder / name).parent for name in sources)]):
        parent.mkdir()
    return tuple(_copy(file, folder, name) for name, file in sources.items())


def _finish(folder: Path, files: tuple[FileEntry, ...], content: bytes) -> None:
    """Write the manifest; all is on disk after that."""
    for parent in dict.fromkeys((folder / file.name).parent for file in files):
        disk.sync_folder(parent)
    disk.write_new(folder / MANIFEST, content)
    disk.sync_folder(folder)


def write_manifest(
    publication: Publication,
    files: tuple[FileEntry, ...],
    place: PurePath,
    tombstones: tuple[Tombstone, ...] = (),
) -> bytes:
    """Return the bytes of the manifest of a publication.

    Parameters
    ----------
    publication, files
        What is published, and its files as they are archived.
    place
        ``.../RUN/INSTRUMENT/ID``: where it will lie.
    tombstones
        Products that are not made any more.

    Raises
    ------
    ArchiveError
        It could not be read back.
    """
    manifest = Manifest(
        dataset=publication.dataset.name,
        kind=publication.dataset.kind,
        instrument=publication.dataset.instrument,
        run=publication.run,
        fingerprint=publication.fingerprint,
        created=publication.created,
        files=files,
        provenance=plain_json(publication.provenance),
        tombstones=tombstones,
    )
    content = to_bytes(manifest)
    parse_manifest(content, place / MANIFEST)
    return content


def _copy(file: File, folder: Path, name: str) -> FileEntry:
    put = disk.link_new if file.is_linked else disk.copy_new
    sha256, size = put(file.path, folder / name)
    if file.sha256 not in {None, sha256}:
        raise ArchiveError(
            "the file has changed since it was made",
            path=file.path,
            expected=f"sha256 {file.sha256}",
            found=sha256,
        )
    return FileEntry(name, file.role, sha256, size)


def _move(folder: Path, final: Path) -> bool:
    """Rename a finished folder into its run; False where something lies there."""
    try:
        folder.rename(final)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
        return False
    disk.sync_folder(final.parent)
    return True


def join_twin(publication: Publication, holdings: Holdings, point: Point) -> Archived:
    """Accept the same result, published before or by a faster process.

    Parameters
    ----------
    publication, holdings
        What was to be published, and where it lies already.
    point
        Makes a version the current one; called where this one is the newest.

    Raises
    ------
    ArchiveError
        The run holds another result for the dataset, or a damaged one.
    """
    dataset, run = publication.dataset, publication.run
    content = holdings.manifest_bytes(run, dataset)
    manifest = holdings.parse(content, run, dataset)
    _refuse_rival(manifest, publication, holdings.where(run, dataset))
    holdings.refuse_damage(manifest)
    archived = Archived(run, holdings.uri_of(run, dataset), digest(content), already_there=True)
    return lead_on(
        publication,
        holdings,
        archived,
        lambda: point(dataset, run) if holdings.is_newest(manifest) else None,
    )


def lead_to(holdings: Holdings, dataset: DatasetId, run: str, point: Point) -> None:
    """Make a published version the current one, where it is whole and not current already.

    Raises
    ------
    ArchiveError
        The run does not hold the dataset, or holds it damaged.
    """
    holdings.refuse_damage(holdings.manifest(run, dataset))
    if holdings.pointed_run(dataset) != run:
        point(dataset, run)


def _refuse_rival(manifest: Manifest, publication: Publication, place: object) -> None:
    if manifest.fingerprint != publication.fingerprint:
        raise ArchiveError(
            "a run is written once, and this one holds another result: use another run",
            dataset=manifest.dataset,
            path=place,
            expected=f"fingerprint {publication.fingerprint}",
            found=manifest.fingerprint,
        )


def _point(output: Path, dataset: DatasetId, run: str) -> None:
    with staged(staging_area(output, run), dataset.name) as entry:
        pointer.swap(pointer.prepare(output, dataset, run, entry), output, dataset)
