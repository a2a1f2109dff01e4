"""A wavelength lamp for the small COS: references of a wavecal, and an exposure with a flash."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cos_world as cos
import numpy as np
from astropy.io import fits

STRIPES = ("NUVA", "NUVB", "NUVC")
SHIFT = 6  # pixels by which the lamp lines of the exposure lie behind those of the template
FLASHED: Mapping[str, Any] = {
    **cos.SPECTRUM,
    "TAGFLASH": "UNIFORMLY SPACED",
    "LAMPUSED": "P1",
    "WAVECORR": "PERFORM",
    "LAMPTAB": "lref$made_lamptab.fits",
    "WCPTAB": "lref$made_wcptab.fits",
}
LINES = np.array([120, 260, 415, 530, 700, 880])
_COUNTS = 60
_PROFILE = np.repeat(np.arange(-3, 4), (1, 3, 7, 9, 7, 3, 1))  # rows that its light spreads over


def add_references(references: Mapping[str, Path]) -> dict[str, Path]:
    """Write what a wavecal opens beside the others."""
    folder = references["XTRACTAB"].parent
    paths = {key: folder / f"made_{key.lower()}.fits" for key in ("LAMPTAB", "WCPTAB")}
    template = np.zeros((len(STRIPES), cos.NUV_SHAPE[1]))
    template[:, LINES] = _COUNTS
    cos.write_reference(paths["LAMPTAB"], "TEMPLATE CAL LAMP SPECTRA TABLE", {
        "SEGMENT": ("4A", STRIPES), "OPT_ELEM": ("8A", ["G230L"] * 3),
        "CENWAVE": ("1J", [2950] * 3), "FPOFFSET": ("1J", [0] * 3),
        "INTENSITY": (f"{cos.NUV_SHAPE[1]}E", template),
    })  # fmt: skip
    cos.write_reference(paths["WCPTAB"], "WAVECAL PARAMETERS REFERENCE TABLE", {
        "OPT_ELEM": ("8A", ["G230L"]), "XC_RANGE": ("1J", [50]), "STEPSIZE": ("1D", [50.0]),
        "XD_RANGE": ("1J", [50]), "BOX": ("1J", [5]), "SEARCH_OFFSET": ("1D", [0.0]),
        "MAX_TIME_DIFF": ("1D", [0.1]),
    })  # fmt: skip
    return {**references, **paths}


def write_flashed(path: Path) -> Path:
    """Write a flat spectrum, and in the seconds from 20 to 30 the lines of the lamp."""
    x, y = cos.spectrum_events(STRIPES, each=10)
    time = np.tile(np.linspace(0, cos.EXPTIME, cos.NUV_SHAPE[1]), 10 * len(STRIPES))
    lines = np.tile(LINES + SHIFT, _COUNTS)
    spread = np.resize(_PROFILE, len(lines))
    for stripe in STRIPES:
        x, y = np.append(x, lines), np.append(y, cos.ROW[stripe] + cos.LAMP_ROWS + spread)
        time = np.append(time, np.linspace(20.1, 29.9, len(lines)))
    order = np.argsort(time, kind="stable")
    cos.write_events(path, x[order], y[order], **FLASHED)
    with fits.open(path, mode="update") as hdus:
        hdus["EVENTS"].data["TIME"] = time[order]
        hdus["EVENTS"].header.update({"LMP_ON1": 20.0, "LMPOFF1": 30.0, "LMPDUR1": 10.0})
    return path
