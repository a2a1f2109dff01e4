"""Visits and skycells go through the six stages: made by stand-ins, published, marked, skipped."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from astropy.io import fits
from hap_inputs import SKYCELL, VISIT, make_image, make_inputs
from standin_programs import (
    FAILS,
    FINDS_NOTHING_VIABLE,
    hide_programs,
    make_combiners,
    put_first_on_path,
)

from calib.archive.messages import messages_of
from calib.archive.outputs import open_output
from calib.errors import ReferenceUnavailable
from calib.ids import parse_dataset
from calib.ledger.descent import associations_of, made_from_datasets
from calib.ledger.products import ProductQuery, find_products
from calib.references import library
from calib.stages import fetch, sequence
from calib.stages.bundle import bundle_folder
from calib.stages.job import Job
from calib.stages.planning import Request, plan_jobs
from calib.stages.recording import ledger_of
from calib.stages.sequence import process_dataset
from calib.stages.workfolder import Finished

JobOf = Callable[..., Job]


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of working stand-ins, first on PATH."""
    put_first_on_path(make_combiners(tmp_path / "bin"), monkeypatch)
    return tmp_path / "bin"


@pytest.fixture
def job_of(
    request_of: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bin_folder: Path
) -> JobOf:
    """Return what plans the job of a visit or skycell, whose inputs are in a folder."""

    def plan(dataset: str = VISIT, *images: Path, **options: object) -> Job:
        inputs = make_inputs(tmp_path / "in" / dataset, dataset, *images)
        monkeypatch.setattr(fetch, "fetch", lambda _: Finished(inputs, reused=False))
        job = plan_jobs(request_of, [dataset])[0]
        return dataclasses.replace(job, options=dataclasses.replace(job.options, **options))

    return plan


def manifest_of(job: Job) -> dict[str, object]:
    """Return the manifest of what readers see."""
    folder = Path(str(job.output).removeprefix("file:"))
    place = folder / "data" / job.id.instrument / job.dataset / "manifest.json"
    found: dict[str, object] = json.loads(place.read_text())
    return found


@pytest.mark.parametrize("dataset", [VISIT, SKYCELL])
def test_visit_is_published_with_its_list_and_poller(job_of: JobOf, dataset: str) -> None:
    """Products, list and logs; the images stay where they are, and are recorded as inputs."""
    job = job_of(dataset)

    outcome = process_dataset(job)

    assert outcome.state == "processed", outcome.reason
    assert f"/{job.id.instrument}/{dataset}" in str(outcome.uri)
    manifest = open_output(str(job.output)).current_manifest(job.id)
    assert manifest is not None
    names = {file.name for file in manifest.files}
    assert {f"{dataset}_manifest.txt", f"logs/{dataset}_input.out", "logs/process.txt"} <= names
    assert not [name for name in names if name.startswith("j8ph01")]
    assert {file["name"] for file in manifest.provenance["inputs"]} == {
        "j8ph01abq_flc.fits",
        "j8ph01acq_flc.fits",
        f"{dataset}_input.out",
    }
    assert manifest.provenance["references"] == []


