"""The pages as a site, and its reference pages, which the code makes."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from calib import errors
from calib.ledger.states import STATES
from deployments.cli.main import COMMANDS, GROUPS, build_app
from tasks.settings import Settings

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def generated() -> ModuleType:
    """Return the module that makes the reference pages."""
    path = ROOT / "docs" / "extensions" / "generated.py"
    spec = importlib.util.spec_from_file_location("generated", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def commands(generated: ModuleType) -> str:
    """Return the page of all commands."""
    return str(generated.commands())


@pytest.mark.parametrize("name", [*COMMANDS, *GROUPS])
def test_every_command_has_its_part(commands: str, name: str) -> None:
    """Each command and each member of a group has a heading of its own."""
    app = build_app([name])[name]
    members = [each for each in app if not each.startswith("-")] if name in GROUPS else []

    assert f"\n## hstflow {name}\n" in commands
    for member in members:
        assert f"\n### hstflow {name} {member}\n" in commands


def test_options_of_a_command_are_told(commands: str) -> None:
    """An option stands below its command, with what it does."""
    part = commands.split("### hstflow campaign rescue")[1].split("\n### ", maxsplit=1)[0]

    assert "`--timeout-scale FLOAT`" in part
    assert "Factor on the time limits" in part


def test_every_setting_has_a_row(generated: ModuleType) -> None:
    """Each variable is told with its meaning; none is empty."""
    page = generated.settings()

    for name, field in Settings.model_fields.items():
        assert re.search(rf"^\| `HSTFLOW_{name.upper()}` \|.*\S \|$", page, re.MULTILINE), name
        assert field.description, name


def test_states_and_errors_are_all_there(generated: ModuleType) -> None:
    """Each state of a job and each class of the tree has a row."""
    states, tree = generated.states(), generated.errors()

    assert all(f"| `{state}` |" in states for state in STATES)
    kinds = [each for each in vars(errors).values() if isinstance(each, type)]
    named = [each.__name__ for each in kinds if issubclass(each, errors.HstflowError)]
    assert len(named) > 20
    assert all(f"| `{name}` |" in tree for name in named)


def test_ledger_and_deployments_are_told(generated: ModuleType) -> None:
    """The views and tables of the ledger, and each deployment with its parameters."""
    assert "| `jobs` |" in generated.ledger()
    assert "### stage_run" in generated.ledger()
    page = generated.deployments()
    assert "## process-dataset" in page
    assert "| `dataset` (needed) | " in page


def test_pages_are_written_once(generated: ModuleType, tmp_path: Path) -> None:
    """A page that says the same is left alone, so that Sphinx does not read it again."""
    first = [(path, path.stat().st_mtime_ns) for path in generated.write_pages(tmp_path / "made")]
    again = [(path, path.stat().st_mtime_ns) for path in generated.write_pages(tmp_path / "made")]

    assert first == again
    assert len(first) == len(generated.PAGES)


@pytest.mark.slow
def test_site_is_built_without_a_warning(tmp_path: Path) -> None:
    """Sphinx takes every page, and finds all that they refer to."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("_build"))
    for name in ("pyproject.toml", "prefect.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q"]
    done = subprocess.run(
        [*command, "docs", "site"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    commands = (tmp_path / "site" / "reference" / "commands.html").read_text(encoding="utf-8")
    assert "hstflow campaign rescue" in commands
