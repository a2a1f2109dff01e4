"""One `hstflow up` for each home; others find it, and only while it lives."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from calib.errors import Unavailable
from deployments.cli.main import run
from deployments.operation.place import (
    LOCK,
    STATE,
    Place,
    home_of,
    this_standing,
    variables_of_what_is_up,
)
from deployments.operation.processes import MARK, has_ended, marked, sweep
from deployments.operation.session import stop_other

ROOT = Path(__file__).parents[3]
API = "http://127.0.0.1:4200/api"

# Holds a home as `hstflow up` does, starts a program that deserts its session, and waits.
HOLDER = """
import os, subprocess, sys, time
from pathlib import Path
from deployments.operation.place import Place
from deployments.operation.watchman import watched
place = Place(Path(sys.argv[1]))
with place.held() as lock, watched(sys.argv[1], lock):
    command = ["setsid", "sleep", "60"]
    child = subprocess.Popen(command, env={**os.environ, "HSTFLOW_UP": sys.argv[1]})
    print(child.pid, flush=True)
    if sys.argv[2] == "die":
        os.kill(os.getpid(), 9)
    child.kill()
    child.wait()
"""


def test_a_second_one_is_refused_and_told_where_the_first_is(tmp_path: Path) -> None:
    """The message has the process, the host and the pages."""
    place = Place(tmp_path)
    with place.held():
        place.say(replace(this_standing(place), pages={"dashboard": "http://127.0.0.1:8080/"}))
        for attempt in (place.refuse_second, place.held().__enter__):
            with pytest.raises(Unavailable) as caught:
                attempt()
            said = str(caught.value)
            assert f"pid {os.getpid()} on {socket.gethostname()}" in said
            assert "http://127.0.0.1:8080/" in said
    place.refuse_second()


def test_another_home_is_another_place(tmp_path: Path) -> None:
    """Two homes, two of them."""
    with Place(tmp_path / "one").held(), Place(tmp_path / "two").held():
        pass


def test_what_an_earlier_one_left_is_not_believed(tmp_path: Path) -> None:
    """A file without a lock, a file of another version, and none: nothing is up."""
    place = Place(tmp_path)
    assert place.standing() is None
    with place.held():
        place.say(this_standing(place))
        text = (place.folder / STATE).read_text()
        assert place.standing() == this_standing(place)
    assert not (place.folder / STATE).exists()
    (place.folder / STATE).write_text(text)
    assert place.standing() is None
    with place.held():
        for odd in ("{", "[]", '{"pid": 1}', '{"later": 2}'):
            (place.folder / STATE).write_text(odd)
            assert place.standing() is None


def test_only_its_owner_reads_where_it_listens(tmp_path: Path) -> None:
    """The file has mode 600 from its first moment, whatever the umask is."""
    place = Place(tmp_path)
    before = os.umask(0)
    try:
        with place.held():
            place.say(this_standing(place))
            assert stat.S_IMODE((place.folder / STATE).stat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_a_server_is_found_on_its_host_while_it_is_up(tmp_path: Path) -> None:
    """Not before it is ready, not on another host, not afterwards."""
    environ = {"PREFECT_HOME": str(tmp_path)}
    place = Place(home_of(environ))
    with place.held():
        place.say(this_standing(place))
        assert variables_of_what_is_up(environ) == {}
        place.say(replace(this_standing(place), prefect=API, ready=True))
        assert variables_of_what_is_up(environ) == {"PREFECT_API_URL": API}
        place.say(replace(this_standing(place), prefect=API, host="elsewhere"))
        assert variables_of_what_is_up(environ) == {}
    assert variables_of_what_is_up(environ) == {}


def test_a_campaign_uses_the_server_that_is_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would start a private one on the same database otherwise; its own choice still wins."""
    from deployments.cli.campaign.session import start_server
    from flows import private_server

    for name in private_server.DEFAULTS:
        monkeypatch.setenv(name, private_server.DEFAULTS[name])
    monkeypatch.setattr(private_server, "PrivateServer", None)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.setenv("PREFECT_API_URL", "")
    place = Place(tmp_path)
    with place.held():
        place.say(replace(this_standing(place), prefect=API, ready=True))
        start_server()
        assert os.environ["PREFECT_API_URL"] == API
        monkeypatch.setenv("PREFECT_API_URL", "http://prefect.example.org/api")
        start_server()
        assert os.environ["PREFECT_API_URL"] == "http://prefect.example.org/api"


