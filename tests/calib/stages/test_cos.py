"""COS datasets from raws to published products: the six stages, references by rules, calcos."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cos_world as cos
import pytest
from astropy.io import fits
from real_programs import find_real_program
from standin_programs import make_calcos, put_first_on_path

from calib.engines.program import CALCOS
from calib.records import Outcome
from calib.references.profile import CrdsProfile
from calib.stages.planning import Request, plan_jobs
from calib.stages.sequence import process_dataset

ROOT, SECOND, PEAK, ASSOCIATION = "la8q99abq", "la8q99acq", "la8q99adq", "la8q99010"


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write the references."""
    return cos.make_references(tmp_path_factory.mktemp("references"))


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory, references: dict[str, Path]) -> CrdsProfile:
    """Make rules for them."""
    return cos.make_cache(tmp_path_factory.mktemp("crds") / "cache", references)


@pytest.fixture
def calcos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a program that behaves like calcos on PATH; return its folder."""
    make_calcos(tmp_path / "bin")
    put_first_on_path(tmp_path / "bin", monkeypatch)
    return tmp_path / "bin"


def process(tmp_path: Path, profile: CrdsProfile, dataset: str) -> Outcome:
    """Take a dataset whose raws lie in the folder ``raw`` through all stages."""
    request = Request(
        source=f"file:{tmp_path / 'raw'}",
        output=f"file:{tmp_path / 'out'}",
        profile=profile,
        work=str(tmp_path / "work"),
        ledger=f"sqlite:///{tmp_path / 'ledger.db'}",
        context=cos.CONTEXT,
    )
    return process_dataset(plan_jobs(request, [dataset])[0])


def write_association(folder: Path) -> None:
    """Write two spectra of the NUV and their table."""
    folder.mkdir()
    x, y = cos.spectrum_events(["NUVA", "NUVB", "NUVC"], each=10)
    members = []
    for root, position in ((ROOT, 1), (SECOND, 3)):
        header = {**cos.SPECTRUM, "FPPOS": position, "ASN_ID": ASSOCIATION.upper()}
        cos.write_events(folder / f"{root}_rawtag.fits", x, y, **header)
        members.append(cos.Member(root, "EXP-FP", present=True))
    members.append(cos.Member(ASSOCIATION, "PROD-FP", present=False))
    cos.write_table(folder / f"{ASSOCIATION}_asn.fits", members)


def published(tmp_path: Path, dataset: str) -> dict[str, Path]:
    """Return the published files by name."""
    folder = tmp_path / "out" / "data" / "cos" / dataset
    return {path.name: path for path in folder.rglob("*") if path.is_file()}


def test_association_is_published(tmp_path: Path, profile: CrdsProfile, calcos: Path) -> None:
    """With the references of the rules in its headers, its sums and its trailers."""
    write_association(tmp_path / "raw")
    outcome = process(tmp_path, profile, ASSOCIATION)
    assert outcome.state == "processed", outcome.reason
    assert (calcos / "calls.txt").read_text() == f"{ASSOCIATION}_asn.fits\n"
    files = published(tmp_path, ASSOCIATION)
    sums = {f"{ASSOCIATION}_{s}.fits" for s in ("x1dsum", "x1dsum1", "x1dsum3", "asn")}
    assert sums | {f"{ROOT}_x1d.fits", f"{SECOND}_corrtag.fits", f"{ROOT}.tra"} <= set(files)
    header = fits.getheader(files[f"{ROOT}_x1d.fits"])
    assert header["XTRACTAB"] == "lref$made_xtractab.fits"
    assert (header["CRDS_CTX"], header["RANDSEED"]) == (cos.CONTEXT, 1)
    manifest = json.loads(files["manifest.json"].read_text())
    assert "3.6.2" in json.dumps(manifest)


def test_acquisition_is_skipped(tmp_path: Path, profile: CrdsProfile, calcos: Path) -> None:
    """Nothing is published, and it is no error."""
    (tmp_path / "raw").mkdir()
    cos.write_acquisition(tmp_path / "raw" / f"{PEAK}_rawacq.fits", "ACQ/PEAKXD")
    outcome = process(tmp_path, profile, PEAK)
    assert (outcome.state, outcome.code) == ("skipped", 0)
    assert "ACQ/PEAKXD, which calcos does not calibrate" in outcome.reason
    assert (calcos / "calls.txt").exists()
    assert not (tmp_path / "out" / "data").exists()


def test_failure_is_an_error_of_stage_1(tmp_path: Path, profile: CrdsProfile, calcos: Path) -> None:
    """Code 23, with the program's last words; nothing is published."""
    write_association(tmp_path / "raw")
    make_calcos(calcos, before="echo 'RuntimeError: the sky is wrong'; exit 1")
    outcome = process(tmp_path, profile, ASSOCIATION)
    assert (outcome.state, outcome.code, outcome.stage) == ("error", 23, "calibrate")
    assert "the sky is wrong" in outcome.reason
    assert not (tmp_path / "out" / "data").exists()


@pytest.mark.slow
def test_real_program_publishes(
    tmp_path: Path, profile: CrdsProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same association with the real calcos: its spectrum is the one that was put in."""
    find_real_program(CALCOS, monkeypatch)
    write_association(tmp_path / "raw")
    assert process(tmp_path, profile, ASSOCIATION).state == "processed"
    files = published(tmp_path, ASSOCIATION)
    spectrum = fits.getdata(files[f"{ASSOCIATION}_x1dsum.fits"])
    middle = spectrum["FLUX"].shape[1] // 2
    assert spectrum["FLUX"][:, middle] == pytest.approx([5e-14] * 3, rel=1e-5)
    shutil.rmtree(tmp_path / "out")
