"""Programs are started in order, started again, given up, and stopped in reverse order."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from supervised import LIMIT, QUICK, Operator, StandIn, ready

from calib.errors import INTERRUPTED, TERMINATED, Unavailable
from deployments.operation import program
from deployments.operation.program import Program
from deployments.operation.role import Patience, Role
from deployments.operation.supervisor import Supervisor


def test_each_waits_for_what_it_needs_and_the_last_ends_first(
    stand_in: StandIn, tmp_path: Path
) -> None:
    """A server before its step before its worker; back in the other direction."""
    step = Role(
        name="step",
        command=("sh", "-c", "echo step >> story"),
        environment={"PATH": "/usr/bin:/bin"},
        after=("server",),
        is_step=True,
    )
    roles = [stand_in("server"), step, stand_in("worker", after=("step",))]
    operator = Operator(ready)

    code = Supervisor(roles, tmp_path, operator, QUICK).run()

    assert code == TERMINATED
    story = (tmp_path / "story").read_text().splitlines()
    assert story == ["start server", "step", "start worker", "end worker", "end server"]
    assert operator.seen[-1] == {"server": "stopped", "step": "done", "worker": "stopped"}


def test_interrupt_has_its_own_code(stand_in: StandIn, tmp_path: Path) -> None:
    """Ctrl-C is 130, and the handler that was there before is there again."""
    before = signal.getsignal(signal.SIGINT)

    code = Supervisor([stand_in("one")], tmp_path, Operator(ready, signal.SIGINT), QUICK).run()

    assert code == INTERRUPTED
    assert signal.getsignal(signal.SIGINT) is before


def test_what_dies_is_started_again(stand_in: StandIn, tmp_path: Path) -> None:
    """A killed program comes back with another process; its log has both starts."""
    killed: list[int] = []

    def came_back(supervisor: Supervisor) -> bool:
        one = supervisor.programs[0]
        if supervisor.is_ready and not killed and one.pid:
            killed.append(one.pid)
            os.kill(one.pid, signal.SIGKILL)
        return bool(killed) and one.restarts == 1 and one.state == "ready"

    operator = Operator(came_back)
    watched = Supervisor([stand_in("one")], tmp_path, operator, QUICK)
    watched.run()

    assert {"one": "again"} in operator.seen
    assert watched.programs[0].restarts == 1
    assert (tmp_path / "one.log").read_text().count("== started") == 2


def test_what_never_answers_ends_all_and_says_why(stand_in: StandIn, tmp_path: Path) -> None:
    """Two deaths of a program that never answered: the end of its log, and nothing runs on."""
    roles = [stand_in("fine"), stand_in("bad", "echo the port is gone; exit 3")]
    watched = Supervisor(roles, tmp_path, patience=QUICK)

    with pytest.raises(Unavailable, match=r"bad ended with 3, 2 times.*the port is gone"):
        watched.run()

    assert "end fine" in (tmp_path / "story").read_text()
    assert not any(each.is_alive for each in watched.programs)


def test_what_answers_too_late_is_killed(stand_in: StandIn, tmp_path: Path) -> None:
    """A program that runs and never answers is a failed start, within its limit."""
    mute = stand_in("mute", "exec sleep 60", start_limit=0.1)
    watched = Supervisor([mute], tmp_path, patience=QUICK)

    with pytest.raises(Unavailable, match="mute did not answer within"):
        watched.run()

    assert not watched.programs[0].is_alive


def test_what_dies_again_and_again_is_given_up_and_the_others_stay(
    stand_in: StandIn, tmp_path: Path
) -> None:
    """Once all was ready, a failure is told and ends nothing else."""
    script = 'touch "$0.up"; sleep 0.1; rm "$0.up"; exit 5'

    def given_up(supervisor: Supervisor) -> bool:
        return supervisor.programs[1].state == "failed"

    operator = Operator(given_up)
    watched = Supervisor([stand_in("good"), stand_in("weak", script)], tmp_path, operator, QUICK)
    watched.run()

    assert {"good": "ready", "weak": "failed"} in operator.seen
    assert watched.programs[1].note == "ended with 5, 3 times: no further try"
    assert watched.programs[1].restarts == 2


def test_deaths_of_long_ago_do_not_count(stand_in: StandIn, tmp_path: Path) -> None:
    """One death in each window is never too many."""
    one = Program(stand_in("one", "exit 1"), tmp_path, Patience(first=0, most_unseen=2, window=10))
    for number in range(4):
        now = 100.0 * number
        one.start(now)
        assert one._process is not None
        one._process.wait()
        one.step(now)
        assert one.state == "again"


def test_alive_and_silent_is_said_and_forgotten(stand_in: StandIn, tmp_path: Path) -> None:
    """A program that stops answering is not killed; it is well again when it answers."""
    mark = tmp_path / "one.up"
    silent: list[bool] = []

    def recovered(supervisor: Supervisor) -> bool:
        state = supervisor.programs[0].state
        if supervisor.is_ready and not silent:
            silent.append(mark.unlink(missing_ok=True) is None)
        elif state == "ailing":
            mark.touch()
            silent.append(True)
        return len(silent) > 1 and state == "ready"

    operator = Operator(recovered)
    watched = Supervisor([stand_in("one")], tmp_path, operator, QUICK)
    watched.run()

    assert {"one": "ailing"} in operator.seen
    assert watched.programs[0].restarts == 0


def test_deaf_program_is_told_twice_then_killed(stand_in: StandIn, tmp_path: Path) -> None:
    """SIGTERM, SIGTERM, SIGKILL."""
    deaf = """
    n=0; trap 'n=$((n+1)); echo $n >> told' TERM; touch "$0.up"; while :; do sleep 0.02; done
    """
    watched = Supervisor([stand_in("deaf", deaf)], tmp_path, Operator(ready), QUICK)
    watched.run()

    assert (tmp_path / "told").read_text().split() == ["1", "2"]
    assert not watched.programs[0].is_alive


def test_second_signal_waits_for_nobody(
    stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C twice: what would take ten minutes is killed at once."""
    monkeypatch.setattr(program, "TERM_PATIENCE", 600)
    deaf = """trap '' TERM; touch "$0.up"; while :; do sleep 0.02; done"""

    def stopping(supervisor: Supervisor) -> bool:
        if supervisor.is_ready:
            os.kill(os.getpid(), signal.SIGTERM)
        return supervisor.is_ready

    began = time.monotonic()
    Supervisor([stand_in("deaf", deaf)], tmp_path, Operator(stopping), QUICK).run()

    assert time.monotonic() - began < LIMIT


