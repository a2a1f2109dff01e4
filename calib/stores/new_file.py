"""Files that are there whole or not at all: new ones, and newer ones in the place of others."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# What file systems without hard links (FAT, some network shares) answer to link(2).
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})


@contextmanager
def new_file(target: Path) -> Iterator[Path]:
    """Lend the path of a file beside the target, which takes its name at the end.

    Parameters
    ----------
    target
        The new file, in a folder that is there.

    Yields
    ------
    Path
        Where to write it; nothing is there yet. What fails leaves nothing behind.

    Raises
    ------
    FileExistsError
        The target is there, or came into being meanwhile.
    OSError
        It cannot be written.
    """
    if os.path.lexists(target):  # looked at again below, where it counts
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    with tempfile.TemporaryDirectory(prefix=".part-", dir=target.parent) as folder:
        part = Path(folder) / target.name
        yield part
        flush(part)
        name_file(part, target)
    flush(target.parent)


@contextmanager
def newer_file(target: Path) -> Iterator[Path]:
    """Lend the path of a file beside the target, which takes its place at the end.

    Parameters
    ----------
    target
        The file, in a folder that is there; readers see the old one or the new one, whole.

    Yields
    ------
    Path
        Where to write it; nothing is there yet. What fails leaves the old one as it is.

    Raises
    ------
    OSError
        It cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix=".part-", dir=target.parent) as folder:
        part = Path(folder) / target.name
        yield part
        flush(part)
        part.replace(target)
    flush(target.parent)


def name_file(part: Path, target: Path) -> None:
    """Give a file its name; unlike a rename, a link never replaces a file.

    Raises
    ------
    FileExistsError
        The name is taken.
    OSError
        The folder cannot be written.
    """
    try:
        os.link(part, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        target.touch(exist_ok=False)  # the name is ours, so that the rename replaces nothing
        part.replace(target)


def flush(path: Path) -> None:
    """Wait until the disk has a file, or the names in a folder.

    Raises
    ------
    OSError
        The disk is full or fails.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
