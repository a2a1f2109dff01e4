"""Who works on a job, and whether they still live."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

# An attempt on another host that has not been heard of for this long is given up: ten beats
# of 30 s may be lost before a live worker is taken for dead.
STALE_AFTER = timedelta(minutes=5)

# psutil derives start times from the boot time, which moves when the clock is set: a little all
# the time, by up to hours when a clock that was wrong is put right. In between, a number may be
# that of the owner or of a later process, and its heartbeat tells.
_START_TOLERANCE = 2.0  # seconds
_CLOCK_STEP = timedelta(days=1).total_seconds()

# The namespace of a machine's own processes: PROC_PID_INIT_INO of Linux (linux/proc_ns.h).
_NAMESPACE = Path("/proc/self/ns/pid")
_MACHINE = f"pid:[{0xEFFFFFFC}]"


@dataclass(frozen=True)
class Owner:
    """A process that works on jobs.

    Attributes
    ----------
    host, pid
        Where it runs; the host as :func:`this_host` names it.
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


def this_host() -> str:
    """Return the name of this host, with ``#NUMBER`` where a container numbers its own processes.

    Containers may share the name of their host, and none sees the processes of another.
    """
    name = socket.gethostname()
    try:
        namespace = str(_NAMESPACE.readlink())
    except OSError:  # no Linux: there is one namespace
        return name
    return name if namespace == _MACHINE else f"{name}#{namespace.strip('pid:[]')}"


def current_owner() -> Owner:
    """Return this process as an owner, with a token of its own at every call."""
    pid = os.getpid()
    started = psutil.Process(pid).create_time()
    return Owner(this_host(), pid, started, secrets.token_hex(16))


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
        process is never given up, however long it is silent (a suspended laptop), unless the
        clock was set since it began. Then, and on another host: silence for longer than
        `stale_after`.
    """
    if owner.host == this_host():
        is_running = _is_running(owner)
        if is_running is not None:
            return None if is_running else f"{owner} has ended"
    silence = datetime.now(UTC) - datetime.fromisoformat(heartbeat)
    if silence > stale_after:
        return f"{owner} has been silent since {heartbeat}"
    return None


def _is_running(owner: Owner) -> bool | None:
    """Tell whether a process of this host lives; None where its number may be another's."""
    try:
        process = psutil.Process(owner.pid)
        step = abs(process.create_time() - owner.started)
        is_dead = step > _CLOCK_STEP or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
    return not is_dead if is_dead or step <= _START_TOLERANCE else None
