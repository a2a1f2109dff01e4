"""Small programs that behave like the real ones where that matters: files, exit codes, ends.

They are scripts of the shell: a test can start dozens of them.
"""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

# Ends that programs come to, as bodies of a script.
CRASHES = "kill -SEGV $$"
IS_KILLED = "kill -KILL $$"
HANGS = "sleep 600"
SAYS_OUT_OF_MEMORY = "echo 'ERROR: Out of memory: could not allocate 168 MB'; exit 2"
FAILS = "echo 'ERROR: something is wrong with the input'; exit 2"
MAKES_NOTHING = "echo 'all went well'; exit 0"


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
