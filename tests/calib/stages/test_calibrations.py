"""References by date, end to end: from the ledger's collection to published products."""

from __future__ import annotations

import dataclasses
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from calib.archive.pointer import current_run
from calib.errors import ConfigError, CorruptFile
from calib.ledger.calibrations import Certification
from calib.ledger.ledger import open_ledger
from calib.ledger.validity import certify, decertify
from calib.references.exposure import ExposureHeaders
from calib.repository.certification import Wanted, certification_of
from calib.simulate.observatory import Observatory, build_observatory
from calib.stages.calibrations import certified_for
from calib.stages.job import Job, Options
from calib.stages.planning import Request, plan_jobs
from calib.stages.sequence import process_dataset

# Rows and columns of the bias that ours has higher: far from the overscan, which would take it off.
BLOCK = (slice(40, 60), slice(60, 80))

# The two simulated exposures start at 18:30 and 18:55 of 13 April 2002.
BETWEEN = "2002-04-13T18:40"

Certify = Callable[..., Path]


@pytest.fixture
def add(observatory: Observatory, request_of: Request, tmp_path: Path) -> Certify:
    """Return a function that certifies a bias of our own, 5 DN above the simulated one in BLOCK."""

    def make(name: str = "my_bia.fits", *, more: float = 5, **dates: str | None) -> Path:
        path = tmp_path / name
        source = observatory.profile.references / "z0000001j_bia.fits"
        with fits.open(source) as hdus:
            hdus["SCI"].data[BLOCK] += more
            hdus.writeto(path)
        found = certification_of(str(path), Wanted(**dates))
        with open_ledger(request_of.ledger) as ledger:
            ledger.write(lambda c: certify(c, "lab", [found]))
        return path

    return make


@pytest.fixture
def plan(request_of: Request, observatory: Observatory) -> Callable[..., list[Job]]:
    """Return a function that plans both exposures with the collection."""

    def make(request: Request = request_of, **options: Any) -> list[Job]:
        chosen = Options(**{"calibrations": "lab", **options})
        return plan_jobs(dataclasses.replace(request, options=chosen), observatory.datasets)

    return make


def folder_of(job: Job) -> Path:
    """Return where the current version of a dataset lies."""
    output = Path(str(job.output).removeprefix("file:"))
    return output / "data" / "acs" / job.dataset


def provenance(job: Job) -> dict[str, Any]:
    """Return what the manifest of the current version says."""
    found: dict[str, Any] = json.loads((folder_of(job) / "manifest.json").read_text())["provenance"]
    return found


def test_exactly_the_exposures_in_range_change(
    request_of: Request, observatory: Observatory, add: Certify, plan: Callable[..., list[Job]]
) -> None:
    """One exposure gets the bias and changes by it; the other is done already, bit for bit."""
    before = [process_dataset(job) for job in plan_jobs(request_of, observatory.datasets)]
    own = add(begins=BETWEEN)

    jobs = plan()
    plain = fits.getdata(folder_of(jobs[1]) / "jsim01abq_flt.fits", "SCI")
    outcomes = [process_dataset(job) for job in jobs]

    assert [outcome.state for outcome in outcomes] == ["skipped", "processed"]
    assert outcomes[0].run == before[0].run
    assert outcomes[1].run == jobs[1].run != before[1].run
    flt = folder_of(jobs[1]) / "jsim01abq_flt.fits"
    assert fits.getheader(flt)["BIASFILE"] == "jref$my_bia.fits"
    changed = plain - fits.getdata(flt, "SCI")
    assert np.count_nonzero(abs(changed) > 1) == 400
    # 5 DN at a gain of about 2 electrons/DN, divided by a flat of about 1.
    assert changed[abs(changed) > 1] == pytest.approx(np.full(400, 10), rel=0.2)
    sha1 = certification_of(str(own), Wanted()).sha1
    used = [{"keyword": "BIASFILE", "name": "my_bia.fits", "sha1": sha1}]
    expected = {"collection": "lab", "references": used}
    assert provenance(jobs[1])["parameters"]["calibrations"] == expected
    assert [process_dataset(job).state for job in jobs] == ["skipped", "skipped"]


def test_run_remembers_the_whole_collection(
    request_of: Request, add: Certify, plan: Callable[..., list[Job]]
) -> None:
    """The run's parameters have every range; the name of another collection is another run."""
    add(begins=BETWEEN)
    jobs = plan()
    process_dataset(jobs[1])
    with open_ledger(request_of.ledger) as ledger:
        rows = ledger.ask(lambda rows: rows("SELECT run, parameters FROM runs", {}))
        uses = ledger.ask(
            lambda rows: rows(
                "SELECT reference FROM references_used WHERE keyword = 'BIASFILE'", {}
            )
        )
    (run,) = rows
    recorded = json.loads(run["parameters"])["calibrations"]
    assert (run["run"], recorded["collection"]) == (jobs[1].run, "lab")
    assert recorded["references"][0]["begins_at"] == f"{BETWEEN}:00"
    assert [row["reference"] for row in uses] == ["my_bia.fits"]
    add("late_bia.fits", begins="2000", ends="2001")
    assert plan()[0].run != jobs[0].run


