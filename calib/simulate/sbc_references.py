"""Reference files of the synthetic SBC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from calib.dq import AcsDq
from calib.simulate.detector import Detector
from calib.simulate.reference_files import (
    write_bad_pixels,
    write_dark,
    write_flats,
    write_photometry,
)
from calib.simulate.reference_writer import Reference, ReferenceWriter
from calib.simulate.sbc import DEAD_TIME, dead_rows

# PHOTFLAM, PHOTPLAM (Angstrom), PHOTBW (Angstrom) about those of the SBC.
PHOTOMETRY = {
    "F125LP": (1.72e-17, 1438.0, 86.0),
    "F140LP": (2.71e-17, 1527.0, 79.0),
}


def write_sbc_references(folder: Path, chips: Sequence[Detector]) -> list[Reference]:
    """Write every reference of the SBC; the same detector, the same bytes."""
    writer = ReferenceWriter(folder, chips, first=200)
    keys = {"CCDAMP": "N/A", "CCDGAIN": -999.0}
    return [
        write_dark(writer, 1, lambda chip: chip.dark, **keys),
        *write_flats(writer, 2, **keys),
        writer.table("mlintab", 4, "LINEARITY", [_linearity()]),
        write_bad_pixels(writer, 5, _dead_rows(chips[0])),
        write_photometry(writer, 6, "sbc", PHOTOMETRY),
    ]


def _linearity() -> dict[str, Any]:
    """Return the limits of linear counting (counts/s) and what a saturated pixel spoils."""
    return {
        "DETECTOR": "SBC",
        "GLOBAL_LIMIT": 2e5,
        "LOCAL_LIMIT": 20.0,
        "TAU": DEAD_TIME,
        "EXPAND": 2.0,
        "PEDIGREE": "GROUND",
        "DESCRIP": "simulated",
    }


def _dead_rows(chip: Detector) -> list[Mapping[str, Any]]:
    rows = dead_rows(chip.geometry.ny)
    return [
        {
            "CCDCHIP": chip.chip,
            "PIX1": 1,
            "PIX2": row + 1,
            "LENGTH": chip.geometry.nx,
            "AXIS": 1,
            "VALUE": int(AcsDq.BAD_PIXEL),
        }
        for row in range(rows.start, rows.stop)
    ]
