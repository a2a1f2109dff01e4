"""Who is alive."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from calib.ledger.owners import STALE_AFTER, current_owner, this_host, why_dead
from calib.records import utc_now


def ago(silence: timedelta) -> str:
    """Return the time a while ago, as the ledger writes it."""
    return (datetime.now(UTC) - silence).isoformat(timespec="microseconds")


def test_owner_is_this_process() -> None:
    """The owner names host, process and its start; the token differs at every call."""
    one, two = current_owner(), current_owner()
    assert (one.host, one.pid) == (this_host(), os.getpid())
    assert one.token != two.token
    assert one == replace(two, token=one.token)
    assert str(one) == f"pid {os.getpid()} on {this_host()}"


def test_process_of_another_container_is_judged_by_its_heartbeat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Containers may share a host's name: a number of one says nothing in another."""
    monkeypatch.setattr(Path, "readlink", lambda _path: "pid:[4026531836]")
    machine = this_host()
    monkeypatch.setattr(Path, "readlink", lambda _path: "pid:[4026532281]")
    owner = replace(current_owner(), pid=2**22 + 1)
    assert (machine, owner.host) == (socket.gethostname(), f"{machine}#4026532281")
    assert why_dead(owner, utc_now()) == f"{owner} has ended"
    monkeypatch.setattr(Path, "readlink", lambda _path: "pid:[4026532282]")
    assert why_dead(owner, utc_now()) is None
    assert "silent" in str(why_dead(owner, ago(STALE_AFTER + timedelta(minutes=1))))


def test_live_process_is_never_dead() -> None:
    """On this host a live process is not given up, even after a week of silence."""
    assert why_dead(current_owner(), ago(timedelta(days=7))) is None


def test_ended_process_is_dead_at_once() -> None:
    """On this host an ended process is dead, even if it was heard of a moment ago."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = psutil.Process(child.pid).create_time()
    owner = replace(current_owner(), pid=child.pid, started=started)
    assert why_dead(owner, utc_now()) is None
    child.communicate()
    assert why_dead(owner, utc_now()) == f"{owner} has ended"


def test_zombie_is_dead() -> None:
    """A process that ended and was not yet waited for is dead."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = psutil.Process(child.pid)
    owner = replace(current_owner(), pid=child.pid, started=process.create_time())
    process.kill()
    while process.status() != psutil.STATUS_ZOMBIE:
        pass
    assert why_dead(owner, utc_now()) is not None
    child.communicate()


def test_number_of_a_later_process_is_not_the_owner() -> None:
    """The same number with another start time is another process."""
    owner = replace(current_owner(), started=current_owner().started - 100_000)
    assert why_dead(owner, utc_now()) is not None


@pytest.mark.parametrize("step", [-3600, -3, 3, 3600])
def test_a_clock_that_is_set_kills_nobody(step: float) -> None:
    """Start times move with the clock: while its heartbeat is heard, the owner lives."""
    owner = replace(current_owner(), started=current_owner().started + step)
    assert why_dead(owner, utc_now()) is None
    assert "silent" in str(why_dead(owner, ago(STALE_AFTER + timedelta(minutes=1))))


def test_process_of_another_user_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that the system does not let us see is there."""

    def refuse(self: psutil.Process) -> float:
        raise psutil.AccessDenied

    owner = current_owner()
    monkeypatch.setattr(psutil.Process, "create_time", refuse)
    assert why_dead(owner, utc_now()) is None


@pytest.mark.parametrize(
    ("silence", "dead"),
    [(STALE_AFTER - timedelta(minutes=1), False), (STALE_AFTER + timedelta(minutes=1), True)],
)
def test_other_host_is_judged_by_its_heartbeat(silence: timedelta, dead: bool) -> None:
    """An owner elsewhere is given up when its heartbeat is older than the limit."""
    owner = replace(current_owner(), host="elsewhere")
    why = why_dead(owner, ago(silence))
    assert (why is not None) is dead
    assert not dead or "on elsewhere has been silent since" in str(why)
