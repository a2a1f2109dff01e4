"""The file system: durable writing, checksums, and errors in words.

All writing of the archive goes through here, in calls that either happen or do not, so that
tests can stop the machine between any two of them.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from calib.errors import ArchiveError
from calib.stores.store import CHUNK

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_IN_THE_WAY = frozenset({errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENOTEMPTY})
# Some network and FUSE file systems cannot flush a folder and say so in these two ways.
_NO_FOLDER_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP})

# Another file system, another user's file, a file system without hard links, too many links.
_NOT_LINKED = frozenset({errno.EXDEV, errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EMLINK})
_WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


@contextmanager
def archive_errors(
    place: Path, *, dataset: str | None = None, needed: int | None = None
) -> Iterator[None]:
    """Turn errors of the operating system inside the block into :class:`ArchiveError`.

    Parameters
    ----------
    place
        The folder being written, named where the system names no file.
    dataset
        The dataset concerned.
    needed
        Bytes that the whole work needs, reported beside the free bytes when a disk is full.
    """
    try:
        yield
    except OSError as error:
        full = error.errno in _FULL
        raise ArchiveError(
            _explain(error),
            dataset=dataset,
            path=error.filename or place,
            expected=f"{needed} bytes free" if full and needed is not None else None,
            found=f"{free_bytes(place)} bytes free" if full else None,
        ) from error


def _explain(error: OSError) -> str:
    why = error.strerror or str(error)
    if error.errno in _FULL:
        return f"the disk is full, or a quota is used up: {why}"
    if error.errno in _FORBIDDEN:
        return f"not writable, or not allowed: {why}"
    if error.errno in _IN_THE_WAY:
        return f"something else is in the way: {why}"
    return f"the file system failed: {why}"


def free_bytes(place: Path) -> int:
    """Return the bytes an ordinary user can still write at a place that may not exist yet."""
    while not place.exists() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free


def make_folders(folder: Path) -> None:
    """Make a folder and its missing parents, each flushed into its own parent."""
    if folder.is_dir():
        return
    make_folders(folder.parent)
    # Another process may make it at the same time; a file of that name is still an error.
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Flush the entries of a folder to disk, where the file system can."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(handle)


def write_new(target: Path, content: bytes) -> None:
    """Write a file that must not exist yet, and flush it."""
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        _write_all(handle, memoryview(content))
        os.fsync(handle)
    finally:
        os.close(handle)


def copy_new(source: Path, target: Path) -> tuple[str, int]:
    """Copy a file to a name that must not exist yet, and flush it.

    Returns
    -------
    tuple
        The sha256 (hexadecimal) and the number of the bytes written.

    Raises
    ------
    ArchiveError
        The source is missing, unreadable, or not an ordinary file.
    OSError
        The target cannot be written.
    """
    digest, size = hashlib.sha256(), 0
    with _reading(source) as reader:
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            for chunk in _chunks(reader, source):
                digest.update(chunk)
                _write_all(handle, chunk)
                size += len(chunk)
            os.fsync(handle)
        finally:
            os.close(handle)
    return digest.hexdigest(), size


def link_new(source: Path, target: Path) -> tuple[str, int]:
    """Give a file a second name that must not exist yet, and take the right to write it away.

    The two names are one file: who writes into the source writes into the archive. A file that
    nobody may write is replaced by careful programs, which leaves the archive's name alone.

    Returns
    -------
    tuple
        The sha256 (hexadecimal) and the number of its bytes.

    Raises
    ------
    ArchiveError
        The file lies on another file system, belongs to another user, or is not an ordinary
        file: it can be copied. It is as it was.
    """
    with _reading(source) as reader:
        try:
            os.link(source.resolve(), target)  # link(2) would link the link
            _protect(reader, target)
        except OSError as error:
            if error.errno not in _NOT_LINKED:
                raise
            message = f"cannot be linked into the archive ({error.strerror}): copy it"
            raise ArchiveError(message, path=source) from error
    return digest_file(target), size_of(target)


def _protect(reader: int, target: Path) -> None:
    """Take the right to write a linked file away; where that fails the new name goes again."""
    try:
        os.fchmod(reader, os.fstat(reader).st_mode & ~_WRITABLE)
        os.fsync(reader)
    except OSError:
        target.unlink()
        raise


def size_of(path: Path) -> int:
    """Return the size of an ordinary file in bytes.

    Raises
    ------
    ArchiveError
        The file cannot be read, or is not an ordinary file.
    """
    with _reading(path) as reader:
        return os.fstat(reader).st_size


def digest_file(path: Path) -> str:
    """Return the sha256 of a file (hexadecimal).

    Raises
    ------
    ArchiveError
        The file cannot be read, or is not an ordinary file.
    """
    digest = hashlib.sha256()
    with _reading(path) as reader:
        for chunk in _chunks(reader, path):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def _reading(path: Path) -> Iterator[int]:
    # O_NONBLOCK: opening a pipe must not wait for a writer.
    with _unreadable(path):
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ArchiveError("not an ordinary file", path=path)
        yield handle
    finally:
        os.close(handle)


def _chunks(reader: int, path: Path) -> Iterator[memoryview]:
    buffer = memoryview(bytearray(CHUNK))
    while True:
        with _unreadable(path):
            count = os.readv(reader, [buffer])
        if not count:
            return
        yield buffer[:count]


@contextmanager
def _unreadable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ArchiveError(f"cannot read: {error.strerror}", path=path) from error


def _write_all(handle: int, content: memoryview) -> None:
    while content:
        content = content[os.write(handle, content) :]
