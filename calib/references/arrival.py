"""One file on its way into the cache: alone at it, whole, verified, then under its name."""

from __future__ import annotations

import errno
import logging
import os
import stat
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from calib.errors import BESTREFS, ConfigError, CorruptFile, HstflowError, Unavailable
from calib.references.files import sha1_of
from calib.references.locks import locked
from calib.references.origins import Origin
from calib.references.rules import has_own_checksum, is_rules
from calib.stores.new_file import flush

log = logging.getLogger(__name__)

# Begins the names of files that are still on their way.
PART = ".part-"

# Files below the cache that processes lock while they bring one: names share them, so that
# thousands of references do not leave thousands of locks behind.
LOCKS = ".locks"
_LOCK_NUMBER = 64

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})

# A file that arrives damaged is fetched once again.
_DAMAGED_TRIES = 2

State = Literal["absent", "right", "damaged", "another"]


@dataclass(frozen=True)
class Patience:
    """How often a file is asked for.

    Attributes
    ----------
    tries
        So often, where the server does not answer or breaks off.
    pause
        Seconds before the second try; each further wait is twice as long.
    """

    tries: int = 3
    pause: float = 0.3


@dataclass(frozen=True)
class Wanted:
    """A file that the cache should have.

    Attributes
    ----------
    name, target
        Its name and place.
    size, sha1
        As the catalogue has them; None: it does not say.
    """

    name: str
    target: Path
    size: int | None = None
    sha1: str | None = None

    def state(self, *, checked: bool = True) -> State:
        """Say whether the file that lies there is the right one.

        Parameters
        ----------
        checked
            Read it and compare its sha1, too; rules are small, and always read.

        Returns
        -------
        str
            ``absent``, ``right``, ``damaged``, or ``another``: sound rules of the same name that
            the server does not know.
        """
        if not self.target.is_file():
            return "absent"
        if self.agrees(self.target, checked=checked or is_rules(self.name)):
            return "right"
        is_sound = is_rules(self.name) and has_own_checksum(self.target)
        return "another" if is_sound else "damaged"

    def agrees(self, path: Path, *, checked: bool = True) -> bool:
        """Compare a file with the catalogue, or rules that it does not know with themselves."""
        if self.size is not None and path.stat().st_size != self.size:
            return False
        if self.sha1 is not None:
            return not checked or sha1_of(path) == self.sha1
        return not is_rules(self.name) or has_own_checksum(path) is True


def bring(origin: Origin, wanted: Wanted, patience: Patience) -> bool:
    """Bring a file into the cache, unless it is there or another process brings it meanwhile.

    Returns
    -------
    bool
        Whether it came from the origin; False: it was there.

    Raises
    ------
    NotFound
        The origin has no such file.
    Unavailable
        It does not answer in any try, or the disk is full.
    CorruptFile
        The file arrives damaged twice. Nothing of it stays.
    ConfigError
        The cache cannot be written.
    """
    with _cache_errors(wanted.target):
        wanted.target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(wanted) as part:
            if wanted.state() == "right":
                return False
            _fetch(origin, wanted, part, patience)
            flush(part)
            part.replace(wanted.target)
            return True


def remove_leftover(part: Path, before: float) -> None:
    """Remove what a killed download left, unless somebody has gone on with it since.

    Parameters
    ----------
    part
        The part; it may be gone.
    before
        It stays where it was written after this time (seconds since 1970).

    Raises
    ------
    ConfigError, Unavailable
        The cache cannot be written.
    """
    name = part.name.removeprefix(PART)
    with _cache_errors(part), locked(_lock_of(part, name)), suppress(FileNotFoundError):
        if part.stat().st_mtime < before:
            part.unlink()


