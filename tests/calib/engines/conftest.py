"""Fixtures of the engine tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from factories import make_references
from standin_programs import make_hstcal, put_first_on_path
from workbench import Bench, Change, MakeBench, set_up

from calib.simulate.golden import GoldenCase, write_case


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Return references by keyword; only tests that ask have a flash and a delta flat."""
    made = make_references(tmp_path)
    return {key: path for key, path in made.items() if key not in {"FLSHFILE", "DFLTFILE"}}


@pytest.fixture(scope="session")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], GoldenCase]:
    """Return what writes the inputs of a golden case, once."""
    folder = tmp_path_factory.mktemp("cases")
    written: dict[str, GoldenCase] = {}

    def find(name: str) -> GoldenCase:
        if name not in written:
            written[name] = write_case(name, folder)
        return written[name]

    return find


@pytest.fixture
def make_bench(tmp_path: Path, cases: Callable[[str], GoldenCase]) -> MakeBench:
    """Return what sets up benches: a case with changes."""

    def make(case: str, *changes: Change) -> Bench:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        bench = set_up(cases(case), folder)
        for change in changes:
            change(bench)
        return bench

    return make


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put programs on PATH that behave like calacs.e, calwf3.e and cs0.e."""
    folder = make_hstcal(tmp_path / "programs")
    put_first_on_path(folder, monkeypatch)
    return folder