@pytest.mark.parametrize("body", ["", FINDS_NOTHING_VIABLE])
def test_what_fetch_missed_is_told_of_the_dataset(
    job_of: JobOf, bin_folder: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    """In the outcome, and so in the ledger, however it ends; and again where nothing is to do."""
    make_combiners(bin_folder, visit=body)
    job = job_of()
    inputs = dataclasses.replace(fetch.fetch(job).record, notes=("MAST has no flc of x",))
    monkeypatch.setattr(fetch, "fetch", lambda _: Finished(inputs, reused=False))

    outcomes = [process_dataset(job), process_dataset(job)]

    assert [each.state for each in outcomes] == ["skipped" if body else "processed", "skipped"]
    assert all(inputs.notes[0] in each.warnings for each in outcomes)


def test_same_images_are_nothing_to_do_on_any_context(
    job_of: JobOf, request_of: Request, observatory: object
) -> None:
    """No rules choose anything for a visit: only its images, program and settings count."""
    job = job_of()
    process_dataset(job)
    later = dataclasses.replace(job, context="hst_9999.pmap", run="later")

    again = process_dataset(later)

    assert (again.state, again.run) == ("skipped", job.run)
    assert "the same result" in again.reason


def test_no_server_and_no_rules_are_asked(job_of: JobOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bestrefs has nothing to do for a visit: a CRDS that is away stops nothing."""
    job = job_of()

    def asked(*_: object, **__: object) -> None:
        raise AssertionError

    for name in ("session", "server_info", "load_rules"):
        monkeypatch.setattr(library, name, asked)

    assert process_dataset(job).state == "processed"


def test_data_id_tells_what_the_images_show(job_of: JobOf, tmp_path: Path) -> None:
    """All detectors and filters; found by each of them; the rest where the images share it."""
    images = (
        make_image(tmp_path, "ib4606c5q_flc.fits", DETECTOR="UVIS", FILTER="F555W", FILTER1=None),
        make_image(
            tmp_path, "ib4606cmq_flt.fits", DETECTOR="IR", FILTER="F160W", FILTER1=None, EXPTIME=9.5
        ),
    )
    job = job_of("wfc3_b46_06", *images)

    assert process_dataset(job).state == "processed"

    ask = ledger_of(job.ledger).ask
    for query in (
        {"detector": "ir"},
        {"detector": "UVIS"},
        {"filter": "F160W"},
        {"proposal": 9453},
    ):
        found = ask(lambda rows, q=query: find_products(rows, ProductQuery(**q)))
        assert {each.dataset for each in found} == {"wfc3_b46_06"}, query
    first = found[0]
    assert (first.detector, first.filter) == ("IR;UVIS", "F160W;F555W")
    assert (first.program, first.visit, first.target) == ("b46", "06", "NGC-104")
    assert first.exptime == 340.0 + 9.5
    assert not ask(lambda rows: find_products(rows, ProductQuery(detector="WFC")))


def test_exposures_lead_to_the_visits_made_of_them(job_of: JobOf) -> None:
    """By what was used; a visit counts as no association of its exposures."""
    process_dataset(job_of())
    ask = ledger_of(job_of().ledger).ask

    made = ask(
        lambda rows: made_from_datasets(rows, ["j8ph01abq"], wanted=lambda name: name == VISIT)
    )

    assert made == {"j8ph01abq": {VISIT}}
    assert ask(lambda rows: associations_of(rows, ["j8ph01abq"])) == {}


@pytest.mark.parametrize("style", ["flat", "folders"])
def test_no_viable_data_is_a_state_of_its_own(job_of: JobOf, bin_folder: Path, style: str) -> None:
    """Exit code 0, `skipped` with the reason, nothing published; the log is kept, the rest not."""
    make_combiners(bin_folder, visit=FINDS_NOTHING_VIABLE)
    job = job_of(messages=style)

    outcome = process_dataset(job)

    assert (outcome.state, outcome.code, outcome.uri) == ("skipped", 0, None)
    assert outcome.reason.startswith("no viable data: No viable images")
    row = ledger_of(job.ledger).jobs_of(job.id)[-1]
    assert (row.state, row.code, row.reason) == ("skipped", 0, outcome.reason)
    assert not (Path(str(job.output).removeprefix("file:")) / "data").exists()
    assert not job.folder.exists()
    kept = bundle_folder(job, "skipped")
    assert kept == Path(job.work) / "skipped" / job.run / VISIT
    assert "no processing done" in (kept / "process.txt").read_text()
    said = [path.name for path in messages_of(job.messages_folder).get(VISIT, ())]
    assert said == ([f"skipped-{VISIT}"] if style == "flat" else [])


def test_bundle_follows_how_a_visit_ends(job_of: JobOf, bin_folder: Path) -> None:
    """Skipped, then failed, then processed: one bundle at a time, then none, one message."""
    job = job_of(messages="flat")
    for body, state in ((FINDS_NOTHING_VIABLE, "skipped"), (FAILS, "error"), ("", "processed")):
        make_combiners(bin_folder, visit=body)
        assert process_dataset(job).state == state
        kept = {each: bundle_folder(job, each).exists() for each in ("skipped", "error")}
        assert kept == {each: each == state for each in kept}
        assert len(messages_of(job.messages_folder)[VISIT]) == 1


def test_failure_has_the_code_of_a_visit(job_of: JobOf, bin_folder: Path) -> None:
    """40, the state `error`, message file `error-ID`: CALDP reports a success there."""
    make_combiners(bin_folder, visit=FAILS)
    job = job_of(messages="flat")

    outcome = process_dataset(job)

    assert (outcome.state, outcome.code, outcome.stage) == ("error", 40, "calibrate")
    assert (job.messages_folder / f"error-{VISIT}").is_file()
    assert not (job.messages_folder / f"processed-{VISIT}.trigger").exists()


def test_without_the_program_nothing_is_fetched(
    job_of: JobOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A visit is gigabytes: the answer comes first."""
    job = job_of()
    monkeypatch.setattr(fetch, "fetch", lambda _: pytest.fail("it was fetched"))
    hide_programs(monkeypatch)

    outcome = process_dataset(job)

    assert (outcome.state, outcome.code, outcome.stage) == ("error", 23, "fetch")
    assert "pip install 'hstflow[drizzle]'" in outcome.reason


def test_distortion_files_are_waited_for_where_they_are_opened(
    job_of: JobOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image without alignment (DRIZCORR OMIT) opens IDCTAB; without it the visit waits."""
    image = make_image(tmp_path, IDCTAB="jref$qbu1641sj_idc.fits", DRIZCORR="OMIT")
    job = job_of(VISIT, image)
    monkeypatch.setattr(sequence, "pause", lambda _: None)
    closed = dataclasses.replace(job.profile, readonly=True)
    job = dataclasses.replace(job, profile=closed)

    blocked = process_dataset(job)

    assert (blocked.state, blocked.error_class) == ("blocked", ReferenceUnavailable.__name__)
    assert "j8ph01abq_flc.fits IDCTAB qbu1641sj_idc.fits" in blocked.reason


def test_distortion_files_in_the_cache_are_found(
    job_of: JobOf, tmp_path: Path, bin_folder: Path
) -> None:
    """The program has them under the names of the headers, in its own folder of references."""
    make_combiners(bin_folder, visit='ls "$jref"; exit 2')
    image = make_image(tmp_path, IDCTAB="jref$qbu1641sj_idc.fits", DRIZCORR="OMIT")
    job = job_of(VISIT, image)
    job = dataclasses.replace(
        job, profile=dataclasses.replace(job.profile, cache=tmp_path / "crds")
    )
    cache = job.profile.references
    cache.mkdir(parents=True)
    fits.PrimaryHDU().writeto(cache / "qbu1641sj_idc.fits")

    outcome = process_dataset(job)

    assert outcome.code == 40
    log = (bundle_folder(job) / "process.txt").read_text()
    assert "runsinglehap: qbu1641sj_idc.fits" in log
    uses = ledger_of(job.ledger).ask(
        lambda rows: rows("SELECT keyword, name, required FROM reference_used", {})
    )
    assert [(u["keyword"], u["name"], bool(u["required"])) for u in uses] == [
        ("IDCTAB", "qbu1641sj_idc.fits", True)
    ]


def test_names_of_skycells_are_found_among_messages(tmp_path: Path) -> None:
    """They have a hyphen of their own."""
    (tmp_path / f"processing-{SKYCELL}").touch()

    assert list(messages_of(tmp_path)) == [parse_dataset(SKYCELL).name]
