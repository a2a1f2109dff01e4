"""Locks between processes, of several users of one cache, too."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# What file systems without locks answer; network ones want a file open for writing (EBADF),
# which the lock of another user may not be.
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF})

# Whoever may use the folder of a lock may wait for it, whatever the umask of its first user.
_FOR_ALL = 0o666


@contextmanager
def locked(path: Path, *, mode: int = _FOR_ALL) -> Iterator[bool]:
    """Hold a lock for as long as the block lasts: other processes and threads wait.

    The system gives it back when its process ends, however it ends; the file stays.

    Parameters
    ----------
    path
        The file that stands for the lock, in a folder that is there.
    mode
        Its permissions: who else may wait for it.

    Yields
    ------
    bool
        Whether it is held; False: the file system has no locks.

    Raises
    ------
    OSError
        The file cannot be opened.
    """
    handle = _open(path, mode)
    try:
        yield _take(handle)
    finally:
        os.close(handle)


def _open(path: Path, mode: int) -> int:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, mode)
    except (
        PermissionError
    ):  # another user's, who kept it from us: it can be waited for all the same
        return os.open(path, os.O_RDONLY)
    status = os.fstat(handle)
    if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) != mode:
        with suppress(PermissionError):  # file systems without permissions
            os.fchmod(handle, mode)
    return handle


def _take(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return False
    return True
