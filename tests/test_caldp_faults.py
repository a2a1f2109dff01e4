"""CALDP's faults of processing, one test each: that they are not ours is shown by running our code.

The numbers are those of the list of faults: 1 to 6 are states that are reported wrong, 7 to 14
steps that do nothing without a word, or calibrate wrongly.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cos_world
import pytest
from astropy.io import fits
from drizzle_world import ROOTS, make_world
from failing_stages import failing
from hap_inputs import VISIT, make_image, make_inputs
from program_headers import STIS
from standin_programs import (
    CRASHES,
    FAILS,
    IS_KILLED,
    MAKES_NOTHING,
    calls_of,
    hide_programs,
    make_calcos,
    make_combiners,
    make_hstcal,
    make_program,
    put_first_on_path,
)
from workbench import rewriting

from calib.engines.calcos import CalcosEngine
from calib.engines.lookup import choose_engine
from calib.engines.stage2 import plan_stage2
from calib.engines.stage2_run import drizzle
from calib.errors import EngineError, HstflowError, MissingMember, NotFound, UnsupportedMode
from calib.fetch import mast
from calib.fetch.local import fetch_inputs
from calib.fetch.options import FetchOptions
from calib.ids import parse_dataset
from calib.simulate.mast_server import MastServer
from calib.simulate.observatory import Observatory, build_observatory
from calib.stages import fetch as fetching
from calib.stages.job import Job, Options
from calib.stages.planning import Request, plan_jobs
from calib.stages.recording import ledger_of
from calib.stages.sequence import process_dataset
from calib.stages.workfolder import Finished
from calib.stores.store import hash_file

Programs = Callable[..., Path]


@pytest.fixture(scope="module")
def sky(tmp_path_factory: pytest.TempPathFactory) -> Observatory:
    """Return two exposures and an association of a small detector, with their references."""
    folder = tmp_path_factory.mktemp("sky")
    return build_observatory(folder, exposures=2, small=True, associations=True)


@pytest.fixture
def asked(sky: Observatory, tmp_path: Path) -> Request:
    """Return a request with everything under a temporary folder, and flat message files."""
    raws = Path(shutil.copytree(sky.raws, tmp_path / "raw"))
    return Request(
        source=f"file:{raws}",
        output=f"file:{tmp_path / 'out'}",
        profile=sky.profile,
        work=str(tmp_path / "work"),
        ledger=f"sqlite:///{tmp_path / 'ledger.db'}",
        context=sky.contexts[0],
        options=Options(messages="flat", previews="none"),
    )


@pytest.fixture
def job(asked: Request, sky: Observatory) -> Job:
    """Return the job of the first exposure."""
    return plan_jobs(asked, sky.datasets[:1])[0]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Return what writes a program with some body; HSTCAL's are there and behave."""
    hide_programs(monkeypatch)
    folder = make_hstcal(tmp_path / "bin")
    put_first_on_path(folder, monkeypatch)
    return lambda name, body: make_program(folder, name, body)


def by(job: Job, engine: str, **options: Any) -> Job:
    """Return the job for another engine or with other options."""
    changed = dataclasses.replace(job.options, engine=engine, **options)
    return dataclasses.replace(job, options=changed)


def messages(job: Job) -> set[str]:
    """Return the names of the message files."""
    return {path.name for path in job.messages_folder.iterdir() if path.is_file()}


def shown(job: Job) -> Path:
    """Return the folder that readers are led to."""
    return Path(str(job.output).removeprefix("file:")) / "data" / job.id.instrument / job.dataset


@pytest.mark.parametrize("code", [10, 40])
def test_1_a_code_that_ends_in_zero_is_a_failure(job: Job, code: int) -> None:
    """CALDP reads the last digit of the exit code: 40 was "processed" there."""
    outcome = process_dataset(job, failing("calibrate", EngineError("failed", code=code)))

    assert (outcome.state, outcome.code) == ("error", code)
    assert messages(job) == {f"error-{job.dataset}"}
    assert ledger_of(job.ledger).jobs_of(job.id)[-1].state == "error"


