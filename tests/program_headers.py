"""Primary headers of exposures that programs of others calibrate, and requests for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from factories import PRIMARY, SWITCHES, make_raw, make_references, make_request

from calib.engines.protocol import CalibrationRequest

WFC = {**PRIMARY, "DETECTOR": "WFC", "CCDAMP": "ABCD", "PCTECORR": "PERFORM"}
UVIS = {"INSTRUME": "WFC3", "DETECTOR": "UVIS", "ROOTNAME": "iz0001aaq"}
IR = {**UVIS, "DETECTOR": "IR", "ROOTNAME": "iz0002aaq"}
STIS = {
    "INSTRUME": "STIS",
    "DETECTOR": "CCD",
    "ROOTNAME": "oz0001010",
    "NEXTEND": 3,
    "OBSTYPE": "SPECTROSCOPIC",
    "OPT_ELEM": "G430L",
    "WAVECAL": "oz0001010_wav.fits",
    "WAVECORR": "PERFORM",
    "X1DCORR": "PERFORM",
    "X2DCORR": "PERFORM",
    "PHOTCORR": "OMIT",
}
IDLE = dict.fromkeys(SWITCHES, "OMIT")


def request_of(folder: Path, *settings: str, **header: Any) -> CalibrationRequest:
    """Return what is asked for one exposure."""
    raw = make_raw(folder, **header)
    return make_request(raw, make_references(folder), folder / "out", settings)
