"""Work in progress: folders that vanish with their owner.

The name of a staging folder says who owns it: ``LABEL+PLACE+PID+START+TOKEN``. PLACE stands
for one process table (host, boot and pid namespace), so a container that borrows its host's
name is not mistaken for it; START is the start of the process in clock ticks, which tells a
process from a later one with the same number.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from calib.archive.disk import make_folders

log = logging.getLogger(__name__)

# Owners elsewhere cannot be asked whether they live; nothing is published for a week.
ABANDONED_AFTER = 7 * 24 * 3600.0

# Several processes sweeping at once take files from under each other; each try gets further.
_TRIES = 10

# Fields 3 and 22 of /proc/PID/stat (proc(5)), counted after the command name, which may hold
# blanks.
_STATE_FIELD, _START_FIELD = 0, 19

_NAME = re.compile(r"[^+]+\+(?P<place>[^+]+)\+(?P<pid>[1-9]\d{0,8})\+(?P<start>\d+)\+[0-9a-f]{8}")

# Folders in use by threads of this process.
_in_use: set[Path] = set()


@contextmanager
def staged(area: Path, label: str) -> Iterator[Path]:
    """Give a fresh folder below `area`, removed when the block ends, however it ends.

    Parameters
    ----------
    area
        Parent of the folder, made where missing. It stays.
    label
        What the work is about, for people who look; no ``+`` and no separator.
    """
    make_folders(area)
    entry = area / owner_name(label)
    _in_use.add(entry)
    try:
        entry.mkdir()
        yield entry
    finally:
        _in_use.discard(entry)
        _remove(entry)


def owner_name(label: str) -> str:
    """Return a new name that says which process it belongs to."""
    pid = os.getpid()
    return f"{label}+{_place()}+{pid}+{_start(pid) or 0}+{secrets.token_hex(4)}"


def is_owner_dead(name: str) -> bool:
    """Tell whether the process of an :func:`owner_name` has ended.

    False also where nobody here can tell: the process is in another process table.
    """
    owner = _NAME.fullmatch(name)
    if owner is None or owner["place"] != _place():
        return False
    return not _is_alive(int(owner["pid"]), int(owner["start"]))


def sweep(area: Path) -> None:
    """Remove staging folders whose owner is dead; leave those of the living, and all else.

    An owner in another process table counts as dead after a week.
    """
    if not area.is_dir():
        return
    for entry in [Path(found) for found in os.scandir(area)]:
        if is_abandoned(entry):
            log.info("removing %s, left by a process that ended", entry)
            _remove(entry)


def is_abandoned(entry: Path) -> bool:
    """Tell whether a staging folder is one that nobody works in any more."""
    owner = _NAME.fullmatch(entry.name)
    if owner is None or entry in _in_use:
        return False
    pid = int(owner["pid"])
    if owner["place"] != _place():
        with suppress(FileNotFoundError):
            return time.time() - entry.stat().st_mtime > ABANDONED_AFTER
        return False
    return pid == os.getpid() or not _is_alive(pid, int(owner["start"]))


def _is_alive(pid: int, start: int) -> bool:
    # Asked by signal first: /proc may hide other users' processes (hidepid).
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return _start(pid) in {start, None}


@cache
def _place() -> str:
    """Return a word for the process table this process is in."""
    host = socket.gethostname()
    parts = [host]
    with suppress(OSError):  # not on Linux: the host name has to do
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    short = re.sub(r"[^a-z0-9]", "", host.split(".")[0].lower())[:20]
    return f"{short}.{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:8]}"


def _start(pid: int) -> int | None:
    """Return when a process started (clock ticks since boot).

    0 for one that has ended and waits for its parent to notice; None where nothing can be
    seen (no /proc, or one that hides other users' processes).
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return 0 if fields[_STATE_FIELD] == "Z" else int(fields[_START_FIELD])


def _remove(entry: Path) -> None:
    """Remove a folder that other processes may be removing too; to fail is a warning."""
    try:
        for _ in range(_TRIES):
            if not entry.exists():
                return
            with suppress(FileNotFoundError):
                shutil.rmtree(entry)
    except OSError as error:
        log.warning("cannot remove %s: %s", entry, error)
