"""`hstflow calibrate`: stage 1 alone on files whose headers name their references."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from astropy.io import fits

from calib.simulate.observatory import Observatory
from deployments.cli.main import run


@pytest.fixture
def raw(observatory: Observatory, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Return a raw file whose header names its references (written by `hstflow bestrefs`)."""
    name = f"{observatory.datasets[0]}_raw.fits"
    copy = Path(shutil.copy(observatory.raws / name, tmp_path / name))
    with pytest.MonkeyPatch.context() as patch:
        for key, value in observatory.environ.items():
            patch.setenv(key, value)
        assert run(["bestrefs", str(copy), "--context", observatory.contexts[0], "--update"]) == 0
    capsys.readouterr()
    return copy


def test_references_folder_is_enough(
    raw: Path, observatory: Observatory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --references and nothing else set, a file is calibrated into the output folder."""
    references = next(observatory.crds_path.rglob("*_bia.fits")).parent
    command = ["calibrate", str(raw), "--output", str(tmp_path / "out"), "--json"]

    assert run([*command, "--references", str(references)]) == 0

    products = json.loads(capsys.readouterr().out)[0]
    flt = tmp_path / "out" / raw.name.replace("_raw", "_flt")
    assert str(flt) in [file["path"] for file in products["files"]]
    assert fits.getval(flt, "DARKCORR") == "COMPLETE"


def test_jref_variable_is_followed(
    raw: Path, observatory: Observatory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable jref names the folder, as for calacs."""
    folder = next(observatory.crds_path.rglob("*_bia.fits")).parent
    monkeypatch.setenv("jref", f"{folder}/")

    assert run(["calibrate", str(raw), "--output", str(tmp_path / "out")]) == 0


def test_missing_references_are_all_named(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without any place to look, the error lists every missing reference; nothing is made."""
    assert run(["calibrate", str(raw), "--output", str(tmp_path / "out")]) == 27

    err = capsys.readouterr().err
    assert all(keyword in err for keyword in ("BIASFILE", "DARKFILE", "PFLTFILE"))
    assert not list(tmp_path.glob("out/*.fits"))


def test_product_is_never_overwritten(
    raw: Path, observatory: Observatory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second run into the same folder is an error and changes nothing."""
    references = next(observatory.crds_path.rglob("*_bia.fits")).parent
    command = ["calibrate", str(raw), "--output", str(tmp_path / "out")]
    command += ["--references", str(references)]
    assert run(command) == 0
    flt = next((tmp_path / "out").glob("*_flt.fits"))
    before = flt.stat().st_mtime_ns

    assert run(command) != 0

    assert flt.stat().st_mtime_ns == before
    assert flt.name in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "code"), [("nothing_raw.fits", 21), ("picture.fits", 2)], ids=["absent", "not raw"]
)
def test_what_is_not_a_raw_exposure(tmp_path: Path, name: str, code: int) -> None:
    """A missing file is error 21, a file that is no raw exposure a bad command."""
    if name == "picture.fits":
        (tmp_path / name).write_bytes(b"x")

    assert run(["calibrate", str(tmp_path / name)]) == code
