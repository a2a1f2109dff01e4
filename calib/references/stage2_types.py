"""Reference types that only stage 2 (drizzle) opens, by instrument.

Where nothing else changes, the calibrated exposures keep their pixels: only what is drizzled
from them has to be made again.

Sources. The rules of hst_0729.pmap: MDRIZTAB, NPOLFILE and D2IMFILE of ACS and WFC3 have the
switch DRIZCORR. The programs: updatewcs (stwcs) opens IDCTAB, NPOLFILE and D2IMFILE, and
DGEOFILE, which NPOLFILE replaced; AstroDrizzle opens MDRIZTAB; calacs and calwf3 open none of
them.

Not listed: STIS, whose IDCTAB calstis itself opens (GEOCORR), and COS, whose DGEOFILE calcos
opens (DGEOCORR): they have no stage 2 of this kind.
"""

from __future__ import annotations

STAGE2_TYPES = {
    "acs": frozenset({"IDCTAB", "DGEOFILE", "NPOLFILE", "D2IMFILE", "MDRIZTAB"}),
    "wfc3": frozenset({"IDCTAB", "NPOLFILE", "D2IMFILE", "MDRIZTAB"}),
}


def is_stage2_only(instrument: str, keyword: str) -> bool:
    """Tell whether only stage 2 opens files of a type.

    Parameters
    ----------
    instrument, keyword
        In any case: ``acs``, ``IDCTAB``.
    """
    return keyword.upper() in STAGE2_TYPES.get(instrument.lower(), frozenset())
