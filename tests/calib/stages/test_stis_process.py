"""A dataset of STIS with all that lies beside it, through all stages, by a stand-in for cs0.e.

Its raw is a real acquisition that is asked to be calibrated; the wavelength calibration, which it
does not use, the list of events and the table of temperatures are made up from real files.
"""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits
from factories import write_table
from standin_programs import make_hstcal, put_first_on_path

from calib.archive.outputs import open_output
from calib.references.profile import load_profile
from calib.stages.job import Job, Options
from calib.stages.planning import Request, plan_jobs
from calib.stages.published import find_publication
from calib.stages.reproduction import Rerun, reproduce
from calib.stages.sequence import process_dataset
from calib.switches import parse_overrides

DATASET = "ocmv0lw6q"
VARIABLES = "PIPELINE_OPTIONS=a=b\nAWSYSVER=0.4.48\n"


@pytest.fixture
def job(shared: Path, crds_pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """Return the job, with its inputs in a folder and the program on PATH."""
    put_first_on_path(make_hstcal(tmp_path / "programs"), monkeypatch)
    monkeypatch.setenv("CSYS_VER", "image 7")
    monkeypatch.setenv("AWSYSVER", "of the process")
    references = {
        keyword: str(write_table(tmp_path / f"{keyword.lower()}.fits", [{"CCDAMP": "A"}]))
        for keyword in ("BPIXTAB", "CCDTAB")
    }
    request = Request(
        source=f"file:{lay_inputs(shared, tmp_path / 'in')}",
        output=f"file:{tmp_path / 'out'}",
        profile=load_profile(None, {"CRDS_PATH": str(crds_pack / "crds_cache")}),
        work=str(tmp_path / "work"),
        ledger=f"sqlite:///{tmp_path / 'ledger.db'}",
        context="hst_0729.pmap",
        options=Options(
            engine="hstcal",
            overrides=parse_overrides(["DQICORR=PERFORM"]),
            references=references,
            previews="none",
        ),
    )
    return plan_jobs(request, [DATASET])[0]


def lay_inputs(shared: Path, folder: Path) -> Path:
    """Lay out raw, support file, wavelength calibration, events, temperatures and variables."""
    folder.mkdir()
    real = shared / "data" / "real"
    for suffix in ("raw", "spt"):
        shutil.copyfile(real / f"{DATASET}_{suffix}.fits", folder / f"{DATASET}_{suffix}.fits")
    with fits.open(folder / f"{DATASET}_raw.fits") as hdus:
        for suffix, target in (("wav", "WAVE"), ("tag", hdus[0].header["TARGNAME"])):
            hdus[0].header["TARGNAME"] = target
            hdus[0].header["FILENAME"] = f"{DATASET}_{suffix}.fits"
            hdus.writeto(folder / f"{DATASET}_{suffix}.fits", checksum=True)
    shutil.copyfile(real / f"{DATASET}_spt.fits", folder / f"{DATASET}_epc.fits")
    (folder / f"{DATASET}_cal_env.txt").write_text(VARIABLES)
    return folder


def provenance_of(job: Job) -> tuple[set[str], dict[str, Any]]:
    """Return the published files by name, and the provenance."""
    output = open_output(str(job.output))
    manifest = output.current_manifest(job.id)
    assert manifest is not None
    return {file.name for file in manifest.files}, manifest.provenance


def test_a_whole_dataset(job: Job, tmp_path: Path) -> None:
    """What is published, where, with which keywords; and that it can be made again."""
    outcome = process_dataset(job)

    assert (outcome.state, outcome.code) == ("processed", 0), outcome.reason
    names, provenance = provenance_of(job)
    assert {f"{DATASET}_{suffix}.fits" for suffix in ("raw", "wav", "tag", "spt", "flt")} < names
    assert f"{DATASET}_epc.fits" not in names
    assert f"env/{DATASET}_cal_env.txt" in names
    folder = tmp_path / "out" / "data" / "stis" / DATASET
    assert (folder / "env" / f"{DATASET}_cal_env.txt").read_text() == VARIABLES
    assert "epc files of STIS are not" in (folder / "logs" / "process.txt").read_text()

    # The dataset's own variables stand above those of the process.
    expected = {"CSYS_VER": "image 7", "AWSYSVER": "0.4.48"}
    for suffix in ("raw", "wav", "flt"):
        header = fits.getheader(folder / f"{DATASET}_{suffix}.fits")
        assert {key: header[key] for key in expected} == expected
    assert provenance["request"]["versions"].items() > expected.items()
    assert provenance["request"]["environment_file"] == {
        "PIPELINE_OPTIONS": "a=b",
        "AWSYSVER": "0.4.48",
    }
    # What the exposure shows is what its image shows, not its wavelength calibration.
    assert provenance["data_ids"][0]["target"] != "WAVE"

    again = find_publication(DATASET, run=None, output=job.output)
    for from_archive in (False, True):
        rerun = Rerun(job.profile, tmp_path / f"again{from_archive}", job.ledger)
        result = reproduce(again, dataclasses.replace(rerun, from_archive=from_archive))
        assert {file.name: file.state for file in result.files if not file.reproduced} == {}


@pytest.mark.slow
def test_another_file_of_variables_is_other_work(job: Job, tmp_path: Path) -> None:
    """It is part of the fingerprint: the same dataset is not skipped then."""
    assert process_dataset(job).state == "processed"
    assert process_dataset(job).state == "skipped"
    (tmp_path / "in" / f"{DATASET}_cal_env.txt").write_text("PIPELINE_OPTIONS=other\n")
    assert process_dataset(job).state == "processed"
    assert provenance_of(job)[1]["request"]["environment_file"] == {"PIPELINE_OPTIONS": "other"}
