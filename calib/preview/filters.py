"""The wavelength that a filter stands for, by its name: which one is red, which one is blue.

Headers of calibrated images hold the pivot wavelength (PHOTPLAM); names are for those without.
"""

from __future__ import annotations

import re

# Long-pass and other very wide filters are named after an edge, or after nothing: their pivot
# wavelengths in nm. ACS: Instrument Handbook, table 5.1, and zeropoints for SBC; WFC3:
# Instrument Handbook, table 6.2.
_PIVOTS = {
    ("acs", "f850lp"): 903.0,
    ("acs", "f115lp"): 140.6,
    ("acs", "f125lp"): 143.8,
    ("acs", "f140lp"): 152.7,
    ("acs", "f150lp"): 161.1,
    ("acs", "f165lp"): 176.3,
    ("wfc3", "f200lp"): 497.2,
    ("wfc3", "f300x"): 282.0,
    ("wfc3", "f350lp"): 587.4,
    ("wfc3", "f475x"): 494.1,
    ("wfc3", "f600lp"): 746.8,
    ("wfc3", "f850lp"): 917.6,
}

# F606W; FQ508N, one of four on a piece of glass; FR914M, the middle of a ramp. The digits are
# nanometres, tens of them in infrared filters (F160W is at 1.54 micrometres).
_FILTER = re.compile(r"f[qr]?(?P<number>\d{3,4})(?P<width>n|m|w|lp|x)")
_INFRARED_STEP = 10.0

# From the narrowest: of two filters in the beam the narrower one decides what passes.
_WIDTHS = ("n", "m", "w", "x", "lp")

# What lets all light pass, or makes it a spectrum or polarised without a colour of its own.
_COLOURLESS = re.compile(r"clear\d?[a-z]?|n/?a|pol\d+(uv|v)?|g\d{3}l?|pr\d{3}l|total|detection")


def is_colourless(name: str) -> bool:
    """Tell whether a filter, or every one of a combination, has no colour by its nature.

    Parameters
    ----------
    name
        As in names of mosaics: ``clear``, ``g102``, ``pol0v``; combined by ``-`` or ``;``.
    """
    return all(_COLOURLESS.fullmatch(each) for each in _parts(name))


def wavelength_of(name: str, instrument: str, detector: str) -> float | None:
    """Return the wavelength of a filter.

    Parameters
    ----------
    name
        As in names of mosaics: ``f606w``, ``fq508n``, ``fr914m``, ``f606w-pol0v``; in any case,
        combined by ``-`` or ``;``. The narrowest filter of a combination counts.
    instrument, detector
        ``acs`` or ``wfc3``; ``ir``: the same digits mean another wavelength.

    Returns
    -------
    float or None
        In nm; None for an unknown or colourless filter.
    """
    found = [match for each in _parts(name) if (match := _FILTER.fullmatch(each)) is not None]
    if not found:
        return None
    narrowest = min(found, key=lambda match: _WIDTHS.index(match["width"]))
    number = float(narrowest["number"])
    if detector.lower() == "ir":
        return _INFRARED_STEP * number
    return _PIVOTS.get((instrument.lower(), narrowest[0]), number)


def _parts(name: str) -> list[str]:
    return [part for part in re.split(r"[-;]", name.strip().lower()) if part]
