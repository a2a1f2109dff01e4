"""The command line as a whole: help, speed, errors, plug-in commands."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from deployments.cli.main import COMMANDS, GROUPS, run

ROOT = Path(__file__).parents[2]
BUDGET = 0.5  # CPU seconds for an answer to --help and status
TRIES = 3


def cpu_seconds(*arguments: str) -> float:
    """Return the CPU seconds of one `hstflow` process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "deployments.cli", *arguments],
        cwd=ROOT,
        env=dict(os.environ),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("status",),
        ("process", "--help"),
        ("archive", "products"),
        ("preview", "--help"),
        ("fetch", "--help"),
        ("engines", "--help"),
        ("engines", "list", "--help"),
        ("engines", "compare", "--help"),
    ],
)
def test_answers_at_once(arguments: tuple[str, ...]) -> None:
    """Help and status take at most half a CPU second: nothing heavy is imported."""
    assert any(cpu_seconds(*arguments) <= BUDGET for _ in range(TRIES))


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["--help"], set()),
        (["status"], set()),
        (["preview", "--help"], set()),
        (["engines", "list", "--help"], set()),
        (["engines", "compare", "--help"], set()),
        # It loads every engine and recipe, whose steps have arrays, and opens no file.
        (["engines", "list"], {"numpy"}),
    ],
    ids=" ".join,
)
def test_nothing_heavy_is_imported(arguments: list[str], needed: set[str]) -> None:
    """Help and status import neither Prefect nor Astropy, NumPy, pydantic or SQLAlchemy."""
    heavy = {"prefect", "astropy", "numpy", "numba", "pydantic", "sqlalchemy", "crds", "PIL"}
    code = (
        "import sys; from deployments.cli.main import run; run(sys.argv[1:]);"
        f"print(sorted({heavy - needed} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.splitlines()[-1] == "[]"


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`hstflow --help` lists all commands and the exit codes."""
    assert run(["--help"]) == 0

    text = capsys.readouterr().out
    assert all(name in text for name in {**COMMANDS, **GROUPS})
    assert "Exit codes" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command has help with its parameters; what serves pages has nothing to say as JSON."""
    assert run([name, "--help"]) == 0
    assert ("--json" in capsys.readouterr().out) is (name != "dashboard")


@pytest.mark.parametrize(
    "arguments",
    [["nosuchcommand"], ["process"], ["process", "j8bt05njq", "--nosuch"], ["status", "--bad"]],
)
def test_bad_command_is_exit_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot be understood ends with 2 and says why on stderr."""
    assert run(arguments) == 2
    assert capsys.readouterr().err.strip()


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """`hstflow --version` prints the version alone."""
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.strip()[0].isdigit()


@pytest.mark.parametrize("words", [("--help",), ("doctor", "--json")])
def test_reader_that_leaves_is_no_error(words: tuple[str, ...]) -> None:
    """`hstflow ... | head` ends without a word, wherever the pipe breaks."""
    command = [sys.executable, "-u", "-m", "deployments.cli", *words]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        said = child.stderr.read()
    assert said == b""
