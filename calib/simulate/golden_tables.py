"""Columns and rows of the tables among the golden references."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits

from calib.simulate.golden_files import (
    REFERENCE_CARDS,
    Columns,
    image,
    primary,
)

# Electrons per DN, read noise (electrons) and bias level (DN) of the WFC's amplifiers, about
# those of the detector after the repair (ACS Instrument Handbook, section 4.2).
GAIN = {"A": 2.02, "B": 1.886, "C": 2.017, "D": 2.011}
READ_NOISE = {"A": 4.35, "B": 3.75, "C": 4.05, "D": 5.05}

CCD_COLUMNS: Columns = (
    ("CCDAMP", "4A", ""),
    ("CCDCHIP", "J", 1),
    ("CCDGAIN", "E", 2.0),
    ("BINAXIS1", "J", 1),
    ("BINAXIS2", "J", 1),
    *((f"CCDOFST{amp}", "J", 3) for amp in "ABCD"),
    *((f"CCDBIAS{amp}", "E", 1130.0 + place) for place, amp in enumerate("ABCD")),
    *((f"ATODGN{amp}", "E", GAIN[amp]) for amp in "ABCD"),
    *((f"READNSE{amp}", "E", READ_NOISE[amp]) for amp in "ABCD"),
    ("AMPX", "J", 0),
    ("AMPY", "J", 0),
    ("ATODSAT", "J", 65534),
    ("SATURATE", "E", 84700.0),
    ("OVRHFLS", "E", 3.5),
    ("OVRHUFLS", "E", 0.5),
    ("PEDIGREE", "12A", "GROUND"),
    ("DESCRIP", "30A", "synthetic"),
)
OVERSCAN_COLUMNS: Columns = (
    ("CCDAMP", "4A", ""),
    ("CCDCHIP", "J", 1),
    ("BINX", "J", 1),
    ("BINY", "J", 1),
    *((name, "J", 0) for name in ("NX", "NY", "TRIMX1", "TRIMX2", "TRIMY1", "TRIMY2")),
    *((name, "J", 0) for name in ("VX1", "VX2", "VY1", "VY2")),
    *((f"BIASSECT{side}", "J", 0) for side in ("A1", "A2", "B1", "B2")),
)
BAD_PIXEL_COLUMNS: Columns = (
    ("CCDAMP", "4A", "N/A"),
    ("CCDCHIP", "J", 1),
    ("CCDGAIN", "E", -999.0),
    ("PIX1", "J", 1),
    ("PIX2", "J", 1),
    ("LENGTH", "J", 1),
    ("AXIS", "J", 1),
    ("VALUE", "I", 4),
)
REJECTION_COLUMNS: Columns = (
    ("CRSPLIT", "J", 2),
    ("MEANEXP", "E", 1e6),
    ("SCALENSE", "E", 3.0),
    ("INITGUES", "8A", "min"),
    ("SKYSUB", "4A", "mode"),
    ("CRSIGMAS", "20A", "6.5,5.5,4.5"),
    ("CRRADIUS", "E", 1.5),
    ("CRTHRESH", "E", 0.75),
    ("BADINPDQ", "I", 39),
    ("CRMASK", "L", True),
)

# One row: the limits (counts/s) of the whole SBC and of one pixel, the dead time (s), the radius
# in pixels that a saturated one spoils.
LINEARITY_COLUMNS: Columns = (
    ("DETECTOR", "8A", "SBC"),
    ("GLOBAL_LIMIT", "D", 2e5),
    ("LOCAL_LIMIT", "D", 20.0),
    ("TAU", "D", 3e-7),
    ("EXPAND", "E", 2.0),
    ("PEDIGREE", "12A", "GROUND"),
    ("DESCRIP", "12A", "synthetic"),
)

# PHOTFLAM, PHOTPLAM (Angstrom) and PHOTBW (Angstrom) by mode, near the true ones.
_PHOTOMETRY = {
    "acs,wfc1,f606w": (7.8e-20, 5921.0, 672.0),
    "acs,hrc,f555w": (3.0e-19, 5356.0, 357.0),
    "acs,hrc,f606w": (1.3e-19, 5888.0, 664.0),
    "acs,hrc,f330w": (1.9e-18, 3362.0, 173.0),
    "acs,sbc,f125lp": (1.7e-17, 1438.0, 86.0),
}
_DATES = np.array([51000.0, 54000.0, 57000.0, 61000.0])  # MJD

# Geometry of the trap tables: calacs insists on the rows of the first (hstcal: fewer end in a
# crash); the others keep the correction quick.
_TRAP_ROWS = 9999
_TRAPS = 40
_TAIL = 60
_COLUMNS_READ = 8192  # of all four amplifiers of a full frame


def photometry_hdus(cards: Mapping[str, Any]) -> list[Any]:
    """Return an IMPHTTAB: PHOTFLAM falls with time, PHOTPLAM and PHOTBW do not."""
    keys = {"PARNUM": 1, "PHOTZPT": -21.1, "NEXTEND": 3, "EXTRAP": True}
    names = ("PHOTFLAM", "PHOTPLAM", "PHOTBW")
    return [primary({**cards, **keys}), *(_photometry(n, k) for k, n in enumerate(names))]


def _photometry(name: str, place: int) -> fits.BinTableHDU:
    count, dates = len(_PHOTOMETRY), len(_DATES)
    values = np.array([numbers[place] for numbers in _PHOTOMETRY.values()])
    slope = 1e-7 if name == "PHOTFLAM" else 0.0
    by_date = np.array([value * (1 + slope * (_DATES - 55000.0)) for value in values])
    return _table(
        ("OBSMODE", "40A", [f"{mode},mjd#" for mode in _PHOTOMETRY]),
        ("DATACOL", "12A", [f"{name}1"] * count),
        (name, "D", values),
        ("NELEM1", "J", np.full(count, dates)),
        ("PAR1NAMES", "10A", ["MJD#"] * count),
        ("PAR1VALUES", f"{dates}D", np.tile(_DATES, (count, 1))),
        (f"{name}1", f"{dates}D", by_date),
        ("PEDIGREE", "12A", ["GROUND"] * count),
        ("DESCRIP", "30A", ["synthetic"] * count),
        name=name,
    )


def charge_transfer_hdus(detector: str) -> list[Any]:
    """Return a PCTETAB of the third generation: five sets, parallel and serial for each amp.

    Each set has a table of traps, a table of scales by column, and the profiles of trail and
    of its running sum as images (trap along x, pixel of the tail along y).
    """
    parameters = {
        "CTEDATE0": 52334.86,
        "CTEDATE1": 57710.44,
        "PCTETLEN": _TAIL,
        "PCTENFOR": 5,
        "PCTENPAR": 7,
    }
    cards = {
        **REFERENCE_CARDS,
        "INSTRUME": "ACS",
        "DETECTOR": detector,
        "FILETYPE": "PIXCTE",
        "NEXTEND": 20,
        "CTE_VER": "3.0",
        "CTE_NAME": "Par/Serial PixelCTE 2023",
        "PCTERNOI": 4.25,
        "PCTENSMD": 0,
        "PCTETRSH": -10.0,
        "FIXROCR": 1,
        **parameters,
    }
    hdus = [primary(cards)]
    for version in range(1, 6):
        hdus += _charge_transfer_set(version, parameters)
    return hdus


def _charge_transfer_set(version: int, parameters: Mapping[str, Any]) -> list[Any]:
    traps = np.arange(1, _TRAP_ROWS + 1)
    levels = np.where(
        traps <= _TRAPS,
        np.round(10.0 ** (np.minimum(traps, _TRAPS) / _TRAPS * 4.85), 3),
        9999999.0,
    )
    density = np.where(traps <= _TRAPS, 0.5 + 0.05 * np.sqrt(np.minimum(levels, 1e5)), 0.0)
    density = density * (0.1 if version > 1 else 1.0)
    columns = np.arange(0, _COLUMNS_READ)
    scale = 1 + 0.05 * np.sin(columns / 300.0)
    profile = np.exp(-np.arange(_TAIL) / 8.0)[None, :] * np.ones((_TRAP_ROWS, 1))
    profile = profile / profile.sum(1, keepdims=True)
    sensitivity = ((512, 0.98), (1024, 1.0), (1536, 1.01), (2048, 1.02))
    trap_table = _table(("W", "J", traps), ("QLEV_Q", "D", levels), ("DPDE_W", "D", density))
    scale_table = _table(
        ("IZ", "J", columns),
        *((f"SENS_{row:04d}", "D", scale * factor) for row, factor in sensitivity),
    )
    _name(trap_table, "QPROF", {"EXTVER": version, **parameters})
    _name(scale_table, "SCLBYCOL", {"EXTVER": version})
    return [
        trap_table,
        scale_table,
        image("RPROF", version, _across(profile), {}),
        image("CPROF", version, _across(1 - np.cumsum(profile, 1)), {}),
    ]


def _across(profile: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.ascontiguousarray(profile.T)


def _table(*columns: tuple[str, str, Any], name: str | None = None) -> fits.BinTableHDU:
    made = [fits.Column(name=n, format=f, array=np.asarray(a)) for n, f, a in columns]
    hdu = fits.BinTableHDU.from_columns(made)
    if name:
        hdu.name = name
    return hdu


def _name(hdu: fits.BinTableHDU, name: str, cards: Mapping[str, Any]) -> None:
    """Set cards before the name, which astropy appends."""
    hdu.header.update(cards)
    hdu.name = name
