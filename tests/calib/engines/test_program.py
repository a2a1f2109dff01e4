"""Versions of programs: who is asked, and that nothing of the question is left."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import psutil
import pytest
from standin_programs import CRASHES, make_program, put_first_on_path

from calib.engines import program
from calib.engines.coverage import list_detectors
from calib.engines.program import CALACS, RUNASTRODRIZ, shown_version, version_of
from calib.errors import ConfigError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder for programs that is first on PATH."""
    put_first_on_path(tmp_path / "bin", monkeypatch)
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


def write(path: Path, text: str) -> Path:
    """Write an executable file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def make_python(path: Path, body: str = 'echo "3.11.0 of $4, $1"') -> Path:
    """Write what stands in for a Python: it is asked `OPTION -c CODE PACKAGE`."""
    return write(path, f"#!/bin/sh\n{body}\n")


LAUNCHERS = {
    "plain": "#!{python} -E\n",
    "blank": "#! {python} -E\n",
    "env": "#!/usr/bin/env -S A=1 python3 -E\n",
    "pip": "#!/bin/sh\n'''exec' \"{python}\" -E \"$0\" \"$@\"\n' '''\n",
    "bare": "#!/bin/sh\n'''exec' {python} -E \"$0\" \"$@\"\n' '''\n",
    "conda": "#!/bin/sh\n'''exec' \"{python}\" -E \"$0\" \"$@\" #'''\n",
}


def is_gone(pid: int) -> bool:
    """Tell whether a process ends within a second, or waits to be buried by init."""
    for _ in range(100):
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("kind", LAUNCHERS)
def test_package_is_asked_whatever_the_launcher(folder: Path, kind: str) -> None:
    """The Python that it starts knows the version; the launcher is the same in every release."""
    python = make_python(folder / "python3")
    text = LAUNCHERS[kind].format(python=python) + "# -*- coding: utf-8 -*-\n"
    launcher = write(folder / "runastrodriz", text)
    assert version_of(RUNASTRODRIZ) == "3.11.0 of drizzlepac, -E"

    make_python(python, "echo 3.12.0")
    os.utime(launcher, (1, 1))  # written again, with the same bytes
    assert version_of(RUNASTRODRIZ) == "3.12.0"


def test_long_way_to_python(folder: Path, tmp_path: Path) -> None:
    """Blanks and quotes in it are no end of it, and nothing of it is taken for a setting."""
    python = make_python(tmp_path / ("x" * 100) / "a=1 b" / "python3.12")
    write(folder / "runastrodriz", LAUNCHERS["conda"].format(python=python))
    assert version_of(RUNASTRODRIZ).startswith("3.11.0")


@pytest.mark.parametrize(
    "text",
    [
        "#!/nowhere/python3\n",
        "#!/usr/bin/env no-such-python\n",
        "#!/bin/sh\n'''exec' \"/nowhere/python\" \"$0\" \"$@\"\n' '''\n",
        "#!/bin/sh\n'''exec' \"/without an end\n",
        "#!/bin/sh\nexit 2\n",
        "#!{python}\n",
        "",
    ],
)
def test_a_launcher_is_no_version(folder: Path, text: str) -> None:
    """Its checksum would call every release the same: without a version nothing is made."""
    python = make_python(folder / "silent-python", "exit 1")
    write(folder / "runastrodriz", text.format(python=python))
    with pytest.raises(ConfigError, match="version of runastrodriz cannot be told") as caught:
        version_of(RUNASTRODRIZ)
    assert caught.value.path == str(folder / "runastrodriz")
    assert shown_version(RUNASTRODRIZ).startswith("unknown: the version of runastrodriz")
    rows = {each.what: each.version for each in list_detectors(())}
    assert rows["drizzled products (stage 2)"].startswith("unknown")


def test_other_programs_are_known_by_their_bytes(folder: Path) -> None:
    """HSTCAL's are compiled: two that differ are two versions, also where they say nothing."""
    make_program(folder, "calacs.e", "", version="2.1")
    assert version_of(CALACS) == "2.1"
    write(folder / "calacs.e", f"#!/bin/sh\n{CRASHES}\n")
    first = version_of(CALACS)
    assert first.startswith("sha256:")
    write(folder / "calacs.e", f"#!/bin/sh\n{CRASHES} # other\n")
    assert version_of(CALACS) not in {first, "2.1"}


def test_nothing_is_left_of_a_program_that_hangs(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its children end with it, also one in a group of its own that holds the output open."""
    monkeypatch.setattr(program, "_PATIENCE", 0.3)
    pids = tmp_path / "pids"
    text = f"sleep 60 & echo $! > '{pids}'; setsid sleep 60 & echo $! >> '{pids}'; wait"
    write(folder / "calacs.e", f"#!/bin/sh\n{text}\n")
    assert version_of(CALACS).startswith("sha256:")
    left = [int(word) for word in pids.read_text().split()]
    assert len(left) == 2
    assert all(map(is_gone, left))


def test_what_keeps_the_output_open_is_ended(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program may be at its end, and a child of it not."""
    monkeypatch.setattr(program, "_PATIENCE", 0.3)
    write(folder / "calacs.e", f"#!/bin/sh\necho 1.0; sleep 60 &\necho $! > '{tmp_path}/pid'\n")
    assert version_of(CALACS).startswith("sha256:")
    assert is_gone(int((tmp_path / "pid").read_text()))
