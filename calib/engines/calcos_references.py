"""Which reference files calcos opens, by switch.

Source: calcos 3.6.2, Association.missingRefFiles, which looks for them before it starts, and
where the steps open others (timetag.py, timeline.py); COS Data Handbook, section 3.7.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calib.engines.calcos_modes import is_spectrum, performed, role_of, text_of
from calib.engines.switch_references import (
    SPECTRUM,
    Opening,
    opened_by,
    opening,
)
from calib.switches import Switch, is_switch, names_file

_FUV = {"DETECTOR": "FUV"}

# PHOTCORR opens nothing: its numbers stand in the program (phot.py), IMPHTTAB is not read. The
# steps of optional files do without them, or are skipped.
OPENINGS = (
    opening("FLATCORR", references=("FLATFILE",)),
    opening("HVDSCORR", references=("HVDSTAB",)),
    opening("BRSTCORR", references=("BRSTTAB",)),
    opening("BADTCORR", optional=("BADTTAB",)),
    opening("DQICORR", references=("BPIXTAB",), optional=("GSAGTAB", "SPOTTAB")),
    opening("DEADCORR", references=("DEADTAB",)),
    Opening(("BRFTAB",), only=_FUV),  # the active area, whatever the switches (setActiveArea)
    Opening(optional=("HVTAB",)),
    opening("PHACORR", references=("PHATAB",), only={**_FUV, "OBSMODE": "ACCUM"}),
    opening("GEOCORR", references=("GEOFILE",)),
    opening("DGEOCORR", references=("DGEOFILE",)),
    opening("XWLKCORR", optional=("XWLKFILE",)),
    opening("YWLKCORR", optional=("YWLKFILE",)),
    opening("WAVECORR", references=("LAMPTAB", "WCPTAB", "XTRACTAB", "DISPTAB"), only=SPECTRUM),
    opening("X1DCORR", references=("XTRACTAB", "DISPTAB"), optional=("SPWCSTAB",)),
    opening("X1DCORR", references=("TWOZXTAB",), only={"XTRCTALG": "TWOZONE"}),
    opening("TDSCORR", optional=("TDSTAB",)),
    opening("TRCECORR", references=("TRACETAB", "XTRACTAB")),
    opening("ALGNCORR", references=("PROFTAB", "XTRACTAB")),
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
    shown = {key: Switch.OMIT if is_switch(key) else value for key, value in header.items()}
    shown |= dict.fromkeys(switches, Switch.PERFORM)
    return tuple(dict.fromkeys((*opened_by(OPENINGS, shown), *_by_header(header, switches))))


def _by_header(header: Mapping[str, Any], switches: frozenset[str]) -> list[str]:
    """Return the keywords for which more than a switch decides."""
    found = []
    if "PHACORR" in switches and text_of(header, "OBSMODE") == "TIME-TAG":
        found.append("PHAFILE" if names_file(header, "PHAFILE") else "PHATAB")
    if "FLUXCORR" in switches:  # headers of before 2010 have PHOTTAB instead
        found.append("FLUXTAB" if "FLUXTAB" in header else "PHOTTAB")
    is_target = text_of(header, "EXPTYPE").startswith("EXT")
    if is_spectrum(header) and is_target and text_of(header, "APERTURE") in _TARGET_APERTURES:
        found += ["XTRACTAB", "DISPTAB"]  # where airglow falls (timeline.findPixelRegion)
    return found
