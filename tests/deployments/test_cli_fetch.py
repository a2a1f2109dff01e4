"""`hstflow fetch` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from deployments.cli.main import run


@pytest.fixture
def raws(tmp_path: Path) -> Path:
    """Return a folder with one raw exposure."""
    folder = tmp_path / "raws"
    folder.mkdir()
    primary = fits.PrimaryHDU()
    primary.header.update(
        {
            "ROOTNAME": "j8bt05njq",
            "INSTRUME": "ACS",
            "DETECTOR": "HRC",
            "EXPTIME": 1.0,
            "DATE-OBS": "2002-04-13",
        }
    )
    imset = [fits.ImageHDU(np.zeros((4, 5), np.int16), name=n, ver=1) for n in ("SCI", "ERR", "DQ")]
    fits.HDUList([primary, *imset]).writeto(folder / "j8bt05njq_raw.fits")
    return folder


def test_files_come_into_a_folder_of_the_dataset(
    raws: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line a file, then a summary with the place."""
    assert run(["fetch", "J8BT05NJQ", f"file:{raws}", str(tmp_path / "out")]) == 0
    output = capsys.readouterr().out
    copy = tmp_path / "out" / "j8bt05njq" / "j8bt05njq_raw.fits"
    assert copy.read_bytes() == (raws / copy.name).read_bytes()
    assert copy.name in output
    assert f"1 exposure file(s) verified, in {copy.parent}" in output


def test_defaults_are_the_current_folder(
    raws: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`hstflow fetch ID` looks here and copies into ./ID."""
    monkeypatch.chdir(raws)
    assert run(["fetch", "j8bt05njq"]) == 0
    assert (raws / "j8bt05njq" / "j8bt05njq_raw.fits").exists()


def test_json_is_the_record(raws: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing but one JSON document on stdout."""
    assert run(["fetch", "j8bt05njq", f"file:{raws}", str(tmp_path / "out"), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["dataset"] == "j8bt05njq"
    assert [file["suffix"] for file in record["files"]] == ["raw"]


@pytest.mark.parametrize(
    ("dataset", "uri", "code", "message"),
    [
        ("j8bt05nkq", "file:RAWS", 21, "NotFound: no exposure file"),
        ("j8bt05020", "file:RAWS", 21, "NotFound: no association table"),
        ("j8bt05njq", "file:RAWS/none", 21, "NotFound: no such folder"),
        ("j8bt05njq", "archive:", 21, "NotFound: there is no ledger yet"),
        ("j8bt05njq", "ftp://host/x", 2, "ConfigError"),
        ("j8bt05njq", "RAWS", 2, "did you mean file:"),
        ("junk", "file:RAWS", 2, "not the name of a dataset"),
    ],
)
def test_failure_is_one_line_and_a_code(
    raws: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    dataset: str,
    uri: str,
    code: int,
    message: str,
) -> None:
    """The user reads what is wrong, scripts read CALDP's codes."""
    arguments = ["fetch", dataset, uri.replace("RAWS", str(raws)), str(tmp_path / "out")]
    assert run(arguments) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_second_fetch_overwrites_nothing(
    raws: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An edited copy is safe."""
    arguments = ["fetch", "j8bt05njq", f"file:{raws}", str(tmp_path)]
    run(arguments)
    copy = tmp_path / "j8bt05njq" / "j8bt05njq_raw.fits"
    copy.write_text("edited")
    assert run(arguments) == 2
    assert copy.read_text() == "edited"
    assert "already" in capsys.readouterr().err


def test_visit_comes_with_its_poller(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The exposures are counted; a visit that is not there is code 21."""
    primary = fits.PrimaryHDU()
    primary.header.update(
        {
            "ROOTNAME": "j8ph01abq",
            "INSTRUME": "ACS",
            "DETECTOR": "WFC",
            "FILTER1": "F606W",
            "FILTER2": "CLEAR2L",
            "PROPOSID": 9453,
            "EXPTIME": 1.0,
            "DATE-OBS": "2002-08-01",
        }
    )
    kinds = {"SCI": np.float32, "ERR": np.float32, "DQ": np.int16}
    imset = [fits.ImageHDU(np.zeros((4, 5), kind), name=n, ver=1) for n, kind in kinds.items()]
    fits.HDUList([primary, *imset]).writeto(tmp_path / "j8ph01abq_flc.fits")
    out = tmp_path / "out"

    assert run(["fetch", "ACS_8PH_01", f"file:{tmp_path}", str(out)]) == 0
    assert "1 exposure file(s) verified" in capsys.readouterr().out
    poller = out / "acs_8ph_01" / "acs_8ph_01_input.out"
    line = "j8ph01abq_flc.fits,9453,8PH,01,1.0,F606W;CLEAR2L,WFC,j8ph01abq_flc.fits"
    assert poller.read_text().splitlines() == [line]
    assert run(["fetch", "acs_8ph_02", f"file:{tmp_path}", str(out)]) == 21
    assert "no exposures of this visit" in capsys.readouterr().err
