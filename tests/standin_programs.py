"""Small programs that behave like the real ones where that matters: files, exit codes, ends.

They are scripts of the shell: a test can start dozens of them.
"""

from __future__ import annotations

import shlex
import stat
import sys
from pathlib import Path

import pytest

# Ends that programs come to, as bodies of a script.
CRASHES = "kill -SEGV $$"
IS_KILLED = "kill -KILL $$"
HANGS = "sleep 600"
SAYS_OUT_OF_MEMORY = "echo 'ERROR: Out of memory: could not allocate 168 MB'; exit 2"
FAILS = "echo 'ERROR: something is wrong with the input'; exit 2"
MAKES_NOTHING = "echo 'all went well'; exit 0"

_HSTCAL = Path(__file__).with_name("standin_hstcal.py")


def hstcal_body(program: str) -> str:
    """Return the body of a program that behaves as ``calacs``, ``calwf3`` or ``cs0``."""
    command = shlex.join([sys.executable, "-S", str(_HSTCAL), program])
    return f'''for each in "$@"; do printf "%s " "$each"; done >> "$0.calls"
echo >> "$0.calls"
exec {command} "$@"'''


def make_hstcal(folder: Path) -> Path:
    """Write all programs of HSTCAL; what they are started with is kept in ``NAME.e.calls``."""
    for program in ("calacs", "calwf3", "cs0"):
        make_program(folder, f"{program}.e", hstcal_body(program), version="1.2 (01-Jan-2026)")
    return folder


def calls_of(folder: Path, program: str) -> list[str]:
    """Return the arguments of each call of a program of HSTCAL."""
    path = folder / f"{program}.e.calls"
    return [line.strip() for line in path.read_text().splitlines()] if path.exists() else []


def make_program(folder: Path, name: str, body: str, version: str = "1.2.3 (stand-in)") -> Path:
    """Write an executable script that tells its version, and otherwise does `body`.

    Parameters
    ----------
    folder
        Where it lies; to be put on PATH.
    body
        Lines of the shell. ``$@`` are the arguments, the working folder is the program's own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "{version}" && exit 0\n{body}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def put_first_on_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let programs of a folder be found before all others."""
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def hide_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave only the system's own programs on PATH: no calibration program is found."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
