"""Full-size WFC frames beside those of calacs: 2.5 GB of disk, made here and removed again."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from calib.simulate.golden import write_case
from calib.stages.files import FileOptions, calibrate_file

pytestmark = [pytest.mark.parity, pytest.mark.full]

GOLDEN = Path(__file__).parents[1] / "golden" / "full_frames.json"
WANTED: dict[str, dict[str, Any]] = json.loads(GOLDEN.read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder that is removed with all it holds."""
    made = tmp_path_factory.mktemp("full")
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module", params=list(WANTED))
def made(request: pytest.FixtureRequest, folder: Path) -> tuple[str, Path]:
    """Return a case and the folder of its products, made by two threads."""
    case = write_case(request.param, folder)
    tables = list(case.inputs.glob("*_asn.fits"))
    options = FileOptions(engine="native", folders=(case.references,), threads=2)
    for path in tables or sorted(case.inputs.glob("*_raw.fits")):
        calibrate_file(path, folder / case.name / "out", options, {})
    return case.name, folder / case.name / "out"


def test_every_pixel_is_that_of_calacs(made: tuple[str, Path]) -> None:
    """SCI, ERR and DQ of both chips of each product, by the sha256 of their numbers."""
    case, output = made
    for product, extensions in WANTED[case].items():
        with fits.open(output / product) as hdus:
            found = {
                f"{hdu.name},{hdu.ver}": hashlib.sha256(hdu.data.tobytes()).hexdigest()
                for hdu in hdus[1:]
            }
        assert found == extensions, product


def test_headers_are_those_of_calacs(made: tuple[str, Path], shared: Path) -> None:
    """All cards that do not say when and by what the product was made."""
    case, output = made
    places = (
        shared / "golden" / "products" / case,
        shared / "golden" / "digests" / f"{case}.json.gz",
    )
    wanted = next(place for place in places if place.exists())
    script = shared / "golden" / "compare.py"
    done = subprocess.run(
        [sys.executable, script, wanted, output, "--headers"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
