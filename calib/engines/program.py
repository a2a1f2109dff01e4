"""The programs that calibrate beside us: what each is for, where it is, of which version."""

from __future__ import annotations

import functools
import hashlib
import itertools
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from calib.engines.protocol import Installation
from calib.errors import ConfigError
from calib.programs.tree import signal_tree

# A program that has not told its version by then will not, seconds.
_PATIENCE = 30.0

# A Python program says which package it belongs to; asking its interpreter takes 0.06 s,
# starting the program itself up to 5 s.
_ASK = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"

# How a launcher goes on whose first line would be too long; the line itself is no longer than a
# path may be (PATH_MAX of Linux), with what surrounds it.
_GOES_ON = "'''exec'"
_LONGEST = 4096 + 64

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

# Detectors by instrument (instrument handbooks, table of detectors), and their program.
DETECTORS: Mapping[str, tuple[tuple[str, ...], Program]] = {
    "ACS": (("HRC", "WFC", "SBC"), CALACS),
    "WFC3": (("UVIS", "IR"), CALWF3),
    "STIS": (("CCD", "NUV-MAMA", "FUV-MAMA"), CS0),
    "COS": (("FUV", "NUV"), CALCOS),
}

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

    A Python program has the version of its package, which the interpreter that its launcher
    starts is asked for: launchers of all releases are alike. Another program that does not say
    it is known by the checksum of its file: two that differ never count as one.

    Raises
    ------
    ConfigError
        It is not on PATH, or it is a Python program whose version nobody tells.
    """
    path = find_program(program)
    if path is None:
        raise ConfigError(
            "there is no such program on PATH", expected=program.advice, found=program.name
        )
    status = path.stat()
    return _version(program, path, status.st_size, status.st_mtime_ns)


def shown_version(program: Program) -> str:
    """Return the version of a program that is here for people, who hear why it is not known."""
    try:
        return version_of(program)
    except ConfigError as error:
        return f"unknown: {error.message}"


@functools.cache
def _version(program: Program, path: Path, size: int, modified: int) -> str:  # noqa: ARG001 - key
    interpreter = _interpreter(path) if program.package else []
    if interpreter:
        version = _first_line([*interpreter, "-c", _ASK, program.package])
    else:
        version = _first_line([str(path), "--version"])
    if version:
        return version
    if not program.package:
        return f"sha256:{_checksum(path)}"
    raise ConfigError(
        f"the version of {program.name} cannot be told: results could not be told apart by it",
        path=path,
        expected=f"a program that starts the Python in which {program.package} is installed",
        found=" ".join(interpreter) or "no such Python",
    )


def _interpreter(path: Path) -> list[str]:
    """Return the Python that a launcher starts, with its options; nothing for another file.

    Its first line names it: itself, or as ``/usr/bin/env`` finds it on PATH. Where that would
    be too long for the system, pip and conda write a script of the shell that goes on as
    Python in its second line: ``'''exec' PYTHON "$0" "$@"``.
    """
    with path.open("rb") as file:
        first, second = (file.readline(_LONGEST).decode(errors="replace") for _ in range(2))
    if not first.startswith("#!"):
        return []
    words = _words(second)[1:] if second.startswith(_GOES_ON) else first[2:].split()
    if words and Path(words[0]).name == "env":
        is_command = [not (word.startswith("-") or "=" in word) for word in words[1:]]
        words = words[1 + is_command.index(True) :] if any(is_command) else []
    found = shutil.which(words[0]) if words and "python" in Path(words[0]).name else None
    return [found, *itertools.takewhile(_is_option, words[1:])] if found else []


def _is_option(word: str) -> bool:
    return word.startswith("-")


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError:  # a quote without its end
        return []


def _first_line(arguments: list[str]) -> str:
    """Return the first line that a command writes; empty where it fails or is silent."""
    try:
        process = subprocess.Popen(  # noqa: S603 - a list of arguments, never a text
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return ""
    with process:
        try:
            said, _ = process.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            return ""
        finally:
            # Where it was not waited for yet, the number of its group is still its own.
            if process.returncode is None:
                signal_tree(process.pid, signal.SIGKILL)
    lines = said.decode(errors="replace").split("\n")
    return lines[0].strip() if process.returncode == 0 else ""


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def installation_of(program: Program) -> Installation:
    """Return where a program is and its version, or how to get it."""
    path = find_program(program)
    if path is None:
        return Installation(program.name, program.purpose, None, advice=program.advice)
    return Installation(program.name, program.purpose, str(path), shown_version(program))
