"""Who works on a job, and whether they still live."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

import psutil

# An attempt on another host that has not been heard of for this long is given up: ten beats
# of 30 s may be lost before a live worker is taken for dead.
STALE_AFTER = timedelta(minutes=5)

# psutil derives start times from the boot time, which moves a little when the clock is set.
_START_TOLERANCE = 2.0  # seconds


@dataclass(frozen=True)
class Owner:
    """A process that works on jobs.

    Attributes
    ----------
    host, pid
        Where it runs.
    started
        Start time of the process, seconds since 1970: tells a process from a later one with
        the same number.
    token
        Random; tells two attempts of one process apart.
    """

    host: str
    pid: int
    started: float
    token: str

    def __str__(self) -> str:
        return f"pid {self.pid} on {self.host}"


def current_owner() -> Owner:
    """Return this process as an owner, with a token of its own at every call."""
    pid = os.getpid()
    return Owner(socket.gethostname(), pid, _started(pid), secrets.token_hex(16))


def why_dead(owner: Owner, heartbeat: str, *, stale_after: timedelta = STALE_AFTER) -> str | None:
    """Tell why an owner is taken for dead, None while it may live.

    Parameters
    ----------
    owner
        The owner of an open attempt.
    heartbeat
        When it was last heard of, ISO 8601 with its zone.
    stale_after
        Silence after which an owner on another host is given up.

    Returns
    -------
    str or None
        On this host: the process has gone, or its number belongs to a later one; a live
        process is never given up, however long it is silent (a suspended laptop). On another
        host: silence for longer than `stale_after`.
    """
    if owner.host == socket.gethostname():
        return None if _is_running(owner) else f"{owner} has ended"
    silence = datetime.now(UTC) - datetime.fromisoformat(heartbeat)
    if silence > stale_after:
        return f"{owner} has been silent since {heartbeat}"
    return None


@cache
def _started(pid: int) -> float:
    """Return when this process started; by its number, since a fork is another process."""
    return float(psutil.Process(pid).create_time())


def _is_running(owner: Owner) -> bool:
    try:
        process = psutil.Process(owner.pid)
        same = abs(process.create_time() - owner.started) <= _START_TOLERANCE
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
