"""Sums of repeated MAMA exposures (RPTCORR), and the statistics of such a sum.

Calibrated exposures are added up, and the sum is not calibrated any more. The keywords and
HISTORY lines are those of calacs (acssum); the array step is in
:mod:`calib.steps.exposure_sum`.
"""

from __future__ import annotations

from collections.abc import Sequence

from calib.dq import ALL_BITS
from calib.instruments.row_blocks import each_chip
from calib.instruments.state import Combination, ExposureState, double
from calib.steps.exposure_sum import sum_exposures
from calib.switches import Switch

EXTENSIONS = 3  # of an image set: SCI, ERR, DQ
COMPLETE = "RPTCORR complete"
MEASURED = "Statistics computed after rptcorr."
COMMENTS = {
    "NEXTEND": "number of extensions",
    "NCOMBINE": "number of exposures added up",
    "EXPTIME": "exposure time",
    "EXPEND": "exposure end time",
}

# Exposures differ in these only by mistake; what is added up must not.
ALIKE = (
    "INSTRUME", "DETECTOR", "FILTER1", "FILTER2", "OBSTYPE", "SUBARRAY",
    "DQICORR", "GLINCORR", "LFLGCORR", "DARKCORR", "FLATCORR",
)  # fmt: skip


def add_exposures(states: Sequence[ExposureState], _parameters: None = None) -> Combination:
    """Add up calibrated exposures (RPTCORR); they themselves stay as they are.

    EXPTIME is the sum, EXPEND that of the last exposure, everything else is the first one's.
    NCOMBINE goes to the primary header, as in calacs; in the SCI header it stays 1.

    Raises
    ------
    DataError
        There are fewer than two exposures, or they differ in size.
    """
    first = states[0]
    images = each_chip(sum_exposures, zip(*(s.images for s in states), strict=True), first.threads)
    values = {
        "NEXTEND": EXTENSIONS * len(first.imsets),
        "NCOMBINE": len(states),
        "EXPTIME": double(sum(state.number("EXPTIME") for state in states)),
    }
    if states[-1].primary.get("EXPEND") is not None:
        values["EXPEND"] = double(states[-1].number("EXPEND"))
    product = first.with_images(images).with_primary(values, COMMENTS).with_notes(MEASURED)
    for warning in dict.fromkeys(line for state in states[1:] for line in state.warnings):
        product = product if warning in first.warnings else product.warn(warning)
    return Combination(product, tuple(states))


def serious_flags(state: ExposureState, serious: int) -> int:
    """Return the mask of flags for the statistics: a trap of sums.

    acssum looks for SDQFLAGS in the primary header, where it is not, so every flag counts as
    serious in a sum. In an exposure the SCI header decides.

    Parameters
    ----------
    serious
        SDQFLAGS of the SCI header.
    """
    is_sum = state.switch("RPTCORR") is Switch.COMPLETE
    return int(state.primary.get("SDQFLAGS", ALL_BITS)) if is_sum else serious
