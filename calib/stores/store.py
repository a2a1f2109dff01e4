"""What every store can do, and the names that keys may have."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from calib.errors import ConfigError
from calib.records import ProductFile

# Large enough that calls do not count beside sha256 (about 1 ms per chunk).
CHUNK = 1 << 20


@dataclass(frozen=True)
class Stored:
    """One object as a store describes it.

    Attributes
    ----------
    key
        Its name below the store's prefix, parts separated by ``/``.
    size
        Number of bytes.
    tag
        Text that changes whenever the bytes do (the ETag of S3).
    sha256
        As recorded when it was put (hexadecimal); None where nobody recorded it.
    """

    key: str
    size: int
    tag: str
    sha256: str | None = None


@dataclass(frozen=True)
class Content:
    """The bytes of a small object.

    Attributes
    ----------
    data, tag
        Bytes, and the tag that they had when they were read.
    age
        Seconds since they were written, by the store's own clock.
    """

    data: bytes
    tag: str
    age: float


class Store(Protocol):
    """Objects under keys. Objects appear whole or not at all.

    Stores are safe to share between threads, and pickle in a few bytes.

    Every method may raise Unavailable (the store does not answer: try again), ConfigError (no
    such bucket or folder, a key that is not allowed, no credentials while reading),
    Proprietary (reading is forbidden) and ArchiveError (writing is forbidden or fails).
    """

    @property
    def uri(self) -> str:
        """Where the store is, as a URI without a slash at its end."""
        ...

    def uri_of(self, key: str) -> str:
        """Return where an object is or would be."""
        ...

    def head(self, key: str) -> Stored | None:
        """Describe an object; None where there is none."""
        ...

    def list_keys(self, prefix: str) -> Iterator[Stored]:
        """Yield all objects whose keys begin with a prefix, in key order, without sha256."""
        ...

    def list_folders(self, prefix: str) -> list[str]:
        """Return the next parts of the keys below ``PREFIX/`` that have further parts."""
        ...

    def read(self, key: str) -> Content | None:
        """Return a small object whole; None where there is none."""
        ...

    def get(self, key: str, target: Path) -> Stored:
        """Bring an object into a local file, checked against its recorded sha256.

        Raises
        ------
        NotFound
            No such object.
        CorruptFile
            The bytes are not those that were put.
        """
        ...

    def compute_digest(self, key: str) -> str:
        """Read an object and return the sha256 of its bytes (hexadecimal).

        Raises
        ------
        NotFound
            No such object.
        """
        ...

    def put(
        self,
        source: Path,
        key: str,
        *,
        sha256: str | None = None,
        only_new: bool = False,
        verify: bool = True,
    ) -> Stored:
        """Store a local file.

        Parameters
        ----------
        source
            An ordinary file.
        key
            Its name in the store.
        sha256
            What its bytes must be (hexadecimal); None where nobody has said.
        only_new
            Refuse to overwrite other bytes.
        verify
            Read the object back and compare its sha256: one more pass over all bytes.

        Raises
        ------
        ArchiveError
            The file is missing or not what `sha256` says, other bytes lie there and
            `only_new` is set, or what was read back differs.
        """
        ...

    def put_if_absent(self, key: str, data: bytes) -> str | None:
        """Store bytes under a free key and return their tag; None where the key is taken.

        Of several callers with different bytes exactly one gets a tag.
        """
        ...

    def replace(self, key: str, data: bytes, tag: str | None = None) -> str | None:
        """Store bytes and return their tag.

        With a tag given, only where the object still has that tag; None where it has not.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove an object; a missing one is no error."""
        ...


def check_key(key: str) -> str:
    """Return a key unchanged where it is allowed.

    Raises
    ------
    ConfigError
        It is empty, has an empty part, ``.`` or ``..``, or a character that does not print.
    """
    parts = key.split("/")
    if not key.isprintable() or any(part in {"", ".", ".."} for part in parts):
        raise ConfigError("not a key of a store", expected="NAME/NAME/...", found=repr(key))
    return key


def hash_file(path: Path) -> str:
    """Return the sha256 of a file (hexadecimal)."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def product_file(path: Path) -> ProductFile:
    """Return the record of a finished file."""
    return ProductFile(path.name, str(path), hash_file(path), path.stat().st_size)
