"""The real acquisition exposures of STIS: fetched, given references, and then nothing to do."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import pytest
from astropy.io import fits
from standin_programs import hide_programs

from calib.fetch.options import FetchOptions
from calib.references.profile import load_profile
from calib.stages.foresight import Desk, foresee
from calib.stages.job import Job, Options
from calib.stages.planning import Request, plan_jobs
from calib.stages.sequence import process_dataset

CONTEXT = "hst_0729.pmap"

# All of them: ACQ (target acquisition, three image sets of two shapes) and ACQ/PEAK.
ACQUISITIONS = {
    "o4er06llq": "ACQ/PEAK",
    "oc7w11viq": "ACQ/PEAK",
    "ocmv0lw6q": "ACQ",
    "ocoa03q2q": "ACQ",
    "octka7jeq": "ACQ/PEAK",
    "octr11h4q": "ACQ",
    "octr11hrq": "ACQ/PEAK",
    "ocu252cmq": "ACQ",
    "ocui04xeq": "ACQ/PEAK",
    "ocyw05afq": "ACQ/PEAK",
    "od3v01bfq": "ACQ/PEAK",
}


def jobs_of(shared: Path, crds_pack: Path, folder: Path) -> dict[str, Job]:
    """Return a job for each of them, on real rules."""
    request = Request(
        source=f"file:{shared / 'data' / 'real'}",
        output=f"file:{folder / 'out'}",
        profile=load_profile(None, {"CRDS_PATH": str(crds_pack / "crds_cache")}),
        work=str(folder / "work"),
        ledger=f"sqlite:///{folder / 'ledger.db'}",
        context=CONTEXT,
        options=Options(keep_scratch=True),
    )
    return {job.dataset: job for job in plan_jobs(request, list(ACQUISITIONS))}


def test_all_are_known(shared: Path) -> None:
    """There are these files, and no others."""
    found = {path.name[:9] for path in (shared / "data" / "real").glob("o*_raw.fits")}
    assert found == {*ACQUISITIONS}


@pytest.mark.parametrize(
    "datasets",
    [["ocmv0lw6q", "o4er06llq"], pytest.param(list(ACQUISITIONS), marks=pytest.mark.slow)],
)
def test_every_acquisition_is_skipped_with_the_reason(
    shared: Path,
    crds_pack: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    datasets: list[str],
) -> None:
    """No program is needed; references are chosen and written all the same, pixels untouched."""
    hide_programs(monkeypatch)
    jobs = jobs_of(shared, crds_pack, tmp_path)
    for dataset, job in ((name, jobs[name]) for name in datasets):
        outcome = process_dataset(job)

        reason = f"nothing to do: {dataset}_raw.fits: no switch is PERFORM"
        assert (outcome.state, outcome.code, outcome.reason) == ("skipped", 0, reason)
        raw = shared / "data" / "real" / f"{dataset}_raw.fits"
        with fits.open(raw) as old, fits.open(job.folder / "bestrefs" / raw.name) as new:
            assert old[0].header["OBSMODE"] == ACQUISITIONS[dataset]
            assert new[0].header["CRDS_CTX"] == CONTEXT
            assert new[0].header["AWSDPVER"].startswith("hstflow ")
            assert [hdu.name for hdu in old] == [hdu.name for hdu in new]
        content = raw.read_bytes()[-2880:]
        assert (job.folder / "bestrefs" / raw.name).read_bytes().endswith(content)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("engine", ["auto", "hstcal"])
def test_a_forecast_says_so_before(
    shared: Path, crds_pack: Path, tmp_path: Path, engine: str
) -> None:
    """A dry run skips it, too, with the same words."""
    job = jobs_of(shared, crds_pack, tmp_path)["ocmv0lw6q"]
    job = dataclasses.replace(job, options=dataclasses.replace(job.options, engine=engine))
    desk = Desk(tmp_path, job.profile, FetchOptions(), fetch=False, lock=threading.Lock())
    found = foresee(job, desk)
    assert (found.state, found.reason) == (
        "skip",
        "nothing to do: no switch is PERFORM",
    )
