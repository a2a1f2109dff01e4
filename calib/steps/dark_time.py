"""Dark time: the seconds over which dark current builds up.

Sources: ACS ISR 2018-03 (overheads before readout); calacs computeDarktime.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Exposures from Servicing Mission 4 on (MJD 54962, 2009-05-11) get the overhead (calacs SM4MJD).
SERVICING_MISSION_4 = 54962.0

# From 2016-10-01 on these subarrays get it too: since then they are read out like full frames
# (flight software of Cycle 24; ACS Instrument Handbook 7.3.1). Names as in calacs
# (darkSubApertures): WFC2-MRAMPQ and the polarisers on chip 2 are not among them.
TIMED_SUBARRAYS_FROM = 57662.0
TIMED_SUBARRAYS = frozenset(
    (
        *(f"WFC{q}-{n}" for q in ("1A", "1B", "2C", "2D") for n in ("512", "1K", "2K")),
        *(f"WFC1-POL{angle}{band}" for angle in (0, 60, 120) for band in ("UV", "V")),
        "WFC1-IRAMPQ",
        "WFC1-MRAMPQ",
        "WFC2-ORAMPQ",
        "WFC1-SMFL",
    )
)


class Overheads(NamedTuple):
    """Seconds to add with and without a post-flash: OVRHFLS, OVRHUFLS of the CCD table."""

    flashed: float
    unflashed: float


def adjust_dark_time(
    seconds: float, start: float, overheads: Overheads, *, flashed: bool, aperture: str | None
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
    aperture
        APERTURE of a subarray; None for a full frame. Other subarrays than
        :data:`TIMED_SUBARRAYS` get no overhead. Nor does any HRC exposure: the detector
        failed in 2007, before Servicing Mission 4.
    """
    if not _has_overhead(start, aperture):
        return float(np.float32(seconds))
    extra = overheads.flashed if flashed else overheads.unflashed
    return float(np.float32(seconds) + np.float32(extra))


def _has_overhead(start: float, aperture: str | None) -> bool:
    if aperture is None:
        return start >= SERVICING_MISSION_4
    return start >= TIMED_SUBARRAYS_FROM and aperture.strip().upper() in TIMED_SUBARRAYS