def test_flow_runs_end_before_their_worker(stand_in: StandIn, tmp_path: Path) -> None:
    """The run, in a session of its own, hears of it first; its worker takes no new one."""
    (tmp_path / "run.sh").write_text(
        "trap 'echo run >> order; exit 0' TERM; touch worker.up; while :; do sleep 0.02; done"
    )
    worker = """
    trap 'echo worker >> order; exit 0' TERM
    setsid sh run.sh &
    while :; do sleep 0.02; done
    """
    role = stand_in("worker", worker, tells_runs=True)

    Supervisor([role], tmp_path, Operator(ready), QUICK).run()

    assert (tmp_path / "order").read_text().split() == ["run", "worker"]


def test_a_server_of_others_is_only_looked_at(tmp_path: Path) -> None:
    """Without a command nothing is started, restarted or stopped."""
    is_there = [True]
    theirs = Role(name="server", look=lambda: is_there[0])

    def saw_both(supervisor: Supervisor) -> bool:
        if supervisor.is_ready:
            is_there[0] = False
        return supervisor.programs[0].state == "ailing"

    watched = Supervisor([theirs], tmp_path, Operator(saw_both), QUICK)
    assert watched.run() == TERMINATED
    assert watched.programs[0].pid is None
    assert watched.programs[0].restarts == 0


def test_alive_and_silent_for_minutes_is_started_again(stand_in: StandIn, tmp_path: Path) -> None:
    """It lives and answers no more: after a while it is killed, and answers again."""
    silent: list[int] = []

    def came_back(supervisor: Supervisor) -> bool:
        one = supervisor.programs[0]
        if supervisor.is_ready and not silent and one.pid:
            silent.append(one.pid)
            (tmp_path / "one.up").unlink()
        return bool(silent) and one.state == "ready" and one.restarts == 1

    operator = Operator(came_back)
    patience = replace(QUICK, silence=0.1)
    watched = Supervisor([stand_in("one")], tmp_path, operator, patience)
    watched.run()

    assert {"one": "ailing"} in operator.seen
    assert not psutil.pid_exists(silent[0])
    assert (tmp_path / "story").read_text().count("start one") == 2


@given(st.integers(min_value=1, max_value=2000))
def test_waits_grow_and_are_bounded(deaths: int) -> None:
    """Each wait is as long as the one before or longer, and none longer than the longest."""
    patience = Patience()
    assert patience.first <= patience.wait(deaths) <= patience.wait(deaths + 1) <= patience.longest


def test_no_child_is_left_here() -> None:
    """The tests above stopped all that they started."""
    assert [each for each in psutil.Process().children() if each.name() in {"sh", "sleep"}] == []


def test_zombie_counts_as_ended() -> None:
    """A run whose worker is held cannot be reaped, and has ended all the same."""
    with subprocess.Popen(["true"]) as child:
        seen = psutil.Process(child.pid)
        deadline = time.monotonic() + LIMIT
        while seen.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not program._runs(seen)