@pytest.mark.parametrize("end", ["die", "end"])
def test_nothing_outlives_a_killed_one(tmp_path: Path, end: str) -> None:
    """A program in a session of its own is gone; so is the lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path), end],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        pid = int(holder.stdout.readline())
    assert holder.returncode == (-signal.SIGKILL if end == "die" else 0)

    # The watchman is nobody's child here: while it works it holds the lock, and nobody is up.
    place = Place(tmp_path)
    while place._is_held():
        assert place.standing() is None
        time.sleep(0.02)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    assert marked(str(tmp_path)) == []
    assert (place.folder / LOCK).exists()


@pytest.fixture
def deaf() -> Iterator[Callable[[Path], int]]:
    """Return a function that starts a program with a mark: it is deaf, and starts others."""
    script = "trap '' TERM; echo; while :; do sleep 0.02; done"
    begun: list[subprocess.Popen[bytes]] = []

    def start(home: Path) -> int:
        environment = {MARK: str(home), "PATH": "/usr/bin:/bin"}
        child = subprocess.Popen(["sh", "-c", script], env=environment, stdout=subprocess.PIPE)
        begun.append(child)
        assert child.stdout is not None
        child.stdout.readline()
        return child.pid

    yield start
    for child in begun:
        child.kill()
        child.communicate()


def test_others_are_left_alone(tmp_path: Path, deaf: Callable[[Path], int]) -> None:
    """Only what carries the mark of this very home is ended, with all that it started."""
    for _ in range(4):  # it was killed while it started another in one of four
        ours, theirs = deaf(tmp_path / "ours"), deaf(tmp_path / "ours2")
        assert ours in sweep(str(tmp_path / "ours"), 0.05)
        assert marked(str(tmp_path / "ours")) == []
        assert theirs in [each.pid for each in marked(str(tmp_path / "ours2"))]


def test_what_we_descend_from_is_left_alone(tmp_path: Path) -> None:
    """A shell that has the mark outlives the `hstflow up` that is started in it."""
    code = (
        "import sys; from deployments.operation.processes import sweep; print(sweep(sys.argv[1]))"
    )
    script = """sleep 60 & "$0" -c "$1" "$2" && echo "$!" """
    done = subprocess.run(
        ["sh", "-c", script, sys.executable, code, str(tmp_path)],
        env={**os.environ, MARK: str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    swept, beside = done.stdout.splitlines()
    assert (done.returncode, swept) == (0, f"[{beside}]")


def test_number_of_a_process_that_is_anothers_now_is_not_believed(tmp_path: Path) -> None:
    """`hstflow up --stop` ends no process that has the number of one that was killed."""
    place = Place(tmp_path)
    with place.held():  # as its watchman still does
        here = this_standing(place)
        assert here.born is not None
        for other in (None, here.born - 1):
            place.say(replace(here, born=other))
            assert place.standing() is None
            assert stop_other(place) == 0


# Says that it is up at a home, takes that back at SIGTERM, and needs some time to end.
WINDS_DOWN = """
import signal, sys, time
from pathlib import Path
from deployments.operation.place import Place, this_standing
place = Place(Path(sys.argv[1]))
stop = lambda *_: sys.exit()
signal.signal(signal.SIGTERM, stop)
try:
    with place.held():
        place.say(this_standing(place))
        print("up", flush=True)
        time.sleep(60)
finally:
    time.sleep(0.5)
"""


def test_stop_waits_for_the_end_of_the_process(tmp_path: Path) -> None:
    """Nothing runs any more when `hstflow up --stop` says so, not even who has said goodbye."""
    place = Place(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", WINDS_DOWN, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        assert stop_other(place) == 0
        assert has_ended(psutil.Process(child.pid))  # a zombie until we ask


@pytest.mark.parametrize("where", ["", "below"])
def test_a_home_that_cannot_be_written_is_refused(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file is in its place: exit code 2 and one line, and nobody is said to be up there."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "file" / where))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert run(["up", "--only", "dashboard"]) == 2
    said = capsys.readouterr().err
    assert "PREFECT_HOME cannot be written: Not a directory" in said
    assert str(tmp_path / "file") in said
    assert len(said.splitlines()) == 1
    assert run(["up", "--status"]) == 1


def test_a_full_disk_is_told_before_programs_are_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefect's own words for it are a traceback, in a log that has no room for it."""
    full = SimpleNamespace(free=3e6)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(Unavailable, match=r"disk is full.*expected 100 MB free; found 3 MB"):
        Place(tmp_path).prepare()
    full.free = 2e8
    Place(tmp_path).prepare()
    assert [each.name for each in (tmp_path / "up").iterdir()] == ["logs"]
