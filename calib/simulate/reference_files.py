"""Reference files of the synthetic cameras, made from their truth: what all or the HRC have.

Images: bias, dark, flat, saturation map. Tables: CCD parameters, overscan, bad pixels,
photometry, cosmic-ray rejection. Those of the other cameras are in modules of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits

from calib.dq import AcsDq
from calib.simulate.detector import BIAS_LEVEL, FULL_WELL, GAIN, READ_NOISE, Detector
from calib.simulate.reference_writer import Draw, Planes, Reference, ReferenceWriter

LATER_USEAFTER = "Apr 13 2002 18:00:00"

# Rate in electrons/s above which a pixel of the dark is flagged hot
# (ACS Data Handbook, section 4.3.1, for the HRC: 0.08).
HOT_RATE = 0.08

# PHOTFLAM, PHOTPLAM (Angstrom), PHOTBW (Angstrom) about those of the HRC.
PHOTOMETRY = {
    "F606W": (1.29e-19, 5888.0, 664.0),
    "F555W": (3.01e-19, 5356.0, 357.0),
    "F330W": (2.24e-18, 3362.0, 173.0),
}


def write_first_references(folder: Path, detector: Detector) -> list[Reference]:
    """Write every reference of the HRC in the first context; equal detectors, equal bytes."""
    writer = ReferenceWriter(folder, [detector])
    return [
        _bias(writer),
        write_dark(writer, 2, lambda chip: chip.dark, CCDAMP="C", CCDGAIN=2.0),
        *write_flats(writer, 3, CCDAMP="ANY", CCDGAIN=-1.0),
        _saturation(writer),
        _ccd_parameters(writer),
        _overscan(writer),
        _bad_pixels(writer),
        write_rejection(writer, 10, chip=1),
        write_photometry(writer, 11, "hrc", PHOTOMETRY),
    ]


def write_later_dark(folder: Path, detector: Detector) -> Reference:
    """Write the dark that the second context adds, for use after 18:00 of 13 April 2002."""
    writer = ReferenceWriter(folder, [detector])
    keys = {"CCDAMP": "C", "CCDGAIN": 2.0, "USEAFTER": LATER_USEAFTER}
    return write_dark(writer, 12, lambda chip: chip.later_dark, **keys)


def write_dark(writer: ReferenceWriter, number: int, rate: Draw, **keys: Any) -> Reference:
    """Write a dark in electrons/s, with hot pixels flagged."""

    def flags(chip: Detector) -> npt.NDArray[np.int16]:
        return np.where(rate(chip) > HOT_RATE, int(AcsDq.HOT), 0).astype(np.int16)

    planes = Planes(rate, err=2e-4, dq=flags, unit="ELECTRONS/S")
    return writer.image("darkfile", number, "DARK", planes, **keys)


def write_flats(writer: ReferenceWriter, first: int, **keys: Any) -> list[Reference]:
    """Write a flat for each filter of the camera, with numbers from the first on."""

    def flat(name: str) -> Planes:
        return Planes(lambda chip: chip.flat(name), err=2e-3)

    return [
        writer.image(
            "pfltfile",
            number,
            "PIXEL-TO-PIXEL FLAT",
            flat(name),
            **keys,
            FILTER1=filter1,
            FILTER2=filter2,
            OBSTYPE="IMAGING",
            FW1OFFST=0,
            FW2OFFST=0,
            FWSOFFST=0,
        )
        for number, (name, (filter1, filter2)) in enumerate(writer.camera.filters.items(), first)
    ]


def write_bad_pixels(
    writer: ReferenceWriter, number: int, rows: list[Mapping[str, Any]]
) -> Reference:
    """Write a bad-pixel table for all amplifiers and gains of a camera."""
    ny, nx = writer.chips[0].geometry.shape
    everywhere = {"CCDAMP": "N/A", "CCDCHIP": 1, "CCDGAIN": -999.0}
    full = [{**everywhere, **row} for row in rows]
    return writer.table("bpixtab", number, "BAD PIXELS", full, SIZAXIS1=nx, SIZAXIS2=ny)


def dead_column_rows(chip: Detector) -> list[Mapping[str, Any]]:
    """Return the rows of a bad-pixel table for the dead columns of a chip."""
    return [
        {
            "CCDCHIP": chip.chip,
            "PIX1": column + 1,
            "PIX2": first + 1,
            "LENGTH": length,
            "AXIS": 2,
            "VALUE": int(AcsDq.BAD_PIXEL),
        }
        for column, first, length in chip.dead_columns
    ]


def write_rejection(writer: ReferenceWriter, number: int, *, chip: int) -> Reference:
    """Write the parameters of cosmic-ray rejection for 2 to 4 exposures."""
    rows = [
        {
            "CRSPLIT": exposures,
            "CCDCHIP": chip,
            "MEANEXP": seconds,
            "SCALENSE": 3.0,
            "INITGUES": "min",
            "SKYSUB": "mode",
            "CRSIGMAS": "6.5,5.5,4.5",
            "CRRADIUS": 1.5,
            "CRTHRESH": 0.75,
            "BADINPDQ": 39,
            "CRMASK": True,
        }
        for exposures in (2, 3, 4)
        for seconds in (100.0, 1000.0, 1e6)
    ]
    return writer.table("crrejtab", number, "COSMIC RAY REJECTION", rows)


def write_photometry(
    writer: ReferenceWriter,
    number: int,
    mode: str,
    photometry: Mapping[str, tuple[float, float, float]],
) -> Reference:
    """Write PHOTFLAM, PHOTPLAM and PHOTBW by filter, each for four dates (MJD)."""
    names = ("PHOTFLAM", "PHOTPLAM", "PHOTBW")
    tables = [_photometry_table(name, k, mode, photometry) for k, name in enumerate(names)]
    return writer.tables(
        "imphttab",
        number,
        "IMAGE PHOTOMETRY TABLE",
        tables,
        PARNUM=1,
        PHOTZPT=-21.1,
        EXTRAP=True,
        SYNSWVER="simulated",
        GRAPHTAB="N/A",
        COMPTAB="N/A",
        ORIGIN="simulated",
    )


def _photometry_table(
    name: str, place: int, mode: str, photometry: Mapping[str, tuple[float, float, float]]
) -> fits.BinTableHDU:
    dates = np.array([51000.0, 54000.0, 57000.0, 61000.0])
    values = np.array([numbers[place] for numbers in photometry.values()])
    count = len(values)
    slope = 1e-7 if name == "PHOTFLAM" else 0.0  # the sensitivity falls slowly
    by_date = values[:, None] * (1 + slope * (dates - 55000.0))[None, :]
    modes = [f"acs,{mode},{filter_name.lower()},mjd#" for filter_name in photometry]
    columns = [
        ("OBSMODE", "40A", modes),
        ("DATACOL", "12A", [f"{name}1"] * count),
        (name, "D", values),
        ("NELEM1", "J", [len(dates)] * count),
        ("PAR1NAMES", "10A", ["MJD#"] * count),
        ("PAR1VALUES", f"{len(dates)}D", np.tile(dates, (count, 1))),
        (f"{name}1", f"{len(dates)}D", by_date),
        ("PEDIGREE", "12A", ["GROUND"] * count),
        ("DESCRIP", "30A", ["simulated"] * count),
    ]
    made = [fits.Column(name=n, format=f, array=np.asarray(a)) for n, f, a in columns]
    return fits.BinTableHDU.from_columns(made, name=name)


def saturation_planes(full_well: float) -> Planes:
    """Return full well in electrons: a little lower to the left, everywhere below the true one."""

    def level(chip: Detector) -> npt.NDArray[np.float32]:
        ny, nx = chip.geometry.raw_shape
        row = full_well * np.linspace(0.90, 0.95, nx)
        return np.broadcast_to(row, (ny, nx)).astype(np.float32)

    return Planes(level, raw=True, unit="ELECTRONS")


def _bias(writer: ReferenceWriter) -> Reference:
    """Write the bias in DN.

    Rules match biases from before the fourth servicing mission on APERTURE N/A, so that is
    what the header says, although `crds certify` lists no aperture for the HRC.
    """
    planes = Planes(lambda chip: chip.bias, err=0.12, raw=True, unit="COUNTS")
    keys = {"CCDAMP": "C", "CCDGAIN": 2.0, "APERTURE": "N/A"}
    return writer.image("biasfile", 1, "BIAS", planes, **keys)


def _saturation(writer: ReferenceWriter) -> Reference:
    planes = saturation_planes(FULL_WELL)
    return writer.image("satufile", 6, "FULL-WELL SATURATION LEVEL MAP", planes, CCDAMP="C")


def _ccd_parameters(writer: ReferenceWriter) -> Reference:
    row: dict[str, Any] = {"CCDAMP": "C", "CCDCHIP": 1, "CCDGAIN": 2.0, "BINAXIS1": 1}
    row |= {"BINAXIS2": 1} | {f"CCDOFST{amp}": 3 for amp in "ABCD"}
    row |= {f"CCDBIAS{amp}": BIAS_LEVEL for amp in "ABCD"}
    row |= {f"ATODGN{amp}": GAIN for amp in "ABCD"}
    row |= {f"READNSE{amp}": READ_NOISE for amp in "ABCD"}
    row |= {"AMPX": 0, "AMPY": 0, "ATODSAT": 65534, "SATURATE": FULL_WELL}
    row |= {"OVRHFLS": 0.0, "OVRHUFLS": 0.0, "PEDIGREE": "GROUND", "DESCRIP": "simulated"}
    return writer.table("ccdtab", 7, "CCD PARAMETERS", [row])


def _overscan(writer: ReferenceWriter) -> Reference:
    """Write where the overscans are; columns and rows of the table count from one."""
    geometry = writer.chips[0].geometry
    (ny, nx), side, top = geometry.raw_shape, geometry.trim_x, geometry.trim_y
    row = {
        "CCDAMP": "C",
        "CCDCHIP": 1,
        "BINX": 1,
        "BINY": 1,
        "NX": nx,
        "NY": ny,
        "TRIMX1": side,
        "TRIMX2": side,
        "TRIMY1": 0,
        "TRIMY2": top,
        "VX1": side + 6,
        "VX2": nx - side - 5,
        "VY1": ny - top + 2,
        "VY2": ny - 1,
        "BIASSECTA1": side - 6,
        "BIASSECTA2": side,
        "BIASSECTB1": nx - side + 1,
        "BIASSECTB2": nx - side + 6,
    }
    return writer.table("oscntab", 8, "OVERSCAN", [row])


def _bad_pixels(writer: ReferenceWriter) -> Reference:
    return write_bad_pixels(writer, 9, dead_column_rows(writer.chips[0]))
