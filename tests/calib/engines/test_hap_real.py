"""The real runsinglehap on simulated images, without network: as far as that goes.

What is missing offline: alignment to a catalogue of stars, and the source catalogues, which need
the name of the alignment (WCSNAME): they are switched off here.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hap_inputs import describe, make_poller, request_for
from real_programs import find_real_program

from calib.engines.hap import HapEngine
from calib.engines.program import RUNSINGLEHAP
from calib.fitsfile import primary_header, update_primary_header
from calib.records import RawInputs
from calib.simulate.observatory import build_observatory
from calib.stages.planning import Request, plan_jobs
from calib.stages.sequence import process_dataset

pytestmark = pytest.mark.slow

# Keywords that drizzlepac reads of every image and simulated raws have not (haputils/analyze.py).
READ = {"MTFLAG": "F", "SCAN_TYP": "N", "CHINJECT": "NONE"}


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the real programs on PATH; skip where there are none."""
    find_real_program(RUNSINGLEHAP, monkeypatch)


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """Return two simulated exposures of the HRC as the native engine calibrates them."""
    sky = build_observatory(tmp_path / "sky", exposures=2)
    output = tmp_path / "products"
    request = Request(
        source=f"file:{sky.raws}",
        output=f"file:{output}",
        profile=sky.profile,
        work=str(tmp_path / "work"),
        ledger=f"sqlite:///{tmp_path / 'ledger.db'}",
        context=sky.contexts[0],
    )
    for job in plan_jobs(request, sky.datasets):
        assert process_dataset(job).state == "processed"
    found = sorted((output / "data").glob("acs/*/*_flt.fits"))
    copies = [Path(shutil.copy(path, tmp_path)) for path in found]
    for path in copies:
        update_primary_header(path, READ)
    return copies


@pytest.mark.parametrize(("drizcorr", "ending"), [("PERFORM", None), ("OMIT", "no viable data")])
def test_real_program_drizzles_a_visit(
    real: None, images: list[Path], tmp_path: Path, drizcorr: str, ending: str | None
) -> None:
    """Images of exposures, filters and all; exit code 65 where no image is to be drizzled."""
    for path in images:
        update_primary_header(path, {"DRIZCORR": drizcorr})
    poller = make_poller(tmp_path, "acs_sim_01", *images)
    files = (*map(describe, images), describe(poller, "acs_sim_01"))
    environment = {"SVM_CATALOG_HRC": "off", "CSYS_VER": "test"}
    inputs = RawInputs("acs_sim_01", f"file:{tmp_path}", files)

    made = HapEngine().calibrate(request_for(tmp_path, inputs, environment=environment))

    assert made.ending == ending
    drizzled = [file for file in made.files if file.name.endswith("_drz.fits")]
    assert bool(drizzled) == (ending is None)
    if drizzled:
        assert any("_total_" in file.name for file in drizzled)
        assert primary_header(drizzled[0].path)["CSYS_VER"] == "test"
    else:
        assert "No viable" in Path(str(made.log)).read_text()
