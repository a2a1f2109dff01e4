"""CALDP's folder ``outputs`` beside the runs: the current version of each dataset as one tar.

::

    OUTPUT/outputs/ID/ID.tar.gz         see calib.archive.caldp_tar
    OUTPUT/outputs/ID/process.txt       logs
    OUTPUT/outputs/ID/env/...           environment
    OUTPUT/outputs/ID/ID.tar.gz.json    which run the tar shows, its sha256; written last

Like the pointers in ``data`` this is a view of the runs that changes with the current version.
Every file appears whole; the record says whether all of them are there, so what a crash left
unfinished is made again by the next call.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from zlib import ZLIB_RUNTIME_VERSION

from calib.archive import disk
from calib.archive.caldp_tar import Local, files_beside, write_tar
from calib.archive.layout import STAGING, publication_folder, refuse_detour, relative_name
from calib.archive.manifest import FileEntry, Manifest
from calib.archive.outputs import FileOutput, Output
from calib.archive.staging import staged, sweep
from calib.archive.store_holdings import place_of
from calib.archive.store_output import StoreOutput
from calib.caldp import tarball_name
from calib.errors import ArchiveError
from calib.ids import DatasetId
from calib.records import from_json, to_json
from calib.stores.store import Store

log = logging.getLogger(__name__)

_SCHEMA = 1


@dataclass(frozen=True)
class TarRecord:
    """What a tar shows.

    Attributes
    ----------
    dataset, run, published
        The publication: its dataset, run and time.
    sha256, size
        Checksum of the tar (hexadecimal), and its bytes.
    files
        What lies beside it, by name.
    zlib
        The version that packed it: another one may pack the same files into other bytes.
    """

    dataset: str
    run: str
    published: str
    sha256: str
    size: int
    files: tuple[str, ...] = ()
    zlib: str = ZLIB_RUNTIME_VERSION
    schema: int = _SCHEMA


@dataclass(frozen=True)
class Saved:
    """A tar in a folder.

    Attributes
    ----------
    dataset, run
        What it holds.
    path, sha256, size
        The file.
    already_there
        Whether the same bytes lay there.
    """

    dataset: str
    run: str
    path: str
    sha256: str
    size: int
    already_there: bool


def publish_tar(output: Output, dataset: DatasetId, scratch: Path) -> str | None:
    """Lay the current version of a dataset out in ``OUTPUT/outputs/ID``, as CALDP does.

    Where that is done already nothing is written.

    Parameters
    ----------
    output, dataset
        Where, and which.
    scratch
        A folder for work in progress; of use where the output is a bucket.

    Returns
    -------
    str or None
        URI of the tar; None where nothing is published.

    Raises
    ------
    ArchiveError
        A published file is not what its manifest says, the tar cannot be written or read
        back, or something else lies in the way. Each file is there whole or as it was.
    """
    manifest = output.current_manifest(dataset)
    if manifest is None:
        return None
    shelf = _shelf_of(output, scratch)
    key = f"outputs/{dataset.name}/{tarball_name(dataset.name)}"
    with disk.archive_errors(scratch, dataset=dataset.name):
        if not _is_done(shelf, key, manifest):
            _lay_out(shelf, key, manifest)
            log.info("%s of run %s written", shelf.uri_of(key), manifest.run)
    return shelf.uri_of(key)


def save_tar(output: Output, dataset: DatasetId, folder: Path, *, run: str | None = None) -> Saved:
    """Write the tar of a published version into a folder.

    Parameters
    ----------
    output, dataset
        Where it is published, and which.
    folder
        Where ``ID.tar.gz`` goes; made where missing.
    run
        Which version; the current one where not given.

    Raises
    ------
    ArchiveError
        Nothing is published, a published file is not what its manifest says, another file
        has that name, or the folder cannot be written.
    """
    manifest = output.manifest(run, dataset) if run else output.current_manifest(dataset)
    if manifest is None:
        raise ArchiveError("nothing is published", dataset=dataset.name, path=output.uri)
    target = folder / tarball_name(dataset.name)
    with disk.archive_errors(folder, dataset=dataset.name):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".hstflow-") as work:
            made = Path(work) / target.name
            write_tar(manifest, _local_files(_shelf_of(output, Path(work)), manifest), made)
            return _keep(made, target, manifest)


def _is_done(shelf: _Shelf, key: str, manifest: Manifest) -> bool:
    record = _read_record(shelf.read(_record_key(key)) or b"")
    if record is None or (record.run, record.published) != (manifest.run, manifest.created):
        return False
    return shelf.digest(key) == record.sha256


def _record_key(key: str) -> str:
    return f"{key}.json"


def _read_record(content: bytes) -> TarRecord | None:
    """Read a record; None for what is none: it is made again."""
    from pydantic import ValidationError

    try:
        return from_json(TarRecord, content)
    except ValidationError:
        return None


def _lay_out(shelf: _Shelf, key: str, manifest: Manifest) -> None:
    """Make everything, then put it in place; the record comes last."""
    beside = _checked(files_beside(manifest), key, manifest)
    before = _read_record(shelf.read(_record_key(key)) or b"")
    with shelf.working(manifest.dataset) as work:
        made = work / "tar"
        write_tar(manifest, _local_files(shelf, manifest), made)
        sha256, size = disk.digest_file(made), disk.size_of(made)
        names = tuple(sorted(beside))
        run, published = manifest.run, manifest.created
        record = TarRecord(manifest.dataset, run, published, sha256, size, names)
        copies = {name: work / f"beside{number}" for number, name in enumerate(beside)}
        for name, file in beside.items():
            _copy(shelf, manifest, file, copies[name])
        for name, copy in copies.items():
            shelf.put(copy, _beside(key, name))
        shelf.put(made, key)
        for name in _outdated(before, names, key):
            shelf.remove(_beside(key, name))
        disk.write_new(work / "record", to_json(record).encode())
        shelf.put(work / "record", _record_key(key))


def _beside(key: str, name: str) -> str:
    return f"{key.rpartition('/')[0]}/{name}"


def _outdated(before: TarRecord | None, names: tuple[str, ...], key: str) -> list[str]:
    """Return what lies beside the tar of before and not beside this one.

    Anybody may have edited the record: what is not the name of a log or of a file of the
    environment is left where it is.
    """
    tar = key.rpartition("/")[2]
    then = set() if before is None else {*before.files}
    return sorted(filter(_is_beside, then - {*names, tar, _record_key(tar), "env"}))


def _is_beside(name: str) -> bool:
    """Tell whether a file of the archive can bear this name: it leads nowhere else."""
    try:
        return bool(relative_name("env", name.removeprefix("env/")))
    except ArchiveError:
        return False


def _checked(beside: dict[str, FileEntry], key: str, manifest: Manifest) -> dict[str, FileEntry]:
    """Refuse a log that would take the place of something else."""
    tar = key.rpartition("/")[2]
    if taken := sorted({tar, _record_key(tar), "env"} & set(beside)):
        message = "a log has the name of another file of the tar layout"
        raise ArchiveError(message, dataset=manifest.dataset, found=taken[0])
    return beside


def _copy(shelf: _Shelf, manifest: Manifest, file: FileEntry, target: Path) -> None:
    with shelf.local(manifest, file) as path:
        found, _ = disk.copy_new(path, target)
        if found != file.sha256:
            raise ArchiveError(
                "the published file has changed",
                dataset=manifest.dataset,
                path=path,
                expected=f"sha256 {file.sha256}",
                found=found,
            )


def _keep(made: Path, target: Path, manifest: Manifest) -> Saved:
    """Give a finished tar its name, unless other bytes have it."""
    sha256, is_there = disk.digest_file(made), False
    try:
        target.hardlink_to(made)
        disk.sync_folder(target.parent)
    except FileExistsError:
        is_there = True
        if (found := disk.digest_file(target)) != sha256:
            raise ArchiveError(
                "another file has this name; move it away",
                dataset=manifest.dataset,
                path=target,
                expected=f"sha256 {sha256} (run {manifest.run})",
                found=found,
            ) from None
    size = disk.size_of(made)
    return Saved(manifest.dataset, manifest.run, str(target), sha256, size, is_there)


class _Shelf(Protocol):
    """An output, with keys below it."""

    def uri_of(self, key: str) -> str: ...

    def read(self, key: str) -> bytes | None: ...

    def digest(self, key: str) -> str | None:
        """Return the sha256 of what lies there; None where there is nothing."""
        ...

    def working(self, label: str) -> AbstractContextManager[Path]:
        """Lend a folder for work in progress."""
        ...

    def local(self, manifest: Manifest, file: FileEntry) -> AbstractContextManager[Path]:
        """Lend a local file with the bytes of a published one."""
        ...

    def remove(self, key: str) -> None:
        """Remove what lies there; nothing there is no error."""
        ...

    def put(self, made: Path, key: str) -> None:
        """Move a finished file from the work folder into place, whatever lies there."""
        ...


@dataclass(frozen=True)
class _FolderShelf:
    folder: Path

    def uri_of(self, key: str) -> str:
        return (self.folder / key).as_uri()

    def read(self, key: str) -> bytes | None:
        path = self.folder / key
        return path.read_bytes() if path.is_file() else None

    def digest(self, key: str) -> str | None:
        path = self.folder / key
        return disk.digest_file(path) if path.is_file() else None

    @contextmanager
    def working(self, label: str) -> Iterator[Path]:
        area = self.folder / "outputs" / STAGING
        refuse_detour(self.folder, area)
        sweep(area)
        with staged(area, label) as entry:
            yield entry

    @contextmanager
    def local(self, manifest: Manifest, file: FileEntry) -> Iterator[Path]:
        yield publication_folder(self.folder, manifest.run, manifest.id) / file.name

    def put(self, made: Path, key: str) -> None:
        path = self.folder / key
        refuse_detour(self.folder, path.parent)
        disk.make_folders(path.parent)
        made.replace(path)
        disk.sync_folder(path.parent)

    def remove(self, key: str) -> None:
        path = self.folder / key
        refuse_detour(self.folder, path.parent)
        path.unlink(missing_ok=True)


@dataclass(frozen=True)
class _StoreShelf:
    store: Store
    scratch: Path

    def uri_of(self, key: str) -> str:
        return self.store.uri_of(key)

    def read(self, key: str) -> bytes | None:
        found = self.store.read(key)
        return None if found is None else found.data

    def digest(self, key: str) -> str | None:
        found = self.store.head(key)
        return None if found is None else found.sha256 or self.store.compute_digest(key)

    @contextmanager
    def working(self, label: str) -> Iterator[Path]:
        sweep(self.scratch)
        with staged(self.scratch, label) as entry:
            yield entry

    @contextmanager
    def local(self, manifest: Manifest, file: FileEntry) -> Iterator[Path]:
        key = f"{place_of(manifest.run, manifest.id)}/{file.name}"
        disk.make_folders(self.scratch)
        with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            self.store.get(key, path := Path(folder) / "file")
            yield path

    def put(self, made: Path, key: str) -> None:
        self.store.put(made, key)

    def remove(self, key: str) -> None:
        self.store.delete(key)


def _shelf_of(output: Output, scratch: Path) -> _Shelf:
    if isinstance(output, StoreOutput):
        return _StoreShelf(output.store, scratch)
    if isinstance(output, FileOutput):
        return _FolderShelf(output.folder.absolute())
    raise ArchiveError("no tar can be made of this kind of output", path=output.uri)


def _local_files(shelf: _Shelf, manifest: Manifest) -> Local:
    return lambda file: shelf.local(manifest, file)
