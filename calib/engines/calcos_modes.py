"""What calcos makes of the headers of a raw COS file: what it performs, and what it refuses.

Source: calcos 3.6.2 (calcos.py, getinfo.py); COS Data Handbook, chapter 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from calib.switches import Switch, is_switch, read_switch

# What an exposure is to calcos: `science` goes into the products of an association,
# `calibration` and `wavecal` do not; `image` is an acquisition image; `none` is left alone.
Role = Literal["science", "calibration", "wavecal", "image", "none"]

# By EXPTYPE (Observation.__init__). An acquisition that is no image has a list of counts or
# positions, which the flight software has used already: there is nothing in it to calibrate.
ROLES: dict[str, Role] = {
    "EXTERNAL/SCI": "science",
    "EXTERNAL/CAL": "science",
    "DARK": "science",
    "FLAT": "science",
    "WAVECAL": "wavecal",
    "ACQ/IMAGE": "image",
    "ACQ/SEARCH": "none",
    "ACQ/PEAKD": "none",
    "ACQ/PEAKXD": "none",
    "ENG DIAG": "none",
    "MEMORY DUMP": "none",
    "PHA": "none",
}

_EXTERNAL_SCIENCE = "EXTERNAL/SCI"
_WAVECAL = "WAVECAL"

# TAGFLASH: lamp flashes among the events (calcosparam.py).
_FLASHED = ("AUTO", "UNIFORMLY SPACED")

# Reset to OMIT, whatever the header says (checkImSpecSwitches, NUVTimetagObs, NUVAccumObs).
_NOT_FOR_NUV = {"TEMPCORR", "GEOCORR", "DGEOCORR", "IGEOCORR", "RANDCORR", "PHACORR"}
_NOT_FOR_IMAGES = {"DOPPCORR", "HELCORR", "BACKCORR", "FLUXCORR"}
_NOT_FOR_WAVECALS = {"DOPPCORR", "HELCORR", "FLUXCORR", "TDSCORR"}
_AFTER_EXTRACTION = {"BACKCORR", "FLUXCORR", "TDSCORR"}

# Without one of these there is nothing to do (Association.globalSwitches).
_DECISIVE = {
    "BADTCORR", "BRSTCORR", "DEADCORR", "DOPPCORR", "DQICORR", "FLATCORR", "GEOCORR",
    "DGEOCORR", "HELCORR", "HVDSCORR", "PHACORR", "RANDCORR", "TEMPCORR", "X1DCORR",
    "WAVECORR", "TRCECORR", "ALGNCORR",
}  # fmt: skip

# Keywords of data and references of before calcos 3.1; it wants XWLKCORR and YWLKCORR.
_OUTDATED = ("WALKCORR", "WALKTAB")
_AGAIN = "fetch the exposure from the archive again"


def text_of(header: Mapping[str, Any], keyword: str) -> str:
    """Return a keyword as a word in capitals; empty where it is absent."""
    return str(header.get(keyword, "") or "").strip().upper()


def is_spectrum(header: Mapping[str, Any]) -> bool:
    """Whether it is a spectrum; other exposures are images."""
    return text_of(header, "OBSTYPE") == "SPECTROSCOPIC"


def is_flashed(header: Mapping[str, Any], flashes: int) -> bool:
    """Whether a wavelength lamp flashed during the exposure.

    Parameters
    ----------
    header
        Primary header.
    flashes
        NUMFLASH of the first extension.
    """
    return text_of(header, "TAGFLASH") in _FLASHED and flashes > 0


def role_of(header: Mapping[str, Any], flashes: int = 0) -> Role:
    """Return what an exposure is to calcos.

    Parameters
    ----------
    header
        Primary header.
    flashes
        NUMFLASH of the first extension.
    """
    kind = text_of(header, "EXPTYPE")
    role = ROLES.get(kind, "none")
    if role in {"image", "none"}:
        return role
    if is_flashed(header, flashes) and kind != _EXTERNAL_SCIENCE:
        return "calibration"
    return "calibration" if kind == _WAVECAL and not is_spectrum(header) else role


def performed(header: Mapping[str, Any]) -> frozenset[str]:
    """Return the switches that calcos performs: not those that it resets for a mode.

    Raises
    ------
    DataError
        A switch has no known value.
    """
    asked = {key for key in header if is_switch(key)}
    found = {key for key in asked if read_switch(header, key) is Switch.PERFORM}
    if text_of(header, "DETECTOR") == "NUV":
        found -= _NOT_FOR_NUV
    if text_of(header, "EXPTYPE") == _WAVECAL:
        found -= _NOT_FOR_WAVECALS
    if not is_spectrum(header):
        found -= _NOT_FOR_IMAGES
    elif "X1DCORR" not in found:
        found -= _AFTER_EXTRACTION
    return frozenset(found)


def has_work(header: Mapping[str, Any]) -> bool:
    """Whether any switch is on that calcos starts for."""
    return bool(performed(header) & _DECISIVE)


def refusal(header: Mapping[str, Any]) -> str | None:
    """Say why calcos would stop at an exposure; None where it would not.

    A keyword that is absent is no reason: a header from a catalogue may lack it.
    """
    if (frame := text_of(header, "COSCOORD")) not in {"", "USER"}:
        return f"COSCOORD is {frame}, and calcos takes coordinates of the USER frame: {_AGAIN}"
    if found := [key for key in _OUTDATED if key in header]:
        return f"the header has {' and '.join(found)} of an early calcos: {_AGAIN}"
    if text_of(header, "DGEOCORR") == "PERFORM" and text_of(header, "GEOCORR") == "OMIT":
        return "DGEOCORR is PERFORM while GEOCORR is OMIT, at which calcos stops"
    for keyword, known in (
        ("DETECTOR", ("FUV", "NUV")),
        ("OBSMODE", ("TIME-TAG", "ACCUM")),
        ("EXPTYPE", tuple(ROLES)),
    ):
        if (value := text_of(header, keyword)) and value not in known:
            return f"{keyword} is {value}; calcos knows {', '.join(known)}"
    return None
