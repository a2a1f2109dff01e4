"""A full disk, and an error of ours, end no program that runs."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from supervised import QUICK, Operator, StandIn, ready

from calib.errors import TERMINATED
from deployments.operation import program
from deployments.operation.program import Program
from deployments.operation.supervisor import Supervisor


def test_large_log_is_put_aside(
    stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer goes on in the same file, which begins anew; one older file is kept."""
    monkeypatch.setattr(program, "LOG_LIMIT", 10)
    one = Program(stand_in("one"), tmp_path, QUICK)
    with one.log.open("ab") as log:
        log.write(b"x" * 11)
        log.flush()
        one.trim_log()
        log.write(b"new")
    one.trim_log()

    assert one.log.read_bytes() == b"new"
    assert one.log.with_suffix(".log.1").read_bytes() == b"x" * 11


def full_disk(*_: object, **__: object) -> None:
    """Do what a full disk does."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_full_disk_empties_a_large_log(
    stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no room for the copy: the log is let go, the program is not."""
    monkeypatch.setattr(program, "LOG_LIMIT", 10)
    monkeypatch.setattr(program.shutil, "copyfile", full_disk)
    one = Program(stand_in("one"), tmp_path, QUICK)
    one.log.write_bytes(b"x" * 11)
    one.trim_log()
    assert one.log.read_bytes() == b""
    assert not one.log.with_suffix(".log.1").exists()
    one.log.unlink()
    one.trim_log()


def test_where_no_log_can_be_written_it_runs_without(stand_in: StandIn, tmp_path: Path) -> None:
    """A folder is in the log's place: the program is started all the same."""
    (tmp_path / "one.log").mkdir()
    watched = Supervisor([stand_in("one")], tmp_path, Operator(ready), QUICK)
    assert watched.run() == TERMINATED
    assert "start one" in (tmp_path / "story").read_text()


def test_what_cannot_be_told_ends_nothing(stand_in: StandIn, tmp_path: Path) -> None:
    """The state cannot be written any more: all run on, and are stopped in their order."""
    operator = Operator(lambda watched: watched.is_ready and bool(watched.trouble))

    def told(supervisor: Supervisor) -> None:
        operator(supervisor)
        if supervisor.is_ready:
            full_disk()

    roles = [stand_in("server"), stand_in("worker", after=("server",))]
    watched = Supervisor(roles, tmp_path, told, QUICK)

    assert watched.run() == TERMINATED
    assert "No space left" in watched.trouble
    story = (tmp_path / "story").read_text().splitlines()
    assert story == ["start server", "start worker", "end worker", "end server"]


def test_each_is_stopped_whatever_the_listener_does(stand_in: StandIn, tmp_path: Path) -> None:
    """An error of ours is raised, after the last program has ended."""

    def broken(supervisor: Supervisor) -> None:
        if supervisor.is_ready:
            raise KeyError("a fault of ours")

    roles = [stand_in("server"), stand_in("worker", after=("server",))]
    watched = Supervisor(roles, tmp_path, broken, QUICK)
    with pytest.raises(KeyError):
        watched.run()
    assert not any(each.is_alive for each in watched.programs)


def test_what_cannot_be_started_again_is_tried_again(
    stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No memory for a new process is a death like another, not the end of all."""
    one = Program(stand_in("one"), tmp_path, QUICK)
    monkeypatch.setattr(program.subprocess, "Popen", full_disk)
    one.start(0.0)
    assert one.state == "again"
    assert "cannot be started" in one.note
