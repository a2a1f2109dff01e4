"""Downloads kept on this machine, by the sha256 of their bytes.

::

    FOLDER/files/ab/abcd...      finished downloads, read-only
    FOLDER/index/KEY.json        address, version, sha256 (KEY is a hash of the address)
    FOLDER/parts/KEY/            downloads under way, or broken off and to be resumed
    FOLDER/locks/                one download of an address at a time, over all processes

Everything appears by renaming, so any number of processes may share a folder on a local disk.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from calib.errors import MAST, ConfigError, Unavailable
from calib.fetch.copying import Copied, copy_stream
from calib.fetch.download import Remote, Version, download
from calib.fetch.options import Patience
from calib.records import from_json, to_json

log = logging.getLogger(__name__)

_POLL = 0.05  # seconds between two looks at a lock
_OLD_PART = 14 * 86400.0  # seconds after which a broken download is given up


@dataclass(frozen=True)
class Entry:
    """What the index says of an address."""

    url: str
    version: Version


class DownloadCache:
    """The downloads in a folder.

    Parameters
    ----------
    folder
        Made where absent.
    limit
        Most bytes that finished downloads may take: the least recently used ones make room
        before another is kept. None is no limit, 0 keeps nothing.
    """

    def __init__(self, folder: Path, limit: int | None = None) -> None:
        self.folder = folder
        self.limit = limit

    def fetch(self, remote: Remote, target: Path, patience: Patience) -> Copied:
        """Bring a file to `target`, from here if the archive still has this version.

        A file that was kept is hashed while it is copied; one that is damaged is loaded anew.

        Parameters
        ----------
        target
            A new file.

        Raises
        ------
        NotFound, Proprietary, Unavailable, CorruptFile
            As :func:`calib.fetch.download.download`.
        ConfigError
            The folder cannot be made.
        FileExistsError
            The target is there already.
        """
        key = _key_of(remote.url)
        part = self.folder / "parts" / key
        with self._locked(key[:2], remote.url, patience.deadline):
            entry = self._entry(key)
            version = download(remote, part, patience, entry.version if entry else None)
            if version is None and entry and (copied := self._copy(entry.version, target)):
                log.info("%s: from the download cache", remote.name)
                shutil.rmtree(part, ignore_errors=True)
                return copied
            if version is None:
                version = download(remote, part, patience)
            if version is None:
                raise Unavailable("the archive sent nothing", path=remote.url, code=MAST)
            return self._keep(part / remote.name, Entry(remote.url, version), key, target)

    def find(self, url: str) -> Copied | None:
        """Return what is kept of an address, without asking whether the archive has another.

        Nothing is written, and no file is read.
        """
        entry = self._entry(_key_of(url))
        if entry is None:
            return None
        version = entry.version
        return Copied(self._path(version.sha256), version.sha256, version.size)

    def _entry(self, key: str) -> Entry | None:
        try:
            entry = from_json(Entry, (self.folder / "index" / f"{key}.json").read_bytes())
        except (FileNotFoundError, ValueError):  # a damaged index is an empty one
            return None
        return entry if self._path(entry.version.sha256).is_file() else None

    def _path(self, sha256: str) -> Path:
        return self.folder / "files" / sha256[:2] / sha256

    def _copy(self, version: Version, target: Path) -> Copied | None:
        """Copy and hash; None where another process removed the file, or it is damaged."""
        path = self._path(version.sha256)
        try:
            with path.open("rb") as stream:
                copied = copy_stream(stream, target)
            os.utime(path)
        except FileNotFoundError:
            target.unlink(missing_ok=True)
            return None
        if copied.sha256 == version.sha256:
            return copied
        log.warning("%s is damaged: it is downloaded again", path)
        target.unlink()
        path.unlink(missing_ok=True)
        return None

    def _keep(self, path: Path, entry: Entry, key: str, target: Path) -> Copied:
        version = entry.version
        target.touch(exist_ok=False)
        shutil.copyfile(path, target)  # within the kernel: half the time of read and write
        if self.limit is None or version.size <= self.limit:
            with self._locked("room", str(self.folder), 60.0):
                self._make_room(version.size)
                kept = self._path(version.sha256)
                kept.parent.mkdir(parents=True, exist_ok=True)
                path.chmod(0o444)
                path.replace(kept)
            _write(self.folder / "index" / f"{key}.json", to_json(entry))
        shutil.rmtree(path.parent, ignore_errors=True)
        return Copied(target, version.sha256, version.size)

    def _make_room(self, size: int) -> None:
        """Remove what was used least recently until the limit allows for so many bytes more."""
        if self.limit is None:
            return
        files = sorted(map(_stated, self.folder.glob("files/*/*")))
        total = sum(size for _, size, _ in files)
        while files and total + size > self.limit:
            _, freed, path = files.pop(0)
            path.unlink(missing_ok=True)
            total -= freed
        self._remove_old_parts()

    def _remove_old_parts(self) -> None:
        """Remove what was broken off long ago and never resumed."""
        limit = time.time() - _OLD_PART
        for part in self.folder.glob("parts/*"):
            if _stated(part)[0] < limit:
                shutil.rmtree(part, ignore_errors=True)

    @contextmanager
    def _locked(self, name: str, what: str, seconds: float) -> Iterator[None]:
        """Hold a lock; a process that is killed lets go of it.

        Few lock files for all addresses (by the first digits of the key) never need removing.
        """
        path = _made(self.folder / "locks") / name
        end = time.monotonic() + seconds
        with path.open("a") as lock:
            while not _try_lock(lock.fileno()):
                if time.monotonic() > end:
                    message = "another process has been busy with this download for too long"
                    raise Unavailable(message, path=what, code=MAST)
                time.sleep(_POLL)
            yield


def _key_of(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:40]


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot write to the download cache: {error.strerror}",
            path=folder.parent,
            expected="a writable folder in HSTFLOW_DOWNLOADS",
        ) from error
    return folder


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _stated(path: Path) -> tuple[float, int, Path]:
    """Return time of last use, size and path; a file that just went counts nothing."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return 0.0, 0, path
    return status.st_mtime, status.st_size, path


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".", delete=False) as out:
        out.write(text)
    Path(out.name).replace(path)
