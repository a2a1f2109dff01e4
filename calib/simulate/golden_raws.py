"""Raw exposures of the golden ACS cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calib.simulate.golden_files import Pixels, constant, image, mapping_cards, primary, write_hdus
from calib.simulate.golden_pixels import Random, expose, scene, to_counts
from calib.simulate.golden_references import Chips
from calib.simulate.golden_tables import GAIN, READ_NOISE

# DN, before destriping and bias shift take part of it away.
BIAS_LEVEL = {"A": 2280.0, "B": 2310.0, "C": 2295.0, "D": 2260.0}

DARK_RATE = 0.004  # electrons/s

# Readout overhead that raw headers count into DARKTIME (s).
OVERHEAD = {"WFC": 2.5, "HRC": 2.0}

_LIGHT = {
    "WFC": ("F606W", "CLEAR2L"),
    "HRC": ("F606W", "CLEAR2S"),
    "SBC": ("F125LP", "N/A"),
}

# Switches and reference keywords in the order of the header.
_SWITCHES = (
    *("DQICORR", "ATODCORR", "BLEVCORR", "BIASCORR", "SINKCORR", "PCTECORR", "FLSHCORR"),
    *("CRCORR", "EXPSCORR", "SHADCORR", "DARKCORR", "FLATCORR", "PHOTCORR", "RPTCORR"),
    *("DRIZCORR", "GLINCORR", "LFLGCORR"),
)
_REFERENCES = (
    *("BPIXTAB", "CCDTAB", "OSCNTAB", "BIASFILE", "DARKFILE", "PFLTFILE", "DFLTFILE"),
    *("LFLTFILE", "FLSHFILE", "SATUFILE", "SNKCFILE", "CRREJTAB", "IMPHTTAB", "PCTETAB"),
    *("DRKCFILE", "ATODTAB", "SHADFILE", "CFLTFILE", "SPOTTAB", "MLINTAB"),
)

# The file of each keyword in a folder of references; others are N/A.
REFERENCE_NAMES = {
    "BPIXTAB": "bpx",
    "CCDTAB": "ccd",
    "OSCNTAB": "osc",
    "BIASFILE": "bia",
    "DARKFILE": "drk",
    "PFLTFILE": "pfl",
    "FLSHFILE": "fls",
    "SATUFILE": "sat",
    "SNKCFILE": "snk",
    "CRREJTAB": "crr",
    "IMPHTTAB": "imp",
}
SBC_REFERENCE_NAMES = {
    "MLINTAB": "lin",
    **{key: REFERENCE_NAMES[key] for key in ("BPIXTAB", "DARKFILE", "PFLTFILE", "IMPHTTAB")},
}

# Of an exposure without post-flash in September 2017, before it is calibrated.
_EXPOSURE: dict[str, Any] = {
    "LRFWAVE": 0.0,
    "SUBARRAY": False,
    "EXPTIME": 500.0,
    "EXPSTART": 58000.123,
    "EXPEND": 58000.13,
    "DARKTIME": 502.5,
    "FLASHDUR": 0.0,
    "FLASHSTA": "NOT PERFORMED",
    "FLASHCUR": "ZERO",
    "CCDAMP": "ABCD",
    "CCDGAIN": 2.0,
    **{f"CCDOFST{amp}": 3 for amp in "ABCD"},
    "JWROTYPE": "DS_INT",
    "CRSPLIT": 1,
    "ASN_ID": "NONE",
    "ASN_TAB": "NONE",
    "ASN_MTYP": "",
    "CAL_VER": "",
    "STATFLAG": False,
    "WRTERR": True,
    "DATE-OBS": "2017-09-04",
    "TIME-OBS": "03:00:00",
    **{f"{key}{amp}": 0.0 for key in ("BIASLEV", "ATODGN", "READNSE") for amp in "ABCD"},
}

_STATISTICS = ("GOODMIN", "GOODMAX", "GOODMEAN")
_SIGNAL_TO_NOISE = ("SNRMIN", "SNRMAX", "SNRMEAN", "MEANDARK", "MEANBLEV", "MEANFLSH")


@dataclass(frozen=True)
class WfcExposure:
    """What a full WFC frame varies in.

    Attributes
    ----------
    cards
        Primary header, from :func:`raw_cards`.
    skies
        Mean electrons by chip; None draws them.
    cosmic_rays
        Tracks per chip; None: one for 5000 pixels.
    drift
        Rise of the level along a row (electrons).
    """

    cards: Mapping[str, Any]
    skies: Mapping[int, Pixels] | None = None
    cosmic_rays: int | None = None
    drift: float = 0.0


def raw_cards(
    root: str,
    detector: str,
    *,
    perform: Sequence[str],
    references: Mapping[str, str] = REFERENCE_NAMES,
    **changes: Any,
) -> dict[str, Any]:
    """Return the primary header of a raw.

    Parameters
    ----------
    perform
        Switches to set to PERFORM; the others are OMIT.
    references
        Names of reference files without ``.fits``, by keyword.
    changes
        Other values of cards, or cards to append.
    """
    cards = {**_identity(root, detector), **_EXPOSURE}
    cards |= {key: "PERFORM" if key in perform else "OMIT" for key in _SWITCHES}
    cards |= {
        key: f"jref${references[key]}.fits" if key in references else "N/A" for key in _REFERENCES
    }
    return cards | changes


def _identity(root: str, detector: str) -> dict[str, Any]:
    filter1, filter2 = _LIGHT[detector]
    return {
        "TELESCOP": "HST",
        "INSTRUME": "ACS",
        "NEXTEND": 3,
        "ROOTNAME": root,
        "FILENAME": f"{root}_raw.fits",
        "IMAGETYP": "EXT",
        "TARGNAME": "NGC104",
        "DETECTOR": detector,
        "OBSTYPE": "IMAGING",
        "OBSMODE": "ACCUM",
        "APERTURE": detector,
        "FILTER1": filter1,
        "FILTER2": filter2,
    }


def raw_hdus(
    version: int, pixels: Pixels, root: str, chip: int, offsets: tuple[float, float]
) -> list[Any]:
    """Return SCI with its counts, ERR and DQ without pixels, of one chip."""
    ny, nx = pixels.shape
    place = {"ROOTNAME": root, "EXPNAME": root, **_world_coordinates(nx, ny)}
    place |= mapping_cards(*offsets)
    sci = {
        "BUNIT": "COUNTS",
        "CCDCHIP": chip,
        "NCOMBINE": 1,
        "SDQFLAGS": 31743,
        "SIZAXIS1": nx,
        "SIZAXIS2": ny,
        "BINAXIS1": 1,
        "BINAXIS2": 1,
        "PHOTMODE": "",
        **dict.fromkeys(("PHOTFLAM", "PHOTZPT", "PHOTPLAM", "PHOTBW"), 0.0),
        "NGOODPIX": 0,
        **dict.fromkeys((*_STATISTICS, *_SIGNAL_TO_NOISE), 0.0),
    }
    err = {"BUNIT": "COUNTS", "NGOODPIX": 0, **dict.fromkeys(_STATISTICS, 0.0), "SDQFLAGS": 31743}
    return [
        image("SCI", version, to_counts(pixels), sci | place),
        constant("ERR", version, (ny, nx), err | place),
        constant("DQ", version, (ny, nx), {"BUNIT": "UNITLESS", **place}),
    ]


def read_out(
    rng: Random,
    chips: Chips,
    chip: int,
    electrons: Pixels,
    *,
    amplifiers: str,
    stripe: float = 1.0,
    drift: float = 0.0,
) -> Pixels:
    """Return counts (DN) of a chip with overscan, before rounding.

    Parameters
    ----------
    electrons
        Charge of the pixels that see the sky.
    amplifiers
        One for the whole chip, or the left and the right one.
    stripe
        Standard deviation of the noise that all pixels of a row share (electrons).
    drift
        Rise of the level along a row (electrons).
    """
    ny, nx = chips.raw_shape
    out = np.zeros((ny, nx))
    low, rows = chips.low_rows(chip), electrons.shape[0]
    out[low : low + rows, chips.trim_x : chips.trim_x + electrons.shape[1]] = electrons
    right = np.arange(nx) >= (nx if len(amplifiers) == 1 else nx // 2)
    gain, noise, level = (
        np.where(right, values[amplifiers[-1]], values[amplifiers[0]])
        for values in (GAIN, READ_NOISE, BIAS_LEVEL)
    )
    stripes = rng.normal(0, stripe, (ny, 1))
    slope = np.linspace(0, 1.5, ny)[:, None]
    out += rng.normal(0, 1, (ny, nx)) * noise + stripes + slope + drift * np.arange(nx) / nx
    counts: Pixels = out / gain + level
    return counts


def draw_chip(
    rng: Random,
    chips: Chips,
    seconds: float,
    *,
    sky: Pixels | None = None,
    flash: float = 0.0,
    cosmic_rays: int | None = None,
) -> Pixels:
    """Return the charge of a chip; `sky` None draws one, and `flash` is its length (s)."""
    ny, nx = chips.shape
    if sky is None:
        sky = scene(rng, chips.shape, stars=nx * ny // 9000, sky=0.05 * seconds)
    mean = sky.copy() + DARK_RATE * seconds + flash * 10.0
    return expose(rng, mean, nx * ny // 5000 if cosmic_rays is None else cosmic_rays)


def write_wfc_raw(folder: Path, rng: Random, chips: Chips, exposure: WfcExposure) -> None:
    """Write a full WFC frame: chip 2 (amplifiers C, D), then chip 1 (A, B)."""
    hdus: list[Any] = [primary(exposure.cards)]
    root = exposure.cards["ROOTNAME"]
    for version, (chip, amplifiers) in enumerate(((2, "CD"), (1, "AB")), 1):
        charge = draw_chip(
            rng,
            chips,
            exposure.cards["EXPTIME"],
            sky=exposure.skies[chip] if exposure.skies else None,
            flash=exposure.cards["FLASHDUR"],
            cosmic_rays=exposure.cosmic_rays,
        )
        counts = read_out(rng, chips, chip, charge, amplifiers=amplifiers, drift=exposure.drift)
        hdus += raw_hdus(version, counts, root, chip, (chips.trim_x, chips.low_rows(chip)))
    write_hdus(folder / f"{root}_raw.fits", hdus)


def _world_coordinates(nx: int, ny: int) -> dict[str, Any]:
    return {
        "WCSAXES": 2,
        "CRPIX1": nx / 2.0,
        "CRPIX2": ny / 2.0,
        "CRVAL1": 6.03,
        "CRVAL2": -72.08,
        "CTYPE1": "RA---TAN",
        "CTYPE2": "DEC--TAN",
        "CD1_1": -1.4e-5,
        "CD1_2": 0.0,
        "CD2_1": 0.0,
        "CD2_2": 1.4e-5,
    }
