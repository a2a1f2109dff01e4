"""Writing FITS files: under a temporary name, flushed to disk, renamed into place."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from calib.errors import ArchiveError, CorruptFile
from calib.fitsfile.opening import opened

if TYPE_CHECKING:
    from astropy.io import fits


def write_atomically(hdus: fits.HDUList, path: Path) -> None:
    """Write a file under a temporary name, flush it to disk, rename it into place."""
    with replacing(path) as stream:
        hdus.writeto(stream, output_verify="silentfix")


def update_primary_header(path: Path, cards: Mapping[str, Any]) -> None:
    """Set cards of the primary header; every byte behind it stays as it is.

    Parameters
    ----------
    cards
        Values, or (value, comment), by keyword. New keywords are appended. A CHECKSUM of
        the primary header is renewed.

    Raises
    ------
    NotFound, CorruptFile
        As :func:`opened`.
    """
    with opened(path) as hdus:
        primary = hdus[0]
        start = primary.fileinfo()["datLoc"]
        for keyword, value in cards.items():
            primary.header[keyword] = value
        if "CHECKSUM" in primary.header:
            primary.add_checksum(when="CHECKSUM renewed with the header")
        text = primary.header.tostring()
    with path.open("rb") as old, replacing(path) as stream:
        stream.write(text.encode("ascii"))
        old.seek(start)
        shutil.copyfileobj(old, stream)


def mark_present(source: Path, target: Path, names: Collection[str]) -> None:
    """Copy an association table with MEMPRSNT true for some members, and ASN_PROD true.

    Parameters
    ----------
    source, target
        The table, which stays as it is, and its copy.
    names
        Members, lower case.

    Raises
    ------
    NotFound, CorruptFile
        As :func:`opened`; also where the first extension is no association table.
    """
    with opened(source) as hdus:
        try:
            rows = hdus[1].data
            members = [str(name).strip().lower() for name in rows["MEMNAME"]]
            rows["MEMPRSNT"][[name in names for name in members]] = True
        except (IndexError, KeyError, TypeError) as error:
            raise CorruptFile("no association table", path=source) from error
        hdus[0].header["ASN_PROD"] = (True, "products have been made")
        for hdu in hdus:
            for keyword in ("CHECKSUM", "DATASUM"):
                hdu.header.remove(keyword, ignore_missing=True)
        write_atomically(hdus, target)


class Written(NamedTuple):
    """Checksum (hexadecimal) and size of a file, known from writing it."""

    sha256: str
    size: int


class HashedStream:
    """Bytes on their way into a file, with their checksum.

    Parameters
    ----------
    stream
        Where they go.
    pool
        Makes the checksum while the bytes and the next ones are written; None: afterwards.
        One thread: the bytes must be taken in order.

    Attributes
    ----------
    size
        Of what has been written so far.
    """

    def __init__(self, stream: BinaryIO, pool: Executor | None = None) -> None:
        self._stream = stream
        self._pool = pool
        self._digest = hashlib.sha256()
        self._job: Future[None] | None = None
        self.size = 0

    def write(self, data: bytes | memoryview) -> None:
        """Write bytes; nobody may change them afterwards."""
        if self._pool is not None:
            self._wait()
            self._job = self._pool.submit(self._digest.update, data)
        self._stream.write(data)
        if self._pool is None:
            self._digest.update(data)
        self.size += len(data)

    def checksum(self) -> str:
        """Return the sha256 of what has been written, hexadecimal."""
        self._wait()
        return self._digest.hexdigest()

    def _wait(self) -> None:
        """Wait for the bytes before, so that not more than two pieces are in memory."""
        if self._job is not None:
            self._job.result()


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file that takes the place of `path` if all goes well.

    Raises
    ------
    ArchiveError
        The file cannot be written; nothing of it is left.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with writing(path), part.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        with writing(path):
            part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn errors of the operating system inside the block into ArchiveError.

    Parameters
    ----------
    path
        What is written, for the message.
    """
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise ArchiveError(f"cannot be written: {why}", path=path) from error