def test_1_a_visit_that_fails_is_a_failure(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same with the program itself: code 40, and no trigger for the archive."""
    put_first_on_path(make_combiners(tmp_path / "hap", visit=FAILS), monkeypatch)
    inputs = make_inputs(tmp_path / "in", VISIT)
    monkeypatch.setattr(fetching, "fetch", lambda _: Finished(inputs, reused=False))

    visit = dataclasses.replace(job, dataset=VISIT)
    outcome = process_dataset(visit)

    assert (outcome.state, outcome.code) == ("error", 40), outcome.reason
    assert messages(visit) == {f"error-{VISIT}"}


@pytest.mark.parametrize("body", [IS_KILLED, CRASHES])
def test_2_a_program_ended_by_a_signal_is_a_failure(
    job: Job, programs: Programs, body: str
) -> None:
    """GNU time calls that "exit status 0"; a killed program is out of memory, most likely."""
    programs("calacs.e", body)
    outcome = process_dataset(by(job, "hstcal"))

    assert (outcome.state, outcome.stage) == ("error", "calibrate")
    assert outcome.code == (31 if body == IS_KILLED else 23), outcome.reason
    assert messages(job) == {f"error-{job.dataset}"}


@pytest.mark.slow
def test_3_the_last_step_has_no_say_in_the_exit_code(job: Job, tmp_path: Path) -> None:
    """Messages that cannot be written hide no failure, and fail nothing that is published."""
    job.messages_folder.parent.mkdir(parents=True)
    job.messages_folder.write_text("in the way")

    failed = process_dataset(job, failing("calibrate", EngineError("failed")))
    done = process_dataset(job)

    assert (failed.state, failed.code) == ("error", 23)
    assert (done.state, done.code) == ("processed", 0)


def test_4_no_file_of_metrics_is_looked_for(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CALDP takes any file of that name below the working folder, and fails without one."""
    decoy = tmp_path / "here" / "deeper" / "process_metrics.txt"
    decoy.parent.mkdir(parents=True)
    decoy.write_text("Exit status: 1\n")
    monkeypatch.chdir(tmp_path / "here")

    assert process_dataset(job).state == "processed"
    assert decoy.read_text() == "Exit status: 1\n"
    assert [path for path in (tmp_path / "here").rglob("*") if path.is_file()] == [decoy]


def test_5_a_preview_that_fails_is_told_and_holds_nothing_back(
    job: Job, programs: Programs, tmp_path: Path
) -> None:
    """Products are published with a warning; where previews are required it is error 28.

    A program makes an odd image: its offset is a word.
    """
    made = f"{job.dataset}_flt.fits"
    shutil.copyfile(tmp_path / "raw" / f"{job.dataset}_raw.fits", tmp_path / made)
    with rewriting(tmp_path / made) as hdus:
        hdus["SCI", 1].header["LTV1"] = "left"
    programs("calacs.e", f"cp {tmp_path / made} {made}")
    strict = process_dataset(by(job, "hstcal", previews="required"))
    done = process_dataset(by(job, "hstcal", previews="normal"))

    assert (strict.state, strict.code) == ("error", 28), strict.reason
    assert done.state == "processed"
    (warning,) = done.warnings
    assert warning.startswith(f"{made}: no preview")
    assert [path.name for path in shown(job).rglob("*_flt*")] == [made]
    assert (shown(job) / "previews" / f"{job.dataset}_raw.jpg").stat().st_size > 0


def test_6_what_is_learned_of_a_failure_is_that_it_failed(job: Job) -> None:
    """CALCLOUD takes any status with a 0 in it for a success, and reads lines by their number."""
    process_dataset(job, failing("calibrate", EngineError("failed", code=40)))
    process_dataset(job)

    rows = ledger_of(job.ledger).ask(lambda ask: ask("SELECT outcome, code FROM attempt", {}))
    found = [(row["outcome"], row["code"]) for row in rows]
    assert found == [("error", 40), ("processed", 0)]


def test_7_nothing_at_mast_is_input_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code 22, at once; CALDP goes on with an empty list and ends with 1."""
    monkeypatch.setattr(mast, "_ask_both", lambda *_: {})
    with pytest.raises(NotFound, match="MAST has no input files") as caught:
        fetch_inputs(
            parse_dataset("jsim01aaq"), "astroquery:", tmp_path / "in", options=FetchOptions()
        )
    assert caught.value.code == 22


def test_7_an_association_in_part_is_not_calibrated(
    asked: Request, sky: Observatory, tmp_path: Path
) -> None:
    """CALDP does not notice that members are missing."""
    table = next(name for name in sky.datasets if name.endswith("0"))
    with fits.open(tmp_path / "raw" / f"{table}_asn.fits") as hdus:
        members = [str(name).lower() for name in hdus[1].data["MEMNAME"]]
    lost = next(path for m in members for path in (tmp_path / "raw").glob(f"{m}_raw.fits"))
    lost.unlink()

    outcome = process_dataset(plan_jobs(asked, [table])[0])

    assert (outcome.state, outcome.code, outcome.stage) == ("error", 21, "fetch")
    assert outcome.error_class == MissingMember.__name__
    assert lost.name[:9] in outcome.reason


def test_8_an_unresolved_reference_stops_the_dataset(job: Job, tmp_path: Path) -> None:
    """CALDP throws the number of errors of bestrefs away."""
    with rewriting(tmp_path / "raw" / f"{job.dataset}_raw.fits") as hdus:
        hdus[0].header["CCDGAIN"] = 99.0

    outcome = process_dataset(job)

    assert (outcome.state, outcome.code, outcome.stage) == ("error", 27, "bestrefs")
    assert "CCDTAB" in outcome.reason or "BIASFILE" in outcome.reason
    assert not shown(job).exists()


@pytest.mark.slow
def test_9_one_input_for_each_call(
    asked: Request, sky: Observatory, programs: Programs, tmp_path: Path
) -> None:
    """Neighbours in the same folder stay out: CALDP takes all files of five equal characters."""
    hstcal = dataclasses.replace(asked, options=Options(engine="hstcal", previews="none"))
    first, second = [name for name in sky.datasets if not name.endswith("0")][:2]
    for planned in plan_jobs(hstcal, [first, second]):
        assert process_dataset(planned).state == "processed"
        names = {path.name for path in shown(planned).glob("*.fits")}
        assert all(name.startswith(planned.dataset) for name in names)
    assert calls_of(tmp_path / "bin", "calacs") == [f"{first}_raw.fits", f"{second}_raw.fits"]


def test_10_stage_2_without_a_product_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program ends with 0 where it found no viable data, and where it made nothing."""
    world = make_world(tmp_path, ROOTS[:1], table=False)
    header = {"INSTRUME": "WFC3", "DRIZCORR": "PERFORM"}
    said = 'echo "[ERROR   ] No valid data found in input exposures." | tee -a "${3%_*}.tra"'
    put_first_on_path(tmp_path / "bin", monkeypatch)

    make_program(tmp_path / "bin", "runastrodriz", said)
    plan = plan_stage2("auto", "off", [header], None)
    assert "no viable data" in drizzle(world.request, world.products, plan).stage2

    make_program(tmp_path / "bin", "runastrodriz", MAKES_NOTHING)
    with pytest.raises(EngineError) as caught:
        drizzle(world.request, world.products, plan)
    assert caught.value.code == 24


def test_11_events_of_stis_alone_are_refused_with_the_reason(programs: Programs) -> None:
    """CALDP starts cs0.e without a file."""
    events = {**STIS, "OBSMODE": "TIME-TAG", "FILENAME": "oz0001010_tag.fits"}
    with pytest.raises(UnsupportedMode, match="events"):
        choose_engine("hstcal", [events])


def test_11_every_raw_of_cos_is_calibrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an association, too: CALDP calibrates the first and does not tell of the others."""
    make_calcos(tmp_path / "bin")
    put_first_on_path(tmp_path / "bin", monkeypatch)
    references = cos_world.make_references(tmp_path)
    roots = ("la8q99abq", "la8q99acq")
    raws = [
        cos_world.write_events(tmp_path / f"{root}_rawtag.fits", [300, 301], [400, 401])
        for root in roots
    ]
    made = CalcosEngine().calibrate(
        cos_world.make_request(raws, references, tmp_path / "out", (), [], ())
    )
    assert {f"{root}_flt.fits" for root in roots} < {file.name for file in made.files}


@pytest.mark.parametrize("source", ["folder", "MAST"])
def test_12_a_mixed_visit_is_complete(tmp_path: Path, source: str) -> None:
    """WFC gives its FLC and SBC its FLT: CALDP takes one kind for all."""
    there = tmp_path / "there"
    for name in ("j8ph01abq_flt.fits", "j8ph01abq_flc.fits"):
        make_image(there, name)
    make_image(there, "j8ph01acq_flt.fits", DETECTOR="SBC", FILTER1="F140LP", FILTER2="N/A")
    visit = parse_dataset(VISIT)

    if source == "folder":
        inputs = fetch_inputs(visit, f"file:{there}", tmp_path / "in")
    else:
        with MastServer(there, {}) as server:
            options = FetchOptions(mast_url=server.url, cache=tmp_path / "cache")
            inputs = fetch_inputs(visit, "astroquery:", tmp_path / "in", options=options)

    taken = ["j8ph01abq_flc.fits", "j8ph01acq_flt.fits"]
    assert [file.name for file in inputs.images] == taken
    (poller,) = inputs.of("poller")
    lines = Path(poller.path).read_text().splitlines()
    assert [line.partition(",")[0] for line in lines] == taken


@pytest.mark.parametrize(
    "body",
    [
        MAKES_NOTHING,
        "head -c 5000 ${1%_raw.fits}_raw.fits > ${1%_raw.fits}_flt.fits",
        "echo nothing of FITS > ${1%_raw.fits}_flt.fits",
    ],
)
def test_13_products_are_looked_at(job: Job, programs: Programs, body: str) -> None:
    """Absent, cut short, no FITS: an exit code of 0 is not believed."""
    programs("calacs.e", body)
    outcome = process_dataset(by(job, "hstcal"))

    assert (outcome.state, outcome.code) == ("error", 23), outcome.reason
    assert f"{job.dataset}_flt.fits" in outcome.reason
    assert not shown(job).exists()


def test_13_every_published_file_has_its_checksum(job: Job) -> None:
    """What is in the manifest is what lies there, and the other way round."""
    assert process_dataset(job).state == "processed"
    folder = shown(job).resolve()
    files = json.loads((folder / "manifest.json").read_text())["files"]
    there = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert there == {"manifest.json", *(each["name"] for each in files)}
    assert all(hash_file(folder / each["name"]) == each["sha256"] for each in files)


@pytest.mark.slow
def test_14_products_of_before_do_not_stay(job: Job, programs: Programs) -> None:
    """Readers see the files of one run alone; what is not made any more is told."""
    raw, flt, flc = "${1%_raw.fits}_raw.fits", "${1%_raw.fits}_flt.fits", "${1%_raw.fits}_flc.fits"
    more = by(job, "hstcal", own_run=True)
    programs("calacs.e", f"cp {raw} {flt}; cp {raw} {flc}")
    first = process_dataset(dataclasses.replace(more, run="first", run_is_named=True))
    before = {path.name for path in shown(job).iterdir()}
    programs("calacs.e", f"cp {raw} {flt}")
    second = process_dataset(dataclasses.replace(more, run="second", run_is_named=True))

    after = {path.name for path in shown(job).iterdir()}
    assert (first.state, second.state) == ("processed", "processed"), second.reason
    assert before - after == {f"{job.dataset}_flc.fits"}
    assert any(f"{job.dataset}_flc.fits" in warning for warning in second.warnings)


def test_every_error_of_ours_has_a_code_that_is_not_zero() -> None:
    """No class of errors can be taken for a success."""
    classes, left = set(), [HstflowError]
    while left:
        classes |= set(found := left.pop().__subclasses__())
        left += found
    assert classes
    assert all(each.code for each in classes if "code" in vars(each))