def _fetch(origin: Origin, wanted: Wanted, part: Path, patience: Patience) -> None:
    if _is_whole(wanted, part):
        return
    damaged = 0
    for attempt in range(1, patience.tries + 1):
        try:
            origin.fetch(wanted.name, part)
            _verify(wanted, part)
        except (Unavailable, CorruptFile) as error:
            damaged += isinstance(error, CorruptFile)
            if attempt == patience.tries or damaged == _DAMAGED_TRIES:
                raise
            log.info("%s; trying again", error)
            time.sleep(patience.pause * 2 ** (attempt - 1))
        else:
            return


def _is_whole(wanted: Wanted, part: Path) -> bool:
    """Tell whether a killed download had all but its name; one that is too long is removed."""
    if wanted.size is None or not part.is_file() or part.stat().st_size < wanted.size:
        return False
    if wanted.agrees(part):
        return True
    part.unlink()
    return False


def _verify(wanted: Wanted, part: Path) -> None:
    """Refuse what is not what the catalogue says; a short file is only unfinished."""
    size = part.stat().st_size
    if wanted.size is not None and size < wanted.size:
        raise Unavailable(
            f"the download of {wanted.name} broke off",
            expected=f"{wanted.size} bytes",
            found=f"{size} bytes",
            code=BESTREFS,
        )
    if not wanted.agrees(part):
        found = f"{size} bytes, sha1 {sha1_of(part)}"
        part.unlink()
        raise CorruptFile(
            f"{wanted.name} arrived damaged",
            path=wanted.target,
            expected=f"{wanted.size} bytes, sha1 {wanted.sha1 or 'of its own header'}",
            found=found,
            code=BESTREFS,
        )


@contextmanager
def _alone(wanted: Wanted) -> Iterator[Path]:
    """Keep other processes and threads from the same file; lend the path of its beginning.

    The system gives a lock back when its process ends, however it ends. Where the file system
    has no locks each process writes a part of its own, and the last one to finish wins.
    """
    shared = wanted.target.with_name(f"{PART}{wanted.name}")
    with locked(_lock_of(wanted.target, wanted.name)) as is_alone:
        if is_alone:
            _drop_foreign(shared)
            yield shared
            return
        own = shared.with_name(f"{shared.name}.{os.getpid()}-{time.monotonic_ns()}")
        try:
            yield own
        finally:
            own.unlink(missing_ok=True)


def _drop_foreign(part: Path) -> None:
    """Begin anew where another user was killed, who left what only that user may go on with."""
    if part.exists() and not os.access(part, os.W_OK):
        part.unlink()


def _lock_of(target: Path, name: str) -> Path:
    """Return the lock of a file; whoever may write into the cache may take it."""
    cache = _cache_of(target)
    folder = cache / LOCKS
    try:
        folder.mkdir()
    except FileExistsError:
        pass
    else:
        with suppress(PermissionError):  # file systems without permissions
            folder.chmod(stat.S_IMODE(cache.stat().st_mode))
    return folder / f"{zlib.crc32(name.encode()) % _LOCK_NUMBER:02d}"


def _cache_of(target: Path) -> Path:
    """Return the cache of a file in ``CACHE/mappings/hst`` or ``CACHE/references/hst[/...]``."""
    kinds = {"mappings", "references"}
    return next(each.parent for each in target.parents if each.name in kinds)


@contextmanager
def _cache_errors(target: Path) -> Iterator[None]:
    """Turn errors of the operating system into ours."""
    try:
        yield
    except OSError as error:
        raise cache_error(error, target) from error


def cache_error(error: OSError, place: Path) -> HstflowError:
    """Return the error for a cache that cannot be written."""
    where = error.filename or place
    if error.errno in _FULL:
        message = "the disk of the CRDS cache is full, or a quota is used up"
        return Unavailable(message, path=where, code=BESTREFS)
    if error.errno in _FORBIDDEN:
        message = f"the CRDS cache cannot be written: {error.strerror}"
        return ConfigError(message, path=where, code=BESTREFS)
    return Unavailable(f"the CRDS cache fails: {error.strerror}", path=where, code=BESTREFS)
