"""Dark time: the seconds over which dark current builds up.

Sources: ACS ISR 2018-03 (overheads before readout); calacs dodarktime.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Exposures from Servicing Mission 4 on (MJD 54962, 2009-05-11) get the overhead (calacs SM4MJD).
SERVICING_MISSION_4 = 54962.0


class Overheads(NamedTuple):
    """Seconds to add with and without a post-flash: OVRHFLS, OVRHUFLS of the CCD table."""

    flashed: float
    unflashed: float


def adjust_dark_time(
    seconds: float, start: float, overheads: Overheads, *, flashed: bool, subarray: bool
) -> float:
    """Return DARKTIME as the superdarks are made for, rounded to 32 bits.

    Parameters
    ----------
    seconds
        DARKTIME of the raw header.
    start
        EXPSTART, MJD.
    overheads
        Of the CCD table.
    flashed
        FLASHDUR > 0 and FLASHSTA is SUCCESSFUL.
    subarray
        Subarrays get no overhead here: calacs adds it for named WFC apertures only. Nor
        does any HRC exposure: the detector failed in 2007, before Servicing Mission 4.
    """
    if subarray or start < SERVICING_MISSION_4:
        return float(np.float32(seconds))
    extra = overheads.flashed if flashed else overheads.unflashed
    return float(np.float32(seconds) + np.float32(extra))
