"""A dataset from raws to the archive with the programs of HSTCAL, for which others stand in."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits
from standin_programs import (
    calls_of,
    hide_programs,
    hstcal_body,
    make_hstcal,
    make_program,
    put_first_on_path,
)
from workbench import rewriting

from calib.grants import Grant
from calib.ledger.reports import stages_of
from calib.simulate.observatory import Observatory
from calib.stages.job import Options
from calib.stages.planning import Request, plan_jobs
from calib.stages.recording import ledger_of
from calib.stages.sequence import process_dataset
from calib.switches import is_switch

GB = 1_000_000_000


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put programs on PATH that behave like calacs.e, calwf3.e and cs0.e."""
    folder = make_hstcal(tmp_path / "programs")
    put_first_on_path(folder, monkeypatch)
    return folder


@pytest.fixture
def with_hstcal(asked: Request) -> Request:
    """Return a request that names the engine."""
    return dataclasses.replace(asked, options=Options(engine="hstcal"))


def published(request: Request, dataset: str) -> Path:
    """Return the folder of a dataset that readers are led to."""
    return Path(request.output.removeprefix("file:")) / "data" / "acs" / dataset


def manifest_of(folder: Path) -> dict[str, Any]:
    """Return the manifest of a dataset."""
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return found


def test_exposure(with_hstcal: Request, own: Observatory, programs: Path) -> None:
    """The program gets the chosen references; its version and its words are in the archive."""
    dataset = own.datasets[0]
    job = plan_jobs(with_hstcal, [dataset])[0]
    outcome = process_dataset(job)

    assert (outcome.state, outcome.warnings) == ("processed", ())
    assert calls_of(programs, "calacs") == [f"{dataset}_raw.fits"]
    folder = published(with_hstcal, dataset)
    assert (folder / f"{dataset}_flt.fits").is_file()
    assert fits.getheader(folder / f"{dataset}_flt.fits")["CRDS_CTX"] == own.contexts[1]
    assert {path.name for path in (folder / "logs").iterdir()} >= {
        f"{dataset}.tra", f"{dataset}_hstcal.log",
    }  # fmt: skip
    assert not list(folder.rglob("*_tmp.fits"))
    manifest = manifest_of(folder)
    assert "calacs.e 1.2 (01-Jan-2026)" in json.dumps(manifest)
    ledger = ledger_of(job.ledger)
    row = ledger.jobs_of(job.id)[-1]
    assert row.state == "processed"
    stages = ledger.ask(lambda rows: stages_of(rows, row, last_only=True))
    assert {stage.stage: stage.state for stage in stages}["calibrate"] == "done"


def test_same_program_makes_the_same_fingerprint(
    with_hstcal: Request, own: Observatory, programs: Path
) -> None:
    """Another version of the program is another result; the same one is nothing to do."""
    dataset = own.datasets[0]
    first = process_dataset(plan_jobs(with_hstcal, [dataset])[0])
    again = process_dataset(plan_jobs(with_hstcal, [dataset])[0])
    assert (first.state, again.state) == ("processed", "skipped")
    assert "nothing to do" in again.reason
    assert len(calls_of(programs, "calacs")) == 1

    make_program(programs, "calacs.e", hstcal_body("calacs"), version="1.3 (02-Jan-2026)")
    newer = process_dataset(plan_jobs(with_hstcal, [dataset])[0])
    assert newer.run != first.run
    assert len(calls_of(programs, "calacs")) == 2


def test_association(with_hstcal: Request, own: Observatory, programs: Path) -> None:
    """It is one call; the table with its product marked, trailers and previews are published."""
    dataset = next(iter(own.associations))
    outcome = process_dataset(plan_jobs(with_hstcal, [dataset])[0])

    assert (outcome.state, outcome.error_class) == ("processed", None)
    assert calls_of(programs, "calacs") == [f"{dataset}_asn.fits"]
    folder = published(with_hstcal, dataset)
    table = fits.getdata(folder / f"{dataset}_asn.fits")
    assert table["MEMPRSNT"].all()
    assert list((folder / "previews").iterdir())


def test_acquisition_is_skipped(
    asked: Request, own: Observatory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No program is needed to see that nothing is to be done; nothing is published."""
    hide_programs(monkeypatch)
    dataset = own.datasets[0]
    with rewriting(own.raws / f"{dataset}_raw.fits") as hdus:
        header = hdus[0].header
        header["OBSMODE"] = "ACQ"
        header.update({key: "OMIT" for key in header if is_switch(key)})
    outcome = process_dataset(plan_jobs(asked, [dataset])[0])

    assert (outcome.state, outcome.code) == ("skipped", 0)
    assert "nothing to do" in outcome.reason
    assert not published(asked, dataset).exists()


def test_absent_program_says_how_to_get_it(
    with_hstcal: Request, own: Observatory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dataset ends as an error of stage 1 before anything is computed."""
    hide_programs(monkeypatch)
    outcome = process_dataset(plan_jobs(with_hstcal, own.datasets[:1])[0])
    assert (outcome.state, outcome.error_class, outcome.code) == ("error", "UnsupportedMode", 23)
    assert "conda install -c conda-forge hstcal" in outcome.reason


def test_crash_leaves_its_words(with_hstcal: Request, own: Observatory, programs: Path) -> None:
    """The outcome names the program and its last line; nothing is published."""
    make_program(programs, "calacs.e", "echo 'ERROR: Could not open the moon'; exit 2")
    job = plan_jobs(with_hstcal, own.datasets[:1])[0]
    outcome = process_dataset(job)
    assert (outcome.state, outcome.error_class, outcome.code) == ("error", "EngineError", 23)
    assert "the moon" in outcome.reason
    assert not published(with_hstcal, job.dataset).exists()

    make_program(programs, "calacs.e", hstcal_body("calacs"))
    assert process_dataset(job).state == "processed"


def test_lack_of_memory_climbs_a_rung(
    with_hstcal: Request, own: Observatory, programs: Path
) -> None:
    """A program that says so under the first limit succeeds under the next one."""
    needy = f'[ "$(ulimit -v)" -lt {3 * GB // 1024} ] && echo "Out of memory" && exit 2'
    make_program(programs, "calacs.e", f"{needy}\n{hstcal_body('calacs')}")
    grant = Grant(memory=2 * GB, rungs=(2 * GB, 4 * GB), is_supervised=True)
    job = dataclasses.replace(plan_jobs(with_hstcal, own.datasets[:1])[0], grant=grant)

    first = process_dataset(job)

    assert (first.error_class, first.code) == ("OutOfMemory", 31)
    assert first.retry is not None
    assert first.retry.grant.memory == 4 * GB
    second = process_dataset(dataclasses.replace(job, grant=first.retry.grant))
    assert second.state == "processed"
