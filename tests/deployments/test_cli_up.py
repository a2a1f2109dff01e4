"""`hstflow up` without starting anything: what is up, what cannot be, what is shown."""

from __future__ import annotations

import fcntl
import io
import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from deployments.cli.main import run
from deployments.operation.place import LOCK, Place, this_standing
from deployments.operation.role import Role
from deployments.operation.supervisor import Supervisor
from deployments.operation.view import View


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Return a home of our own."""
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    return Place(tmp_path)


def test_status_says_that_nothing_is_up(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, and no folder is made by asking."""
    assert run(["up", "--status"]) == 1
    assert "nothing is up" in capsys.readouterr().out
    assert run(["up", "--status", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) is None
    assert run(["up", "--stop"]) == 0
    assert not place.folder.exists()


def test_status_says_what_is_up(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """For people and for programs; a second one is refused in one line."""
    url = "http://127.0.0.1:4200/api"
    roles = {"server": "ready", "worker": "failed"}
    with place.held():
        found = replace(this_standing(place), prefect=url, roles=roles, ready=True)
        place.say(found)
        assert run(["up", "--status", "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert run(["up", "--status"]) == 0
        assert "worker failed" in capsys.readouterr().out
        assert run(["up"]) == 1
        assert f"up here already: pid {found.pid}" in capsys.readouterr().err
    assert said["environment"] == {"PREFECT_API_URL": url}
    assert said["roles"] == roles


@pytest.mark.parametrize(
    "words",
    [
        ["--only", "dask", "--without", "dask"],
        ["--only", "nothing"],
        ["--port", "0"],
        ["--port", "65536"],
        ["--workers", "0"],
        ["--limit", "0"],
        ["--without", "server"],
    ],
    ids=" ".join,
)
def test_bad_words_start_nothing(
    words: list[str], place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, before a folder is made."""
    assert run(["up", *words]) == 2
    assert not place.folder.exists()


def test_a_glance_of_others_keeps_nobody_from_starting(place: Place) -> None:
    """A command that asks whether it is up holds the lock for an instant: that is waited for."""
    place.logs.mkdir(parents=True)
    with (place.folder / LOCK).open("a+") as glance:
        fcntl.flock(glance, fcntl.LOCK_SH)
        later = threading.Timer(0.1, fcntl.flock, (glance, fcntl.LOCK_UN))
        later.start()
        with place.held():
            pass
        later.join()


@pytest.mark.parametrize("is_terminal", [True, False])
def test_states_are_shown(is_terminal: bool, tmp_path: Path) -> None:
    """A table on a terminal, a line for each change elsewhere; words, not colour alone."""
    text = io.StringIO()
    console = Console(file=text, force_terminal=is_terminal, width=100, highlight=False)
    role = Role(name="server", page="http://127.0.0.1:4200/[x]")
    watched = Supervisor([role, replace(role, name="late", after=("no",))], tmp_path)
    with View(console, "the hint") as view:
        for state, note in (
            ("starting", ""),
            ("ready", ""),
            ("again", "ended with 3; again in 1 s"),
        ):
            watched.programs[0].state, watched.programs[0].note = state, note  # type: ignore[assignment]
            view.show(watched)
            view.show(watched)
        watched.is_stopping = True
        watched.programs[0].state = "stopped"
        view.show(watched)
    said = text.getvalue()
    assert "http://127.0.0.1:4200/[x]" in said
    assert "ended with 3; again in 1 s" in said
    assert ("Ctrl-C again" in said) is is_terminal
    if not is_terminal:
        assert said.count("server:") == 4
        assert "late" not in said
