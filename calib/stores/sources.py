"""Local files on their way into a store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from calib.errors import ArchiveError
from calib.stores.store import hash_file

# Files up to this size are read once, so that what is hashed is what is sent.
SMALL = 8 << 20


@dataclass(frozen=True)
class Outgoing:
    """A file about to be stored.

    Attributes
    ----------
    path, size, sha256
        Where it lies, its bytes and their checksum (hexadecimal).
    data
        The bytes themselves, of a small file.
    """

    path: Path
    size: int
    sha256: str
    data: bytes | None


def open_outgoing(path: Path, sha256: str | None) -> Outgoing:
    """Measure a file, and hold it against the checksum it must have.

    Raises
    ------
    ArchiveError
        It is missing, unreadable, not an ordinary file, or has changed.
    """
    with reading(path):
        if path.exists() and not path.is_file():
            raise ArchiveError("not an ordinary file", path=path)
        size = path.stat().st_size
        data = path.read_bytes() if size <= SMALL else None
        found = hash_file(path) if data is None else hashlib.sha256(data).hexdigest()
    if sha256 not in {None, found}:
        raise ArchiveError(
            "the file has changed since it was made",
            path=path,
            expected=f"sha256 {sha256}",
            found=found,
        )
    return Outgoing(path, size if data is None else len(data), found, data)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn errors of the operating system inside the block into :class:`ArchiveError`."""
    try:
        yield
    except OSError as error:
        raise ArchiveError(f"cannot read: {error.strerror}", path=path) from error


def refuse_difference(uri: str, expected: str, found: str) -> None:
    """Raise where what was read back is not what was sent.

    Raises
    ------
    ArchiveError
        The checksums differ.
    """
    if found != expected:
        raise ArchiveError(
            "what was read back is not what was stored",
            path=uri,
            expected=f"sha256 {expected}",
            found=found,
        )
