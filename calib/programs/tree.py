"""Process trees: the memory they hold, and how they are ended."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import psutil

_PAGE = os.sysconf("SC_PAGE_SIZE")
_PROC = Path("/proc")
HAS_PROC = sys.platform == "linux" and (_PROC / "self/statm").exists()
# Linux with CONFIG_PROC_CHILDREN: a list of children costs no search of all processes.
_LISTS_CHILDREN = (_PROC / f"self/task/{os.getpid()}/children").exists()


def resident(pid: int | None = None) -> int:
    """Return the bytes of memory that a process holds; 0 if it is gone.

    Parameters
    ----------
    pid
        Its number; None: this process.
    """
    number = os.getpid() if pid is None else pid
    if HAS_PROC:
        return _resident_by_proc(number)
    try:
        return int(psutil.Process(number).memory_info().rss)
    except psutil.Error:
        return 0


def descendants(pid: int) -> list[int]:
    """Return the children of a process, their children and so on; empty if it is gone."""
    if not _LISTS_CHILDREN:
        return _descendants_by_psutil(pid)
    return [number for child in _children(pid) for number in (child, *descendants(child))]


def born(pid: int) -> float | None:
    """Return when a process was started, by a clock of the system; None if it is gone.

    Numbers of processes are used again: one that was started at another time is another.
    """
    try:
        if HAS_PROC:  # field 22 of proc_pid_stat(5); the second, in brackets, may hold anything
            return float((_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[19])
        return float(psutil.Process(pid).create_time())
    except (OSError, IndexError, psutil.Error):
        return None


def tree_resident(pid: int) -> int:
    """Return the bytes of memory of a process and all its descendants.

    Pages that several of them share count once for each: it is an upper bound.
    """
    return sum(map(resident, (pid, *descendants(pid))))


def signal_group(group: int, number: signal.Signals) -> bool:
    """Send a signal to a process group; tell whether there was anybody."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
        return False
    return True


def signal_tree(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process's group, and to descendants that left the group."""
    left = [each for each in descendants(pid) if _group_of(each) != pid]
    signal_group(pid, number)
    for each in left:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(each, number)


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except OSError:
        return None


def _resident_by_proc(pid: int) -> int:
    try:
        return int((_PROC / str(pid) / "statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _children(pid: int) -> list[int]:
    """Read the children of all threads of a process; threads may end while they are read."""
    found: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for thread in list((_PROC / str(pid) / "task").iterdir()):
            with suppress(FileNotFoundError, ProcessLookupError):
                found.extend(map(int, (thread / "children").read_text().split()))
    return found


def _descendants_by_psutil(pid: int) -> list[int]:
    try:
        return [each.pid for each in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []
