"""Files to be ingested: found below a folder or a bucket's prefix, and brought within reach."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from calib.archive.disk import digest_file
from calib.errors import ConfigError, NotFound
from calib.stores.s3_store import S3Store, open_store
from calib.stores.uri import parse_uri


@dataclass(frozen=True)
class FoundFile:
    """One file of a source.

    Attributes
    ----------
    key
        Its path below the source, parts separated by ``/``.
    size
        Bytes.
    trouble
        Why it is not taken; empty for an ordinary file.
    """

    key: str
    size: int
    trouble: str = ""


@dataclass(frozen=True)
class LocalFile:
    """A file within reach.

    Attributes
    ----------
    path
        Where it lies.
    sha256
        Checksum of its bytes (hexadecimal); None where nobody asked.
    """

    path: Path
    sha256: str | None


class Source(Protocol):
    """A place that files come from."""

    @property
    def uri(self) -> str:
        """``file:/PATH`` or ``s3://BUCKET/PREFIX``."""
        ...

    @property
    def is_local(self) -> bool:
        """Whether files can be read where they are."""
        ...

    def list_files(self) -> Iterator[FoundFile]:
        """Yield all files, in the order of their keys.

        Raises
        ------
        NotFound
            There is no such folder, or it may not be read.
        """
        ...

    def uri_of(self, key: str) -> str:
        """Return where a file is."""
        ...

    def bring(self, key: str, folder: Path, *, checksum: bool) -> LocalFile:
        """Make a file readable: where it is, or as a copy below `folder`.

        Raises
        ------
        HstflowError
            It is gone, or cannot be read.
        """
        ...


@dataclass(frozen=True)
class FolderSource:
    """A folder.

    Links to folders are never followed, links to files only where they stay in the folder.

    Attributes
    ----------
    root
        Absolute, links resolved.
    """

    root: Path
    is_local: bool = True

    @property
    def uri(self) -> str:
        """The folder as a URI."""
        return f"file:{self.root}"

    def list_files(self) -> Iterator[FoundFile]:
        """Yield all files below the folder; hidden folders are passed over."""
        if not self.root.is_dir():
            raise NotFound("no such folder", path=self.root)
        try:
            yield from self._walk()
        except OSError as error:
            message = f"the folder cannot be read: {error.strerror}"
            raise NotFound(message, path=error.filename) from error

    def uri_of(self, key: str) -> str:
        """Return where a file is."""
        return (self.root / key).as_uri()

    def bring(self, key: str, folder: Path, *, checksum: bool) -> LocalFile:  # noqa: ARG002 - of the protocol
        """Return a file where it is."""
        path = self.root / key
        # Exchanged since it was listed? os.path is four times as fast as pathlib here.
        if not os.path.realpath(path).startswith(str(self.root).rstrip(os.sep) + os.sep):
            raise NotFound("a link out of the folder is not followed", path=path)
        return LocalFile(path, digest_file(path) if checksum else None)

    def _walk(self) -> Iterator[FoundFile]:
        for folder, folders, names in os.walk(self.root, onerror=_raise):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                path = Path(folder, name)
                yield self._describe(path, path.relative_to(self.root).as_posix())

    def _describe(self, path: Path, key: str) -> FoundFile:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            target = path.resolve()
            if not target.is_relative_to(self.root):
                return FoundFile(key, 0, "a link out of the folder is not followed")
            if not target.is_file():
                return FoundFile(key, 0, "a link that leads to no file")
            status = target.stat()
        trouble = "" if stat.S_ISREG(status.st_mode) else "not an ordinary file"
        return FoundFile(key, status.st_size, trouble)


@dataclass(frozen=True)
class BucketSource:
    """A prefix of a bucket.

    Attributes
    ----------
    store
        Where.
    """

    store: S3Store
    is_local: bool = False

    @property
    def uri(self) -> str:
        """Where the files are."""
        return self.store.uri

    def list_files(self) -> Iterator[FoundFile]:
        """Yield all objects below the prefix."""
        for stored in self.store.list_keys(""):
            if not stored.key.endswith("/"):  # what consoles show as a folder
                yield FoundFile(stored.key, stored.size)

    def uri_of(self, key: str) -> str:
        """Return where an object is."""
        return self.store.uri_of(key)

    def bring(self, key: str, folder: Path, *, checksum: bool) -> LocalFile:
        """Bring an object into a new folder below `folder`, under its key's last part."""
        # Two objects of a dataset may have one name: a product and its preview.
        target = Path(tempfile.mkdtemp(dir=folder)) / key.rpartition("/")[2]
        stored = self.store.get(key, target)
        return LocalFile(target, stored.sha256 if checksum else None)


def open_source(uri: str) -> Source:
    """Return the source that a URI names.

    Parameters
    ----------
    uri
        ``file:FOLDER`` or ``s3://BUCKET/PREFIX``.

    Raises
    ------
    ConfigError
        Another URI, or s3: without boto3. Nothing is contacted yet.
    """
    source = parse_uri(uri)
    if source.scheme == "file":
        return FolderSource(source.path)
    if source.scheme == "s3":
        return BucketSource(open_store(source.location, "input"))
    raise ConfigError(
        "not a source that files can be ingested from",
        expected="file:FOLDER or s3://BUCKET/PREFIX",
        found=repr(uri),
    )


def _raise(error: OSError) -> None:
    raise error
