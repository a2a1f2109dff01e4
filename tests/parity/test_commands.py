"""The commands of a user on real exposures: `hstflow calibrate` and `hstflow process`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from astropy.io import fits
from PIL import Image

from calib.archive.outputs import FileOutput
from calib.ids import parse_dataset
from calib.simulate.context import build_context, offline_profile
from deployments.cli.main import run

pytestmark = pytest.mark.parity

REAL = ("j8bt05njq", "j8bt06o6q", "j8bt09jcq")


def test_calibrate_command_passes_the_golden_comparison(
    shared: Path, crds_pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`jref=... hstflow calibrate FILE...` gives the products and headers of calacs.e."""
    subprocess.run(
        [sys.executable, shared / "golden" / "make_data.py", tmp_path, "acs_hrc_real"],
        env={**os.environ, "HRC_REAL": str(crds_pack / "raw")},
        check=True,
    )
    raws = [str(tmp_path / "acs_hrc_real" / "in" / f"{root}_raw.fits") for root in REAL]
    monkeypatch.setenv("jref", f"{tmp_path / 'ref_acs_hrc'}/")

    assert run(["calibrate", *raws, "--engine", "native", "--output", str(tmp_path / "out")]) == 0

    compared = subprocess.run(
        [
            sys.executable,
            shared / "golden" / "compare.py",
            shared / "golden" / "products" / "acs_hrc_real",
            tmp_path / "out",
            "--headers",
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    assert compared.returncode == 0, compared.stdout


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a CRDS cache of full-frame references that serve the real exposures."""
    folder = tmp_path_factory.mktemp("crds")
    build_context(folder / "crds")
    return folder / "crds"


def test_real_exposures_go_through_all_six_stages(
    crds_pack: Path,
    cache: Path,
    tmp_path: Path,
    own_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Products, previews, logs, manifest, ledger rows and messages of three real exposures."""
    profile = offline_profile(cache)
    monkeypatch.setenv("CRDS_PATH", str(profile.cache))
    monkeypatch.setenv("CRDS_SERVER_URL", profile.server_url)
    places = [f"file:{crds_pack / 'raw'}", f"file:{tmp_path}"]

    assert run(["process", *REAL, *places, "--messages", "flat", "--json"]) == 0

    outcomes = json.loads(capsys.readouterr().out)
    assert {outcome["state"] for outcome in outcomes} == {"processed"}
    for root in REAL:
        folder = tmp_path / "data" / "acs" / root
        assert FileOutput(tmp_path).verify(parse_dataset(root)) == []
        header = fits.getheader(folder / f"{root}_flt.fits")
        assert all(header[f"{step}CORR"] == "COMPLETE" for step in ("BIAS", "DARK", "FLAT", "PHOT"))
        with Image.open(folder / "previews" / f"{root}_flt.jpg") as picture:
            assert picture.size == (1024, 1024)
        assert "archive" in (folder / "logs" / "process.txt").read_text()
        assert (tmp_path / "messages" / f"processed-{root}.trigger").exists()
        manifest = json.loads((folder / "manifest.json").read_text())
        assert manifest["provenance"]["context"] == "hst_9001.pmap"
    assert run(["status", *REAL, "--json"]) == 0
    assert all(root in capsys.readouterr().out for root in REAL[:1])
