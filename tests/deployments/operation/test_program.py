"""A program that lives and says nothing: left, started again, or given up."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from deployments.operation.processes import listens
from deployments.operation.program import Program
from deployments.operation.role import Patience, Role
from flows.private_server import free_port

StandIn = Callable[..., Role]


@pytest.mark.parametrize(("is_hung", "state"), [(True, "again"), (False, "ailing")])
def test_silence_that_others_cause_restarts_nothing(
    is_hung: bool, state: str, stand_in: StandIn, tmp_path: Path
) -> None:
    """A worker whose server is away is waited for, and is given its minutes anew."""
    answers = [True]
    role = replace(
        stand_in("one", "exec sleep 60"), look=lambda: answers[0], is_hung=lambda: is_hung
    )
    one = Program(role, tmp_path, Patience())
    one.start(0.0)
    one.step(1.0)
    answers[0] = False
    for now in (100.0, 301.0):
        one.step(now)
        assert one.state == "ailing"
    one.step(301.5)
    assert one.state == state
    one.step(302.0)
    one.stop(lambda: True)


def test_what_hangs_again_and_again_is_given_up(stand_in: StandIn, tmp_path: Path) -> None:
    """Started again, it never answers within its limit: five times in ten minutes are enough."""
    answers = [True]
    role = replace(stand_in("one", "exec sleep 60"), look=lambda: answers[0])
    one = Program(role, tmp_path, Patience())
    one.start(0.0)
    one.step(1.0)
    answers[0] = False
    now, tries = 2.0, 0
    while one.state != "failed" and tries < 2000:
        one.step(now)
        now, tries = now + 1.0, tries + 1
    assert one.state == "failed"
    assert one.restarts == 4
    assert not one.is_alive


def test_an_answer_of_another_program_does_not_count(stand_in: StandIn, tmp_path: Path) -> None:
    """A stranger at its port answers for it: it is never ready, and the reason is said."""
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        role = replace(stand_in("one", "exec sleep 60"), look=lambda: True, port=port)
        one = Program(role, tmp_path, Patience())
        one.start(0.0)
        for now in (1.0, 60.0, 119.0):
            one.step(now)
            assert one.state == "starting"
        one.step(121.0)
    assert one.state == "failed"
    assert one.note.endswith(f"another program listens at port {port}")
    assert not one.is_alive


def test_one_that_took_another_port_is_started_again(stand_in: StandIn, tmp_path: Path) -> None:
    """Dask goes on at any port where its own is taken; once that is free, a new start gets it."""
    code = "import socket, time; s = socket.create_server(('127.0.0.1', 0)); time.sleep(60)"
    script = f"""exec {sys.executable} -S -c "{code}" """
    role = replace(stand_in("one", script), look=lambda: False, port=free_port())
    one = Program(role, tmp_path, Patience())
    one.start(0.0)
    assert one.pid is not None
    process = psutil.Process(one.pid)
    deadline = time.monotonic() + 20.0
    while not process.net_connections() and time.monotonic() < deadline:
        time.sleep(0.01)
    one.step(1.0)
    assert one.state == "again"
    assert one.note == f"port {role.port} was taken from it; again in 1 s"
    assert not process.is_running()


def test_an_answer_of_its_own_counts_also_from_a_child(stand_in: StandIn, tmp_path: Path) -> None:
    """Prefect's server is a child of its command; each start is looked at anew."""
    port = free_port()
    code = f"import socket, time; s = socket.create_server(('127.0.0.1', {port})); time.sleep(60)"
    script = f"""{sys.executable} -S -c "{code}" & wait"""
    one = Program(
        replace(stand_in("one", script), look=lambda: True, port=port), tmp_path, Patience()
    )
    one.start(0.0)
    deadline, now = time.monotonic() + 20.0, 1.0
    while one.state != "ready" and time.monotonic() < deadline:
        one.step(now)
        now += 0.3 / 100
        time.sleep(0.01)
    assert one.state == "ready"
    assert one.pid is not None
    assert listens(one.pid, port)
    assert not listens(one.pid, free_port())
    for child in psutil.Process(one.pid).children():
        child.kill()
    one.stop(lambda: True)


def test_a_message_quotes_the_last_process_alone(stand_in: StandIn, tmp_path: Path) -> None:
    """What an earlier one wrote into the same log is not the reason of this one's end."""
    one = Program(stand_in("one", "exit 3"), tmp_path, Patience())
    one.log.write_text("== started 2026-01-01T00:00:00Z\nan old error\n")
    one.start(0.0)
    assert one.tail() == ""
    with one.log.open("a") as log:
        log.write("first\nthe reason\n")
    assert one.tail() == "first / the reason"
    one.stop(lambda: True)


@pytest.mark.parametrize(("code", "state"), [(1, "again"), (2, "failed")])
def test_a_step_that_refuses_a_setting_is_not_tried_again(
    code: int, state: str, stand_in: StandIn, tmp_path: Path
) -> None:
    """Exit code 2 is the operator's to mend; another may pass."""
    one = Program(replace(stand_in("one", f"exit {code}"), is_step=True), tmp_path, Patience())
    one.start(0.0)
    deadline = time.monotonic() + 20.0
    while one.state == "starting" and time.monotonic() < deadline:
        one.step(1.0)
        time.sleep(0.01)
    assert one.state == state


def test_what_answers_and_hangs_in_turn_is_given_up(stand_in: StandIn, tmp_path: Path) -> None:
    """Never twice within ten minutes, and yet for ever: twenty times within a day are enough."""
    answers = [True]
    role = replace(stand_in("one", "exec sleep 60"), look=lambda: answers[0])
    one = Program(role, tmp_path, Patience(silence=700.0))
    now = 0.0
    one.start(now)
    while one.state != "failed" and now < 100_000:
        answers[0] = one.state in {"starting", "again"}  # well at the first look alone
        now += 10.0 if one.state in {"starting", "again"} else 350.0
        one.step(now)
    assert one.note == "did not answer for 1050 s, 20 times within a day: no further try"
    assert one.restarts == 19
    assert not one.is_alive


def test_what_died_the_day_before_is_forgotten(stand_in: StandIn, tmp_path: Path) -> None:
    """Two deaths a day are no reason to give up, however long it goes on."""
    one = Program(stand_in("one", "exit 1"), tmp_path, Patience(most_a_day=3))
    for number in range(6):
        now = 43_300.0 * number
        one.start(now)
        assert one._process is not None
        one._process.wait()
        one.step(now)
        assert one.state == "again"
