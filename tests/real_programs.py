"""The calibration programs of this machine: off PATH, for the tests that ask for the real ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from calib.engines.program import PROGRAMS, Program, find_program

# Folders, parted as in PATH, of programs for the tests of real ones; empty: those are skipped.
VARIABLE = "HSTFLOW_TEST_PROGRAMS"

# Nothing runs without these folders: what lies there is found by every test.
SYSTEM_FOLDERS = frozenset(
    Path(name).resolve() for name in ("/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin")
)


def take_off_path() -> None:
    """Remove from PATH the folders of calibration programs, and keep them in `VARIABLE`.

    Processes that are started later, those of pytest-xdist among them, inherit both. A
    folder of the system stays.
    """
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    removed = [folder for folder in folders if folder and _is_removed(Path(folder))]
    if removed:
        os.environ["PATH"] = os.pathsep.join(each for each in folders if each not in removed)
        os.environ.setdefault(VARIABLE, os.pathsep.join(removed))


def _is_removed(folder: Path) -> bool:
    has_one = any(os.access(folder / program.name, os.X_OK) for program in PROGRAMS)
    return has_one and folder.resolve() not in SYSTEM_FOLDERS


def find_real_program(program: Program, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the real programs first on PATH; return where one is, or skip the test."""
    if folders := os.environ.get(VARIABLE):
        monkeypatch.setenv("PATH", folders, prepend=os.pathsep)
    found = find_program(program)
    if found is None:
        pytest.skip(f"no {program.name}: {program.advice}, or {VARIABLE}=FOLDER")
    return found