def test_planned_job_keeps_its_references(
    request_of: Request, add: Certify, plan: Callable[..., list[Job]]
) -> None:
    """What becomes of the collection later changes no job that was planned, on any worker."""
    add(begins=BETWEEN)
    job = pickle.loads(pickle.dumps(plan()[1]))  # noqa: S301 - as Dask sends it
    with open_ledger(request_of.ledger) as ledger:
        ledger.write(lambda c: decertify(c, "lab", keyword="BIASFILE"))

    assert process_dataset(job).state == "processed"
    assert fits.getheader(folder_of(job) / "jsim01abq_flt.fits")["BIASFILE"] == "jref$my_bia.fits"
    with pytest.raises(ConfigError, match=r"nothing is certified.*lab"):
        plan()


def test_explicit_reference_wins(
    add: Certify, plan: Callable[..., list[Job]], tmp_path: Path
) -> None:
    """--reference is used for every exposure, and the manifest names no collection for it."""
    own = add(begins=BETWEEN)
    other = Path(shutil.copy(own, tmp_path / "other_bia.fits"))
    job = plan(references={"BIASFILE": str(other)})[1]
    assert process_dataset(job).state == "processed"
    flt = folder_of(job) / "jsim01abq_flt.fits"
    assert fits.getheader(flt)["BIASFILE"] == "jref$other_bia.fits"
    assert "calibrations" not in provenance(job)["parameters"]


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_damaged_file_is_an_error_also_in_the_next_attempt(
    add: Certify, plan: Callable[..., list[Job]], monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    """A file that changes after bestrefs is noticed before what was chosen is used again."""
    own = add(begins=BETWEEN)
    job = plan()[1]

    def broken(*_given: Any) -> None:
        raise CorruptFile("broken")

    with monkeypatch.context() as patch:
        patch.setattr("calib.stages.calibrate.calibrate", broken)
        assert process_dataset(job).stage == "calibrate"
    if damage == "gone":
        own.unlink()
    else:
        own.write_bytes(own.read_bytes() + bytes(2880))

    outcome = process_dataset(job)

    assert (outcome.state, outcome.code, outcome.stage) == ("error", 27, "bestrefs")
    assert "my_bia.fits, certified in lab" in outcome.reason


@pytest.mark.parametrize("name", ["absent", "hst_9001", ""])
def test_unknown_collection_starts_nothing(
    request_of: Request, plan: Callable[..., list[Job]], name: str
) -> None:
    """A name that is not a collection's is refused when jobs are planned, with no ledger too."""
    with pytest.raises(ConfigError, match="no such calibration collection"):
        plan(calibrations=name)
    path = request_of.ledger.removeprefix("sqlite:///")
    with pytest.raises(ConfigError, match="no such calibration collection"):
        plan(dataclasses.replace(request_of, ledger=path), calibrations=name)


@pytest.mark.parametrize("cards", [{}, {"DATE-OBS": "13/04/02"}, {"DATE-OBS": "2002-04-13 "}])
def test_exposure_without_a_date(cards: dict[str, str]) -> None:
    """Without a usable date nothing can be chosen, which matters only where something fits."""
    bias = Certification("acs", "HRC", "BIASFILE", "b.fits", "a" * 40, "file:/b.fits", "2002")
    choose = certified_for("lab", [bias])
    header = {"INSTRUME": "ACS", "DETECTOR": "HRC", **cards}
    other = ExposureHeaders(Path("x_raw.fits"), {**header, "DETECTOR": "WFC"})
    assert choose(other) == {}
    exposure = ExposureHeaders(Path("x_raw.fits"), header)
    if cards.get("DATE-OBS", "").startswith("2002"):
        assert choose(exposure).keys() == {"BIASFILE"}
        return
    with pytest.raises(CorruptFile, match=r"x_raw\.fits.*DATE-OBS"):
        choose(exposure)


@pytest.mark.slow
def test_members_of_an_association_get_their_own(
    request_of: Request, add: Certify, tmp_path: Path
) -> None:
    """Of a CR-split the first exposure gets one bias and the second another."""
    built = build_observatory(tmp_path / "with_tables", small=True, associations=True)
    split = "jsia01010"
    first, second = built.associations[split]
    start = fits.getheader(built.raws / f"{second}_raw.fits")
    begins = f"{start['DATE-OBS']}T{start['TIME-OBS']}"
    add("old_bia.fits", ends=begins)
    add("new_bia.fits", more=6, begins=begins)
    request = dataclasses.replace(
        request_of,
        source=f"file:{built.raws}",
        profile=built.profile,
        options=Options(calibrations="lab"),
    )
    job = plan_jobs(request, [split])[0]

    assert process_dataset(job).state == "processed"

    names = {
        each["file"].partition("_")[0]: use["name"]
        for each in provenance(job)["references"]
        for use in each["references"]
        if use["keyword"] == "BIASFILE"
    }
    assert names == {first: "old_bia.fits", second: "new_bia.fits"}
    output = Path(str(job.output).removeprefix("file:"))
    assert current_run(output, job.id) == job.run
