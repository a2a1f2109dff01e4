"""Visits and skycells: what their programs get and do not get, and what a late failure leaves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hap_inputs import VISIT, make_inputs, request_for
from standin_programs import (
    COMBINES_VISIT,
    make_combiners,
    make_program,
    put_first_on_path,
)

from calib.engines.hap import HapEngine
from calib.engines.lookup import choose_engine
from calib.errors import ArchiveError, EngineError, UnsupportedMode


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of stand-ins that do what they should, first on PATH."""
    put_first_on_path(make_combiners(tmp_path / "bin"), monkeypatch)
    return tmp_path / "bin"


def test_settings_of_the_process_do_not_count(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no record tells reaches no program; where the archive is asked does, and is recorded."""
    for name in ("SVM_CATALOG_WFC", "MVM_INCLUDE_SMALL", "PIPELINE_RESET_IDCTAB"):
        monkeypatch.setenv(name, "of the worker")
    monkeypatch.setenv("ASTROMETRY_APPLY_APRIORI", "of the worker")
    monkeypatch.setenv("ASTROMETRY_SERVICE_URL", "http://127.0.0.1:9/db")
    make_combiners(programs, visit=f"env; {COMBINES_VISIT}")

    made = HapEngine().calibrate(request_for(tmp_path, make_inputs(tmp_path / "in")))

    said = Path(str(made.log)).read_text()
    assert "of the worker" not in said
    assert "ASTROMETRY_SERVICE_URL=http://127.0.0.1:9/db" in said
    assert made.parameters == {
        "astrometry": "off",
        "ASTROMETRY_SERVICE_URL": "http://127.0.0.1:9/db",
    }


@pytest.mark.parametrize(("threads", "is_alone"), [(1, True), (3, True), (4, False)])
def test_all_processors_only_where_all_are_granted(
    programs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    threads: int,
    *,
    is_alone: bool,
) -> None:
    """Drizzlepac has no number between one process and one for each of the machine's four."""
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    make_combiners(programs, visit=f"env; {COMBINES_VISIT}")
    request = request_for(tmp_path, make_inputs(tmp_path / "in"), threads=threads)

    made = HapEngine().calibrate(request)

    assert ("ASTRODRIZ_NO_PARALLEL=1" in Path(str(made.log)).read_text()) == is_alone


def test_products_of_before_stop_it_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its list tells that the visit was made here; the log of then stays."""
    put_first_on_path(make_combiners(tmp_path / "bin", visit="echo ran; exit 9"), monkeypatch)
    request = request_for(tmp_path, make_inputs(tmp_path / "in"))
    request.output.mkdir()
    (request.output / f"{VISIT}_manifest.txt").write_text("old")
    log = request.output / f"{VISIT}_runsinglehap.log"
    log.write_text("of then")

    with pytest.raises(EngineError, match="exists already"):
        HapEngine().calibrate(request)

    assert log.read_text() == "of then"


def test_late_failure_leaves_no_product(programs: Path, tmp_path: Path) -> None:
    """What was published is taken away again where something fails after that."""
    make_combiners(programs, visit=f"{COMBINES_VISIT}\necho done > astrodrizzle.log")
    request = request_for(tmp_path, make_inputs(tmp_path / "in"))
    (request.output / "astrodrizzle.log").mkdir(parents=True)

    with pytest.raises(ArchiveError, match="cannot be written"):
        HapEngine().calibrate(request)

    assert [path.name for path in request.output.iterdir() if path.suffix != ".log"] == []


def test_the_version_is_that_of_the_kind(programs: Path) -> None:
    """Programs of two installations never count as one engine."""
    make_program(programs, "runmultihap", "exit 0", version="3.12")

    assert choose_engine("auto", [], kind="svm").numbers_version == "1.2.3 (stand-in)"
    assert choose_engine("auto", [], kind="mvm").numbers_version == "3.12"
    assert HapEngine().numbers_version == "1.2.3 (stand-in) and 3.12"


def test_a_kind_needs_its_own_program_alone(programs: Path, tmp_path: Path) -> None:
    """Visits are made without the program of skycells, which are refused with one advice."""
    (programs / "runmultihap").unlink()
    engine = choose_engine("auto", [], kind="svm")

    made = engine.calibrate(request_for(tmp_path, make_inputs(tmp_path / "in")))

    assert made.engine_version == engine.numbers_version == "1.2.3 (stand-in)"
    for name in ("auto", "hap"):
        with pytest.raises(UnsupportedMode, match="runmultihap is not on PATH") as caught:
            choose_engine(name, [], kind="mvm")
        assert str(caught.value).count("pip install") == 1
