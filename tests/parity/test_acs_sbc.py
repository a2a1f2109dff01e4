"""Native SBC products beside those of HSTCAL."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from factories import make_request

from calib.engines.native import NativeEngine
from calib.instruments.acs_sbc import RECIPE

pytestmark = pytest.mark.parity

PRODUCT = "js0001aaq_flt.fits"


@pytest.fixture(scope="module")
def made(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the native product of the golden exposure."""
    folder = tmp_path_factory.mktemp("golden")
    script = shared / "golden" / "make_data.py"
    subprocess.run([sys.executable, script, folder, "acs_sbc"], check=True)
    raw = next((folder / "acs_sbc" / "in").glob("*_raw.fits"))
    header = fits.getheader(raw)
    names = {key: str(header[key]) for key in header if str(header[key]).startswith("jref$")}
    files = {
        key: folder / "ref_acs_sbc" / name.removeprefix("jref$") for key, name in names.items()
    }
    request = make_request(raw, files, folder / "out")
    return Path(NativeEngine([RECIPE]).calibrate(request).files[0].path)


def test_pixels_and_headers_equal_calacs(made: Path, shared: Path) -> None:
    """SCI, ERR and DQ bit for bit, and all cards that are not names or dates."""
    wanted = shared / "golden" / "products" / "acs_sbc"
    compared = subprocess.run(
        [sys.executable, shared / "golden" / "compare.py", wanted, made.parent, "--headers"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert compared.returncode == 0, compared.stdout
    for name in ("SCI", "ERR", "DQ"):
        want = fits.getdata(wanted / f"{PRODUCT}.gz", name)
        assert np.array_equal(want, fits.getdata(made, name))


def test_history_equals_calacs(made: Path, shared: Path) -> None:
    """HISTORY line by line, but for the names of the references."""
    wanted = shared / "golden" / "products" / "acs_sbc" / f"{PRODUCT}.gz"
    lines = [
        [str(line).partition("$")[0] for line in fits.getheader(path)["HISTORY"]]
        for path in (wanted, made)
    ]
    assert lines[0] == lines[1]
