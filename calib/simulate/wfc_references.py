"""Reference files of the synthetic WFC: from before SM4 and since, for frames and quadrants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from calib.simulate.detector import Detector
from calib.simulate.golden_raws import BIAS_LEVEL
from calib.simulate.golden_tables import GAIN, READ_NOISE
from calib.simulate.reference_files import (
    dead_column_rows,
    saturation_planes,
    write_bad_pixels,
    write_dark,
    write_flats,
    write_photometry,
    write_rejection,
)
from calib.simulate.reference_writer import Planes, Reference, ReferenceWriter
from calib.simulate.wfc import AMPLIFIERS, FULL_WELL, LEFT_OUT

# Since SM4; the subarrays of which the quadrants are came in September 2016.
SINCE_SM4 = "May 11 2009 00:00:00"
SINCE_SUBARRAYS = "Oct 01 2016 00:00:00"

# PHOTFLAM, PHOTPLAM (Angstrom), PHOTBW (Angstrom) about those of the WFC.
PHOTOMETRY = {
    "F814W": (7.04e-20, 8045.0, 652.0),
    "F606W": (7.80e-20, 5921.0, 672.0),
}


def write_wfc_references(folder: Path, chips: Sequence[Detector]) -> list[Reference]:
    """Write every reference of the WFC; the same chips, the same bytes.

    Biases are chosen by readout and aperture before SM4, and since then one serves all
    apertures, subarrays too: so the rules do it.
    """
    writer = ReferenceWriter(folder, chips, first=100)
    bias = Planes(lambda chip: chip.bias, err=0.12, raw=True, unit="COUNTS")
    early = {"CCDAMP": "ABCD", "CCDGAIN": 2.0, "APERTURE": "N/A"}
    late = {"CCDAMP": "ABCDALL", "CCDGAIN": 2.0, "APERTURE": "ANY_FULL"}
    every = {"CCDAMP": "ANY", "CCDGAIN": -999.0}
    lamp = {"CCDAMP": "ANY", "CCDGAIN": 2.0, "FLASHCUR": "LOW", "SHUTRPOS": "A"}
    full_well = saturation_planes(FULL_WELL)
    return [
        writer.image("biasfile", 1, "BIAS", bias, **early),
        writer.image("biasfile", 2, "BIAS", bias, **late, USEAFTER=SINCE_SUBARRAYS),
        write_dark(writer, 3, lambda chip: chip.dark, **every),
        write_dark(writer, 4, lambda chip: chip.later_dark, **every, USEAFTER=SINCE_SM4),
        *write_flats(writer, 5, **every),
        writer.image("flshfile", 7, "POST FLASH", _flash(), **lamp, USEAFTER=SINCE_SM4),
        writer.image("satufile", 8, "FULL-WELL SATURATION LEVEL MAP", full_well, CCDAMP="N/A"),
        writer.image("snkcfile", 9, "SINK PIXELS", _sinks(), USEAFTER=SINCE_SM4),
        writer.table("ccdtab", 10, "CCD PARAMETERS", _ccd_rows(chips)),
        writer.table("oscntab", 11, "OVERSCAN", _overscan_rows(chips)),
        write_bad_pixels(writer, 12, [row for chip in chips for row in dead_column_rows(chip)]),
        write_rejection(writer, 13, chip=-999),
        write_photometry(writer, 14, "wfc1", PHOTOMETRY),
    ]


def _flash() -> Planes:
    return Planes(lambda chip: chip.flash, err=0.02, unit="ELECTRONS/S")


def _sinks() -> Planes:
    def draw(chip: Detector) -> npt.NDArray[np.float32]:
        return chip.sinks

    return Planes(draw, raw=True, unit="ELECTRONS")


def _ccd_rows(chips: Sequence[Detector]) -> list[Mapping[str, Any]]:
    """Return the parameters of the full frame, for each chip, and of each quadrant."""
    half = chips[0].geometry.nx // 2
    whole = chips[0].geometry.raw_shape[1]
    rows: list[Mapping[str, Any]] = [_ccd_row("ABCD", chip, half) for chip in chips]
    for chip in chips:
        left, right = AMPLIFIERS[chip.chip]
        rows += [_ccd_row(left, chip, whole), _ccd_row(right, chip, 0)]
    return rows


def _ccd_row(amplifiers: str, chip: Detector, border: int) -> dict[str, Any]:
    """Return one readout mode of a chip; the border is the first column of the right amplifier."""
    row: dict[str, Any] = {"CCDAMP": amplifiers, "CCDCHIP": chip.chip, "CCDGAIN": 2.0}
    row |= {"BINAXIS1": 1, "BINAXIS2": 1} | {f"CCDOFST{amp}": 3 for amp in "ABCD"}
    row |= {f"CCDBIAS{amp}": BIAS_LEVEL[amp] for amp in "ABCD"}
    row |= {f"ATODGN{amp}": GAIN[amp] for amp in "ABCD"}
    row |= {f"READNSE{amp}": READ_NOISE[amp] for amp in "ABCD"}
    row |= {"AMPX": border, "AMPY": chip.geometry.ny, "ATODSAT": 65534, "SATURATE": FULL_WELL}
    row |= {"OVRHFLS": LEFT_OUT[True], "OVRHUFLS": LEFT_OUT[False]}
    return row | {"PEDIGREE": "GROUND", "DESCRIP": "simulated"}


def _overscan_rows(chips: Sequence[Detector]) -> list[Mapping[str, Any]]:
    """Return where the overscans of full frames and quadrants are, counted from one.

    No rows of virtual overscan are named: a drift fitted along them would run across the
    border of two amplifiers, whose levels differ.
    """
    rows: list[Mapping[str, Any]] = []
    for chip in chips:
        geometry = chip.geometry
        (ny, nx), side = geometry.raw_shape, geometry.trim_x
        left, right = AMPLIFIERS[chip.chip]
        common = {"CCDCHIP": chip.chip, "BINX": 1, "BINY": 1, "NY": ny}
        common |= {"TRIMY1": geometry.trim_low, "TRIMY2": geometry.trim_y}
        common |= dict.fromkeys(("VX1", "VX2", "VY1", "VY2"), 0)
        for amplifiers, width, at_left, at_right in (
            ("ABCD", nx, True, True),
            (left, nx // 2, True, False),
            (right, nx // 2, False, True),
        ):
            row = {"CCDAMP": amplifiers, "NX": width, **common}
            row |= {"TRIMX1": side * at_left, "TRIMX2": side * at_right}
            row |= {"BIASSECTA1": (side - 6) * at_left, "BIASSECTA2": side * at_left}
            row |= {"BIASSECTB1": (width - side + 1) * at_right}
            row |= {"BIASSECTB2": (width - side + 6) * at_right}
            rows.append(row)
    return rows
