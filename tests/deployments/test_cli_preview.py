"""`hstflow preview` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from deployments.cli.main import run
from tests.spectra import row, table, write_x1d


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Return a FITS image of a suffix that is in no table."""
    path = tmp_path / "mine_test.fits"
    data = np.random.default_rng(1).normal(10, 1, (30, 40)).astype(np.float32)
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(data, name="SCI", ver=1)]).writeto(path)
    return path


def test_any_image_is_drawn_here_by_default(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Paths of the pictures on stdout, code 0."""
    monkeypatch.chdir(tmp_path)
    assert run(["preview", str(image), "--thumb", "20"]) == 0
    assert capsys.readouterr().out.split() == [
        "mine_test.jpg",
        "mine_test_thumb.jpg",
        "mine_test_preview.json",
    ]
    with Image.open(tmp_path / "mine_test_thumb.jpg") as thumb:
        assert thumb.size == (20, 15)


def test_failure_of_one_file_is_code_28_and_the_others_are_drawn(
    image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Options may stand between files; the warning names file and reason."""
    out = tmp_path / "out"
    assert run(["preview", str(tmp_path / "no.fits"), "-o", str(out), str(image)]) == 28
    captured = capsys.readouterr()
    assert "no.fits: no preview: no such file" in captured.err
    assert (out / "mine_test.jpg").exists()


def test_remark_is_told_and_is_no_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A spectrum without fluxes was drawn, however empty it looks: code 0, on a line of stderr."""
    path = write_x1d(tmp_path / "o1_x1d.fits", table([row([1.0, 2, 3], [np.nan] * 3)]))
    assert run(["preview", str(path), "-o", str(tmp_path)]) == 0
    assert "note  o1_x1d.fits: no finite flux" in capsys.readouterr().err


def test_json_is_the_record(
    image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing but one JSON document on stdout."""
    assert run(["preview", str(image), "-o", str(tmp_path), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (len(record["files"]), record["warnings"]) == (3, [])


@pytest.mark.parametrize("arguments", [[], ["x.fits", "--thumb", "0"], ["x.fits", "--thumb", "a"]])
def test_bad_command_is_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """No file, or no size."""
    assert run(["preview", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out + captured.err


def test_spectra_and_mosaics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A spectrum gives a PNG and a table, two filters of a visit a picture in colour."""
    spectrum = write_x1d(tmp_path / "o1_x1d.fits", table([row([1.0, 2, 3], [1, 2, 3])]))
    mosaics = [tmp_path / f"hst_10265_01_acs_wfc_{f}_j8ph01_drc.fits" for f in ("f435w", "f814w")]
    for path in mosaics:
        data = np.random.default_rng(1).normal(10, 1, (30, 40)).astype(np.float32)
        fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(data, name="SCI", ver=1)]).writeto(path)
    out = tmp_path / "out"
    assert run(["preview", str(spectrum), *map(str, mosaics), "-o", str(out), "--json"]) == 0
    names = {Path(file["path"]).name for file in json.loads(capsys.readouterr().out)["files"]}
    assert {"o1_x1d.png", "o1_x1d_thumb.png", "o1_x1d_prev.fits"} < names
    assert "hst_10265_01_acs_wfc_total_j8ph01_drc_color_thumb.jpg" in names


def test_folder_is_told_from_a_broken_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who names a folder reads that, and not that FITS was expected of it."""
    assert run(["preview", str(tmp_path)]) == 28

    assert "a folder, and no file" in capsys.readouterr().err
