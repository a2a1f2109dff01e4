"""Reference files of the synthetic CCD of STIS, made from its truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from calib.dq import StisDq
from calib.fitsfile import write_atomically
from calib.simulate.stis import (
    BIAS_LEVEL,
    DARK_SLOPE,
    GAINS,
    READ_NOISE,
    REFERENCE_TEMPERATURE,
    SATURATE,
    SIDE,
    StisDetector,
)

BAD_ROWS = ({"OPT_ELEM": "ANY", "PIX1": 101, "PIX2": 51, "LENGTH": 4, "AXIS": 1, "VALUE": 16},)
BINS = (1, 2, 4)
PHOTFLAM, PHOTPLAM, PHOTBW = 1e-19, 5741.0, 1831.0  # about those of 50CCD


def write_stis_references(
    folder: Path, detector: StisDetector, bins: tuple[int, int] = (1, 1), gain: int = 1
) -> dict[str, Path]:
    """Write all references of an exposure with this binning and gain; return them by keyword.

    Bias and dark are those of the binned detector, as the archive has them; flats are not
    binned, the low-order one has 16 x 16 pixels.
    """
    by_x, by_y = bins
    binned = SIDE // by_y, by_y, SIDE // by_x, by_x
    bias, dark = (a.reshape(binned).sum(axis=(1, 3)) for a in (detector.bias, detector.dark))
    temperature = {"REF_TEMP": REFERENCE_TEMPERATURE, "DRK_VS_T": DARK_SLOPE}
    hot = np.where(dark > 0.05 * by_x * by_y, int(StisDq.HOT), 0)
    coarse = SIDE // detector.coarse_flat.shape[0]
    images: Mapping[str, tuple[Any, Any, Any, tuple[int, int], Mapping[str, Any]]] = {
        "BIASFILE": (bias, 0.05, 0, bins, {}),
        "DARKFILE": (dark, 1e-4, hot, bins, temperature),
        "PFLTFILE": (detector.flat, 1e-3, 0, (1, 1), {}),
        "LFLTFILE": (detector.coarse_flat, 1e-3, 0, (coarse, coarse), {}),
    }
    paths = {}
    for keyword, (sci, err, dq, own_bins, cards) in images.items():
        path = folder / f"{keyword.lower()}.fits"
        paths[keyword] = write_image(path, (sci, err, dq), own_bins, cards)
    paths["CCDTAB"] = write_table(folder / "ccdtab.fits", ccd_rows())
    sizes = {"SIZAXIS1": SIDE, "SIZAXIS2": SIDE}
    paths["BPIXTAB"] = write_table(folder / "bpixtab.fits", BAD_ROWS, sizes)
    paths["CRREJTAB"] = write_table(folder / "crrejtab.fits", rejection_rows())
    paths["IMPHTTAB"] = write_photometry(folder / "imphttab.fits", f"stis,50ccd,a2d{gain},ccd")
    return paths


def write_image(
    path: Path,
    planes: tuple[Any, Any, Any],
    bins: tuple[int, int] = (1, 1),
    cards: Mapping[str, Any] | None = None,
) -> Path:
    """Write a reference image: SCI, ERR and DQ (numbers are spread), trimmed."""
    hdus: list[Any] = [_primary(cards or {})]
    by_x, by_y = bins
    mapping = {
        "LTV1": 0.5 - 0.5 / by_x,
        "LTV2": 0.5 - 0.5 / by_y,
        "LTM1_1": 1 / by_x,
        "LTM2_2": 1 / by_y,
    }
    for name, values, kind in zip(("SCI", "ERR", "DQ"), planes, ("f4", "f4", "i2"), strict=True):
        array = np.broadcast_to(np.asarray(values, kind), np.shape(planes[0])).copy()
        hdus.append(fits.ImageHDU(array, fits.Header(mapping), name=name, ver=1))
    write_atomically(fits.HDUList(hdus), path)
    return path


def write_table(
    path: Path, rows: Sequence[Mapping[str, Any]], cards: Mapping[str, Any] | None = None
) -> Path:
    """Write a reference table; `cards` go to the header of the table."""
    columns = []
    for name in rows[0]:
        values = np.array([row[name] for row in rows])
        kinds = {"U": "20A", "i": "J", "f": "E", "b": "L"}
        columns.append(fits.Column(name, kinds[values.dtype.kind], array=values))
    table = fits.BinTableHDU.from_columns(columns)
    table.header.update(cards or {})
    write_atomically(fits.HDUList([_primary({}), table]), path)
    return path


def ccd_rows() -> list[dict[str, Any]]:
    """Return CCDTAB: each amplifier, gain and binning."""
    return [
        {
            "CCDAMP": amplifier,
            "CCDGAIN": gain,
            "CCDOFFST": 3,
            "BINAXIS1": by_x,
            "BINAXIS2": by_y,
            "ATODGAIN": GAINS[gain],
            "CCDBIAS": BIAS_LEVEL,
            "READNSE": READ_NOISE[gain],
            "SATURATE": SATURATE,
            "DESCRIP": "simulated",
        }
        for amplifier in "ABCD"
        for gain in GAINS
        for by_x in BINS
        for by_y in BINS
    ]


def rejection_rows() -> list[dict[str, Any]]:
    """Return CRREJTAB for two and three exposures (STIS Data Handbook 3.4.4)."""
    return [
        {
            "CRSPLIT": count,
            "MEANEXP": 1e6,
            "SCALENSE": 0.0,
            "INITGUES": "minimum",
            "SKYSUB": "mode",
            "CRSIGMAS": "6.5,5.5,4.5",
            "CRRADIUS": 1.5,
            "CRTHRESH": 0.8,
            "BADINPDQ": 39,
            "CRMASK": True,
        }
        for count in (2, 3)
    ]


def write_photometry(path: Path, mode: str) -> Path:
    """Write an IMPHTTAB with one mode that does not change with time."""
    hdus: list[Any] = [_primary({"PHOTZPT": -21.1, "PARNUM": 0})]
    for keyword, value in (("PHOTFLAM", PHOTFLAM), ("PHOTPLAM", PHOTPLAM), ("PHOTBW", PHOTBW)):
        columns = [
            fits.Column("OBSMODE", "40A", array=[mode]),
            fits.Column("DATACOL", "12A", array=[keyword]),
            fits.Column(keyword, "D", array=[value]),
        ]
        hdus.append(fits.BinTableHDU.from_columns(columns, name=keyword))
    write_atomically(fits.HDUList(hdus), path)
    return path


def _primary(cards: Mapping[str, Any]) -> fits.PrimaryHDU:
    common = {"TELESCOP": "HST", "INSTRUME": "STIS", "PEDIGREE": "GROUND", "DESCRIP": "simulated"}
    return fits.PrimaryHDU(header=fits.Header({**common, **cards}))
