"""Processes of ours: what descends from them, and what is left of an earlier `hstflow up`."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable

import psutil

# In the environment of all that `hstflow up` starts, and so of what that starts: its home. A
# flow run has a session of its own, a killed parent leaves its children to others; this stays.
MARK = "HSTFLOW_UP"

GONE = (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess)
# Seconds from SIGTERM to SIGKILL for what should have ended already, and for the kill.
LAST_MOMENTS = 5.0
PAUSE = 0.05


def marked(home: str) -> list[psutil.Process]:
    """Return the processes that an `hstflow up` of a home started, and theirs, but ourselves.

    What we descend from is left out, too: a shell that was opened within an `hstflow up`, and in
    which somebody starts another, has the mark.
    """
    kept = {os.getpid(), *(each.pid for each in psutil.Process().parents())}
    ours, found = os.getuid(), []
    for process in psutil.process_iter():
        try:
            is_ours = process.pid not in kept and process.uids().real == ours
            if is_ours and process.environ().get(MARK) == home:
                found.append(process)
        except GONE:
            continue
    return found


def sweep(home: str, patience: float = LAST_MOMENTS) -> list[int]:
    """End what is left of an `hstflow up`.

    Parameters
    ----------
    home
        Its home.
    patience
        Seconds between asking and killing.

    Returns
    -------
    list of int
        What was left.
    """
    left = marked(home)
    tell(left, signal.SIGTERM)
    _wait(left, patience)
    deadline = time.monotonic() + LAST_MOMENTS
    # A process may start another between the look at all of them and its own end: look again.
    while (rest := marked(home)) and time.monotonic() < deadline:
        tell(rest, signal.SIGKILL)
        _wait(rest, PAUSE)
    return [process.pid for process in left]


def has_ended(process: psutil.Process) -> bool:
    """Tell whether a process is gone, or there only because nobody asked how it ended.

    A child of a worker that is held stays so, and what a killed one left in a container whose
    first process is no init.
    """
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except GONE:
        return True


def has_ended_within(process: psutil.Process, seconds: float) -> bool:
    """Wait for the end of a process; tell whether it came.

    One that has its number afterwards is another: it is not waited for.
    """
    deadline = time.monotonic() + seconds
    while process.is_running() and not has_ended(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE)
    return True


def runs_of(pid: int) -> list[psutil.Process]:
    """Return the flow runs that a worker started: the first below it with sessions of their own.

    What they started in turn (Dask workers, programs) is theirs to end.
    """
    try:
        worker = psutil.Process(pid)
    except GONE:
        return []
    return list(_leaders(_children(worker), lambda each: _is_leader(each.pid)))


def listens(pid: int, port: int) -> bool:
    """Tell whether a process, or one that it started, listens at a TCP port.

    Where the system does not say it of our own processes, they are believed.
    """
    try:
        process = psutil.Process(pid)
        ours = [process, *process.children(recursive=True)]
    except GONE:
        return False
    return any(_listens(each, port) for each in ours)


def listening(pid: int) -> set[int]:
    """Return the TCP ports at which a process listens, without those of the ones it started.

    Empty where it is gone, or where the system does not say it.
    """
    try:
        return _ports(psutil.Process(pid))
    except GONE:
        return set()


def tell(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    """Send a signal to processes, some of which may have ended."""
    for process in processes:
        try:
            process.send_signal(number)
        except GONE:
            continue


def _listens(process: psutil.Process, port: int) -> bool:
    try:
        return port in _ports(process)
    except psutil.AccessDenied:
        return True
    except GONE:
        return False


def _ports(process: psutil.Process) -> set[int]:
    found = process.net_connections(kind="tcp")
    return {each.laddr.port for each in found if each.status == psutil.CONN_LISTEN}


def _wait(processes: list[psutil.Process], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not all(map(has_ended, processes)) and time.monotonic() < deadline:
        psutil.wait_procs(processes, timeout=PAUSE)  # a child of ours is asked how it ended


def _leaders(
    processes: Iterable[psutil.Process], is_leader: Callable[[psutil.Process], bool]
) -> Iterable[psutil.Process]:
    for process in processes:
        if is_leader(process):
            yield process
        else:
            yield from _leaders(_children(process), is_leader)


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children())
    except GONE:
        return []


def _is_leader(pid: int) -> bool:
    try:
        return os.getsid(pid) == pid
    except OSError:
        return False
