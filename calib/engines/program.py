"""The programs that calibrate beside us: what each is for, where it is, of which version."""

from __future__ import annotations

import functools
import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from calib.errors import ConfigError

# A program that has not told its version by then will not, seconds.
_PATIENCE = 30.0

# A Python program says which package it belongs to; asking its interpreter takes 0.06 s,
# starting the program itself up to 5 s.
_ASK = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"

_HSTCAL = "conda install -c conda-forge hstcal"
_COS = "pip install 'hstflow[cos]'"
_DRIZZLE = "pip install 'hstflow[drizzle]'"


@dataclass(frozen=True)
class Program:
    """A program that is looked for on PATH.

    Attributes
    ----------
    name
        Of its file.
    purpose
        What it calibrates, for people.
    advice
        How to get it.
    package
        Distribution that a Python program belongs to; empty for other programs, which
        tell their version after ``--version``.
    """

    name: str
    purpose: str
    advice: str
    package: str = ""


CALACS = Program("calacs.e", "ACS, all detectors, with CTE correction", _HSTCAL)
CALWF3 = Program("calwf3.e", "WFC3 UVIS and IR", _HSTCAL)
CS0 = Program("cs0.e", "STIS, all detectors", _HSTCAL)
CALCOS = Program("calcos", "COS FUV and NUV", _COS, "calcos")
RUNASTRODRIZ = Program("runastrodriz", "drizzled products (stage 2)", _DRIZZLE, "drizzlepac")
RUNSINGLEHAP = Program("runsinglehap", "visits (SVM)", _DRIZZLE, "drizzlepac")
RUNMULTIHAP = Program("runmultihap", "skycells (MVM)", _DRIZZLE, "drizzlepac")

PROGRAMS = (CALACS, CALWF3, CS0, CALCOS, RUNASTRODRIZ, RUNSINGLEHAP, RUNMULTIHAP)


def find_program(program: Program) -> Path | None:
    """Return where a program is on PATH; None where it is not."""
    found = shutil.which(program.name)
    return None if found is None else Path(found).absolute()


def why_absent(program: Program) -> str | None:
    """Say that a program is not here and how to get it; None where it is."""
    if find_program(program) is not None:
        return None
    return f"{program.name} is not on PATH ({program.advice})"


def version_of(program: Program) -> str:
    """Return the version of a program, asked once for each file.

    A program that does not say it is known by the checksum of its file: two that differ
    never count as one.

    Raises
    ------
    ConfigError
        It is not on PATH.
    """
    path = find_program(program)
    if path is None:
        raise ConfigError(
            "there is no such program on PATH", expected=program.advice, found=program.name
        )
    status = path.stat()
    return _version(program, path, status.st_size, status.st_mtime_ns)


@functools.cache
def _version(program: Program, path: Path, size: int, modified: int) -> str:  # noqa: ARG001 - key
    interpreter = _interpreter(path) if program.package else None
    asked = [interpreter, "-c", _ASK, program.package] if interpreter else [str(path), "--version"]
    return _first_line(asked) or f"sha256:{_checksum(path)}"


def _interpreter(path: Path) -> str | None:
    """Return the Python that the first line of a script names; None for another file."""
    with path.open("rb") as file:
        line = file.readline(512)
    if not line.startswith(b"#!") or b"python" not in line:
        return None
    return line[2:].decode(errors="replace").split()[0]


def _first_line(arguments: list[str]) -> str:
    """Return the first line that a command writes; empty where it fails or is silent."""
    try:
        done = subprocess.run(  # noqa: S603 - a list of arguments, never a text
            arguments,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = done.stdout.decode(errors="replace").split("\n")
    return lines[0].strip() if done.returncode == 0 else ""


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
