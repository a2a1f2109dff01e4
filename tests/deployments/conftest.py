"""Fixtures of the command-line tests: a simulated observatory, and `hstflow process` as a call."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from calib.simulate.observatory import Observatory
from deployments.cli.main import run

Process = Callable[..., tuple[int, Any, str]]
Published = Callable[[str], Path]


@pytest.fixture
def crds(observatory: Observatory, monkeypatch: pytest.MonkeyPatch) -> Observatory:
    """Point CRDS at the simulated observatory."""
    for name, value in observatory.environ.items():
        monkeypatch.setenv(name, value)
    return observatory


@pytest.fixture
def raws(crds: Observatory, tmp_path: Path) -> Path:
    """Return a private copy of the raw files, to be damaged."""
    return Path(shutil.copytree(crds.raws, tmp_path / "raws"))


@pytest.fixture
def process(crds: Observatory, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Process:
    """Return a function that runs `hstflow process --json` and gives code, outcomes, stderr."""

    def call(
        dataset: str, *arguments: str, source: Path | str | None = None
    ) -> tuple[int, Any, str]:
        places = [f"file:{source or tmp_path / 'raws'}", f"file:{tmp_path / 'out'}"]
        options = ["--context", crds.contexts[0], "--json"]
        if "--context" in arguments:
            options = ["--json"]
        code = run(["process", dataset, *places, *options, *arguments])
        captured = capsys.readouterr()
        outcomes = json.loads(captured.out) if captured.out.strip() else None
        return code, outcomes, captured.err

    return call


@pytest.fixture
def published(tmp_path: Path) -> Published:
    """Return a function that gives the current folder of a dataset."""
    return lambda dataset: tmp_path / "out" / "data" / "acs" / dataset
