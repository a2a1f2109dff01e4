"""Which reference files calcos opens, by switch.

Source: calcos 3.6.2, Association.missingRefFiles, which looks for them before it starts, and
where the steps open others (timetag.py, timeline.py); COS Data Handbook, section 3.7.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from calib.engines.calcos_modes import is_spectrum, performed, role_of, text_of
from calib.instruments.reference_set import NO_FILE


@dataclass(frozen=True)
class Opening:
    """Files that calcos opens.

    Attributes
    ----------
    switch
        Where this one is performed; empty: always.
    keywords
        What names them.
    only
        Header values by keyword: only where all of them are so.
    if_named
        Whether a file may be missing: the step does without it, or is skipped then.
    """

    switch: str
    keywords: tuple[str, ...]
    only: Mapping[str, str] = field(default_factory=dict)
    if_named: bool = False


_FUV = {"DETECTOR": "FUV"}
_SPECTRUM = {"OBSTYPE": "SPECTROSCOPIC"}

# PHOTCORR opens nothing: its numbers stand in the program (phot.py), IMPHTTAB is not read.
OPENINGS = (
    Opening("FLATCORR", ("FLATFILE",)),
    Opening("HVDSCORR", ("HVDSTAB",)),
    Opening("BRSTCORR", ("BRSTTAB",)),
    Opening("BADTCORR", ("BADTTAB",), if_named=True),
    Opening("DQICORR", ("BPIXTAB",)),
    Opening("DQICORR", ("GSAGTAB", "SPOTTAB"), if_named=True),
    Opening("DEADCORR", ("DEADTAB",)),
    Opening("", ("BRFTAB",), _FUV),  # the active area, whatever the switches (setActiveArea)
    Opening("", ("HVTAB",), if_named=True),
    Opening("PHACORR", ("PHATAB",), {**_FUV, "OBSMODE": "ACCUM"}),
    Opening("GEOCORR", ("GEOFILE",)),
    Opening("DGEOCORR", ("DGEOFILE",)),
    Opening("XWLKCORR", ("XWLKFILE",), if_named=True),
    Opening("YWLKCORR", ("YWLKFILE",), if_named=True),
    Opening("WAVECORR", ("LAMPTAB", "WCPTAB", "XTRACTAB", "DISPTAB"), _SPECTRUM),
    Opening("X1DCORR", ("XTRACTAB", "DISPTAB")),
    Opening("X1DCORR", ("SPWCSTAB",), if_named=True),
    Opening("X1DCORR", ("TWOZXTAB",), {"XTRCTALG": "TWOZONE"}),
    Opening("TDSCORR", ("TDSTAB",), if_named=True),
    Opening("TRCECORR", ("TRACETAB", "XTRACTAB")),
    Opening("ALGNCORR", ("PROFTAB", "XTRACTAB")),
)

# Where the light of a target goes through: there, airglow is looked for in the events.
_TARGET_APERTURES = ("PSA", "BOA")


def required_references(header: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the reference keywords of the files that calcos opens for an exposure.

    Parameters
    ----------
    header
        Primary header, with the user's switches.

    Raises
    ------
    DataError
        A switch has no known value.
    """
    if role_of(header) == "none":
        return ()
    switches = performed(header)
    found = [
        keyword
        for opening in OPENINGS
        if _applies(opening, header, switches)
        for keyword in opening.keywords
        if not opening.if_named or _is_named(header, keyword)
    ]
    return tuple(dict.fromkeys((*found, *_by_header(header, switches))))


def _applies(opening: Opening, header: Mapping[str, Any], switches: frozenset[str]) -> bool:
    is_on = not opening.switch or opening.switch in switches
    return is_on and all(text_of(header, key) == value for key, value in opening.only.items())


def _by_header(header: Mapping[str, Any], switches: frozenset[str]) -> list[str]:
    """Return the keywords for which more than a switch decides."""
    found = []
    if "PHACORR" in switches and text_of(header, "OBSMODE") == "TIME-TAG":
        found.append("PHAFILE" if _is_named(header, "PHAFILE") else "PHATAB")
    if "FLUXCORR" in switches:  # headers of before 2010 have PHOTTAB instead
        found.append("FLUXTAB" if "FLUXTAB" in header else "PHOTTAB")
    is_target = text_of(header, "EXPTYPE").startswith("EXT")
    if is_spectrum(header) and is_target and text_of(header, "APERTURE") in _TARGET_APERTURES:
        found += ["XTRACTAB", "DISPTAB"]  # where airglow falls (timeline.findPixelRegion)
    return found


def _is_named(header: Mapping[str, Any], keyword: str) -> bool:
    return text_of(header, keyword) not in NO_FILE
