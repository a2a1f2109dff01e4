"""The import rules of the project, kept by import-linter, and shown to be able to break."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = Path(sys.executable).with_name("lint-imports")
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]
# Package -> the rows of what is in it.
ROWS = {c["containers"][0]: c["layers"] for c in CONTRACTS if "containers" in c}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the tree in a folder against the project's own contracts."""
    return subprocess.run(
        [PROGRAM, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """Return a tree with every module that the contracts name, all of them empty."""
    for package in ("calib", "tasks", "flows", "deployments"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    for package, rows in ROWS.items():
        for name in "|".join(rows).split("|"):
            (tmp_path / package / f"{name.strip(' ()')}.py").touch()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_this_tree_keeps_its_contracts() -> None:
    """Imports go deployments -> flows -> tasks -> calib, and down the rows of calib."""
    done = lint(ROOT)

    assert done.returncode == 0, done.stdout
    assert f"{len(CONTRACTS)} kept, 0 broken" in done.stdout


def test_an_empty_tree_keeps_them_too(toy: Path) -> None:
    """The toy tree of the next test breaks nothing before something is planted in it."""
    done = lint(toy)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("tasks/fetch.py", "import flows", "deployments -> flows -> tasks -> calib"),
        ("calib/stages.py", "import tasks", "deployments -> flows -> tasks -> calib"),
        ("calib/stages.py", "import prefect", "calib knows neither Prefect nor Dask"),
        ("calib/stages.py", "import distributed", "calib knows neither Prefect nor Dask"),
        ("calib/archive.py", "import calib.ledger", "rows of calib"),
        ("calib/errors.py", "import calib.records", "rows of calib"),
        ("calib/steps.py", "import calib.instruments", "rows of calib"),
        ("calib/novelty.py", "", "rows of calib"),
        ("deployments/dashboard.py", "import deployments.cli", "commands above the pages"),
        ("deployments/dashboard.py", "import deployments.operation", "commands above the pages"),
        ("deployments/dashboard.py", "import flows", "pages read the ledger without Prefect"),
        ("calib/steps.py", "import astropy", "fitsfile alone opens FITS, compiled alone"),
        ("calib/arithmetic.py", "import numba", "fitsfile alone opens FITS, compiled alone"),
    ],
)
def test_a_planted_import_is_found(toy: Path, file: str, line: str, contract: str) -> None:
    """A forbidden import, and a module that has no row, break the contract that forbids them."""
    (toy / file).write_text(f"{line}\n")

    done = lint(toy)

    assert done.returncode == 1, done.stdout
    assert contract in done.stdout.partition("Broken contracts")[2]
