"""Opens a file of the archive for a reader of the dashboard, or says why not.

The path is the ledger's, never a request's; a ledger may yet be somebody else's, and a folder of
the archive may hold what nobody registered. So a file is opened only where it lies inside the
folder of its publication after all links are followed, is a regular file, and is the one that was
registered.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from deployments.dashboard.once import Busy, Once

# Bytes of one read: a thread is lent for each (some 0.1 ms), and fifty readers hold one each.
CHUNK = 256 * 1024

# Files whose checksum is remembered: those of some hundred pages of the gallery.
_REMEMBERED = 8192

# Bytes that take a third of a second to hash, and how many larger files are hashed at once: whoever
# else asks for one is told to ask again, so that the other threads answer other pages.
_LARGE = 100_000_000
_AT_ONCE = 2


class CannotShow(Exception):
    """A file is not given out; the text says why, `code` is HTTP's number for it."""

    def __init__(self, why: str, code: int = 404) -> None:
        super().__init__(why)
        self.code = code


@dataclass(frozen=True)
class Opened:
    """An open file; whoever has it closes it.

    Attributes
    ----------
    descriptor
        Of the file, for reading.
    size
        Bytes.
    """

    descriptor: int
    size: int

    def read(self, start: int, number: int) -> bytes:
        """Return up to so many bytes from a place in the file."""
        return os.pread(self.descriptor, number, start)

    @property
    def state(self) -> tuple[int, ...]:
        """What tells this file from others, and from itself after a change."""
        now = os.fstat(self.descriptor)
        return (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.descriptor)


def open_inside(path: Path, folder: Path) -> Opened:
    """Open a regular file that lies inside a folder.

    Links are followed first; the path that comes of it is then walked from the folder without
    following any, so that what is swapped meanwhile is refused, too.

    Raises
    ------
    CannotShow
        There is no such file, it lies elsewhere, is no regular file, or may not be read.
    """
    try:
        root, real = folder.resolve(strict=True), path.resolve(strict=True)
        if root not in real.parents:
            raise CannotShow("the file does not lie in the folder of its publication")
        return _open_below(root, real.relative_to(root).parts)
    except PermissionError as error:
        raise CannotShow("the dashboard may not read this file") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        message = "the file is not where the ledger says, or not on a disk of this machine"
        raise CannotShow(message) from error
    except (OSError, RuntimeError, ValueError) as error:  # loops of links, bytes no name has
        raise CannotShow("the file cannot be opened") from error


def open_registered(path: Path, folder: Path, size: int, sha256: str | None) -> Opened:
    """Open a file, checked to be the one that was registered.

    Parameters
    ----------
    path, folder
        As for :func:`open_inside`.
    size, sha256
        As registered; where no checksum was taken the size alone is compared. Bytes are hashed
        once, and again when the file changes.

    Raises
    ------
    CannotShow
        As :func:`open_inside`, or another file lies there now (410).
    """
    with ExitStack() as stack:
        opened = open_inside(path, folder)
        stack.callback(opened.close)
        _refuse_changed(opened, size, sha256)
        stack.pop_all()
    return opened


@contextmanager
def closing(opened: Opened) -> Iterator[Opened]:
    """Give an open file, and close it at the end."""
    try:
        yield opened
    finally:
        opened.close()


def _refuse_changed(opened: Opened, size: int, sha256: str | None) -> None:
    if opened.size != size:
        message = f"another file lies there now: {opened.size} bytes in place of {size}"
        raise CannotShow(message, 410)
    if sha256 is not None and _sum_of(opened) != sha256:
        raise CannotShow("another file lies there now: its checksum is another", 410)


def _open_below(root: Path, parts: tuple[str, ...]) -> Opened:
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        return _open_regular(parts[-1], folder)
    finally:
        os.close(folder)


def _open_regular(name: str, folder: int) -> Opened:
    """Open a file, but no pipe or device: opening one may wait, or do something."""
    _refuse_other(os.stat(name, dir_fd=folder, follow_symlinks=False))
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
    with ExitStack() as stack:
        descriptor = os.open(name, flags, dir_fd=folder)
        stack.callback(os.close, descriptor)
        found = os.fstat(descriptor)
        _refuse_other(found)
        stack.pop_all()
    return Opened(descriptor, found.st_size)


def _refuse_other(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise CannotShow("this is no regular file")


def _sum_of(opened: Opened) -> str:
    """Return the checksum of a file, taken once until it changes.

    Raises
    ------
    CannotShow
        It is large, and another thread is at it, or as many as may be are at others (503).
    """
    is_large = opened.size > _LARGE
    make = partial(_hash_in_turn if is_large else _hash, opened)
    try:
        return _SUMS.get(opened.state, make, waits=not is_large)
    except Busy as error:
        message = "this file is large and its checksum is being taken: ask again in a few seconds"
        raise CannotShow(message, 503) from error


_SUMS: Once[str] = Once(_REMEMBERED)
_TURNS = threading.BoundedSemaphore(_AT_ONCE)


def _hash_in_turn(opened: Opened) -> str:
    if not _TURNS.acquire(blocking=False):
        raise Busy
    try:
        return _hash(opened)
    finally:
        _TURNS.release()


def _hash(opened: Opened) -> str:
    digest, start = hashlib.sha256(), 0
    while block := opened.read(start, CHUNK):
        digest.update(block)
        start += len(block)
    return digest.hexdigest()
