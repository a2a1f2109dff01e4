"""A folder as a store: for mounted storage, and to try things without a bucket."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from calib.errors import ArchiveError, NotFound
from calib.stores.sources import open_outgoing, refuse_difference
from calib.stores.store import Content, Stored, check_key, hash_file

# Work in progress; no key begins with it in a listing.
_PARTS = ".parts"


@dataclass(frozen=True)
class FileStore:
    """Objects as files below a folder.

    Attributes
    ----------
    root
        The folder, absolute; made by the first object.
    """

    root: Path

    @property
    def uri(self) -> str:
        """Where the store is."""
        return f"file:{self.root}"

    def uri_of(self, key: str) -> str:
        """Return where an object is or would be."""
        return f"file:{self._path(key)}"

    def head(self, key: str) -> Stored | None:
        """Describe an object; None where there is none. No sha256 is recorded."""
        path = self._path(key)
        with _file_errors(path):
            return self._describe(path) if path.is_file() else None

    def list_keys(self, prefix: str) -> Iterator[Stored]:
        """Yield all objects whose keys begin with a prefix, in key order."""
        with _file_errors(self.root):
            names = (path.relative_to(self.root).as_posix() for path in self._files())
            keys = sorted(name for name in names if name.startswith(prefix))
            found = [self._describe(self.root / key) for key in keys]
        yield from found

    def list_folders(self, prefix: str) -> list[str]:
        """Return the names of the folders below a prefix."""
        folder = self._path(prefix)
        with _file_errors(folder):
            entries = [*folder.iterdir()] if folder.is_dir() else []
            return sorted(entry.name for entry in entries if entry.is_dir())

    def read(self, key: str) -> Content | None:
        """Return a small object whole; None where there is none."""
        path = self._path(key)
        with _file_errors(path):
            if not path.is_file():
                return None
            tag, data = self._describe(path).tag, path.read_bytes()
            return Content(data, tag, max(time.time() - path.stat().st_mtime, 0.0))

    def get(self, key: str, target: Path) -> Stored:
        """Copy an object into a local file."""
        path = self._path(key)
        self._refuse_missing(path)
        with _file_errors(path), path.open("rb") as stream, target.open("wb") as out:
            shutil.copyfileobj(stream, out)
        return self._describe(path)

    def compute_digest(self, key: str) -> str:
        """Read an object and return its sha256 (hexadecimal)."""
        path = self._path(key)
        self._refuse_missing(path)
        with _file_errors(path):
            return hash_file(path)

    def put(
        self,
        source: Path,
        key: str,
        *,
        sha256: str | None = None,
        only_new: bool = False,
        verify: bool = True,
    ) -> Stored:
        """Store a local file: flushed to disk, then moved into place."""
        path, outgoing = self._path(key), open_outgoing(source, sha256)
        with _file_errors(path), self._part() as part:
            if outgoing.data is None:
                shutil.copyfile(source, part)
            else:
                part.write_bytes(outgoing.data)
            if verify:
                refuse_difference(self.uri_of(key), outgoing.sha256, hash_file(part))
            if not self._move(part, path, only_new=only_new) and hash_file(path) != outgoing.sha256:
                raise ArchiveError("other bytes lie there already", path=path)
            stored = self._describe(path)
        return Stored(key, stored.size, stored.tag, outgoing.sha256)

    def put_if_absent(self, key: str, data: bytes) -> str | None:
        """Store bytes under a free key and return their tag; None where the key is taken."""
        path = self._path(key)
        with _file_errors(path), self._part() as part:
            part.write_bytes(data)
            tag = self._describe(part).tag
            return tag if self._move(part, path, only_new=True) else None

    def replace(self, key: str, data: bytes, tag: str | None = None) -> str | None:
        """Store bytes and return their tag; with a tag, only where the object still has it."""
        path = self._path(key)
        with _file_errors(path), self._part() as part, self._locked():
            if tag is not None and not (path.is_file() and self._describe(path).tag == tag):
                return None
            part.write_bytes(data)
            made = self._describe(part).tag
            self._move(part, path, only_new=False)
            return made

    def delete(self, key: str) -> None:
        """Remove an object; a missing one is no error."""
        path = self._path(key)
        with _file_errors(path), self._locked():
            path.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    def _files(self) -> Iterator[Path]:
        for folder, folders, files in os.walk(self.root):
            if Path(folder) == self.root and _PARTS in folders:
                folders.remove(_PARTS)
            yield from (Path(folder) / name for name in files)

    def _describe(self, path: Path) -> Stored:
        status = path.stat()
        tag = f"{status.st_ino}-{status.st_size}-{status.st_mtime_ns}"
        return Stored(path.relative_to(self.root).as_posix(), status.st_size, tag)

    def _refuse_missing(self, path: Path) -> None:
        if not path.is_file():
            raise NotFound("no such object", path=path)

    @contextmanager
    def _part(self) -> Iterator[Path]:
        """Lend a name for work in progress on the same file system."""
        (self.root / _PARTS).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.root / _PARTS) as folder:
            yield Path(folder) / "part"

    def _move(self, part: Path, path: Path, *, only_new: bool) -> bool:
        """Flush a finished file and move it into place; False where the place is taken."""
        with part.open("rb") as stream:
            os.fsync(stream.fileno())
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            if only_new:
                os.link(part, path)
            else:
                part.replace(path)
        except FileExistsError:
            return False
        return True

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes and threads from comparing and replacing meanwhile."""
        (self.root / _PARTS).mkdir(parents=True, exist_ok=True)
        with (self.root / _PARTS / "lock").open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield


@contextmanager
def _file_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ArchiveError(
            f"the file system failed: {error.strerror}", path=error.filename or path
        ) from error
