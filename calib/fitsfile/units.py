"""Units as HST files write them (``ELECTRONS/S``, ``Angstroms``), and as astropy knows them."""

from __future__ import annotations

import re
import warnings
from typing import Any

# Words of BUNIT and TUNIT that astropy does not know, or knows in another case. COUNTS are data
# numbers of a CCD and photons of a MAMA alike (data handbooks, section 3): astropy's `ct`.
_WORDS = {
    "ANGSTROM": "Angstrom",
    "ANGSTROMS": "Angstrom",
    "ARCSEC": "arcsec",
    "CM": "cm",
    "COUNT": "ct",
    "COUNTS": "ct",
    "DN": "adu",
    "ELECTRON": "electron",
    "ELECTRONS": "electron",
    "ERG": "erg",
    "PIXEL": "pix",
    "PIXELS": "pix",
    "S": "s",
    "SEC": "s",
    "SECONDS": "s",
    "UNITLESS": "",
}

# What HST files call the units that calibrated images have.
_NAMES = {"electron": "ELECTRONS", "electron / s": "ELECTRONS/S", "ct": "COUNTS"}
_NAMES["ct / s"] = "COUNTS/S"

_WORD = re.compile(r"[A-Za-z]+")


def unit_of(text: object) -> Any:
    """Return the unit that a header means; one that nobody knows keeps its text.

    Parameters
    ----------
    text
        Value of BUNIT or TUNIT; None or empty is a pure number.
    """
    from astropy import units as u

    known = _WORD.sub(lambda word: _WORDS.get(word[0].upper(), word[0]), str(text or "").strip())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of several slashes, which the unit of every flux has
        return u.Unit(known, parse_strict="silent")


def unit_text(unit: Any, before: object = None) -> str:
    """Return the text of a unit for a header.

    Parameters
    ----------
    unit
        A unit of astropy.
    before
        What the header says; it stays where it means the same.
    """
    if before is not None and unit_of(before) == unit:
        return str(before)
    text = str(unit)
    return _NAMES.get(text, text) or "UNITLESS"
