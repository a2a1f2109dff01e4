"""The recipes of ACS CCD exposures, alone and in associations, as calacs carries them out.

Order: acsccd, acsrej for what is combined, then acs2d (ACS Data Handbook 3.4, figure 3.1).
HRC (March 2002 to January 2007) and WFC go through the same steps; which form of a step an
exposure gets depends on its header.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calib.instruments import (
    acs_bias_level,
    acs_ccd,
    acs_flats,
    acs_product,
    acs_rejection,
)
from calib.instruments.recipe import Kind, Phase, Recipe, Step
from calib.steps.bias_level import BiasLevelParameters
from calib.steps.full_well import FullWellParameters
from calib.switches import Switch, read_number, read_switch

# Corrections that a header can ask for and these recipes do not have: trailed charge is not
# corrected natively yet (``--set PCTECORR=OMIT`` goes without), linearity is SBC's.
NOT_HERE = ("PCTECORR", "GLINCORR", "LFLGCORR")

# Accepted and left as they are: ATODCORR does nothing in calacs; DRIZCORR is the next
# program's. (CRCORR and RPTCORR concern an association: a raw file is processed alone whatever
# they say, and its flt keeps PERFORM.)
LEFT_ALONE = ("ATODCORR", "DRIZCORR")

AMPLIFIERS = {
    "HRC": ("A", "B", "C", "D"),
    "WFC": ("A", "B", "C", "D", "AB", "CD", "AD", "BC", "ABCD"),
}


def refuses(header: Mapping[str, Any]) -> str | None:
    """Say why the mode of an exposure is not covered; None where it is.

    Parameters
    ----------
    header
        Primary header.
    """
    amplifiers = str(header.get("CCDAMP") or "").strip().upper()
    known = AMPLIFIERS[str(header.get("DETECTOR", "")).strip().upper()]
    if amplifiers not in known:
        return f"CCDAMP is {amplifiers or 'absent'}: only amplifiers {', '.join(known)} are covered"
    if str(header.get("OBSMODE", "ACCUM")).strip().upper() == "ACQ":
        return "OBSMODE is ACQ: nothing is calibrated in an acquisition image"
    if wanted := [name for name in NOT_HERE if read_switch(header, name) is Switch.PERFORM]:
        omit = " ".join(f"--set {name}=OMIT" for name in wanted)
        return f"{', '.join(wanted)} PERFORM: no such step ({omit} goes without)"
    if any(read_number(header, key) != 1 for key in ("BINAXIS1", "BINAXIS2")):
        return "the image is binned on the detector"
    return None


EXPOSURE = Phase(
    "exposure",
    (
        Step(
            "check_exposure",
            acs_ccd.check_exposure,
            kind=Kind.HEADERS,
            prepares=True,
        ),
        Step(
            "select_amplifiers",
            acs_ccd.select_amplifiers,
            kind=Kind.HEADERS,
            references=("CCDTAB",),
            gives=("ccd",),
            prepares=True,
        ),
        Step(
            "select_overscan",
            acs_ccd.select_overscan_region,
            kind=Kind.HEADERS,
            optional=("OSCNTAB",),
            needs=("ccd",),
            gives=("overscan",),
            prepares=True,
        ),
        Step(
            "flag_pixels",
            acs_ccd.flag_pixels,
            kind=Kind.ROWS,
            switch="DQICORR",
            optional=("BPIXTAB",),
            needs=("ccd",),
        ),
        Step(
            "subtract_bias",
            acs_ccd.subtract_bias,
            kind=Kind.ROWS,
            switch="BIASCORR",
            references=("BIASFILE",),
        ),
        Step(
            "convert_to_electrons",
            acs_ccd.to_electrons,
            kind=Kind.ROWS,
            needs=("ccd",),
            gives=("electrons",),
        ),
        Step(
            "subtract_bias_level",
            acs_bias_level.subtract_bias_level,
            kind=Kind.MEASURED_ROWS,
            switch="BLEVCORR",
            references=("OSCNTAB",),
            parameters=BiasLevelParameters(),
            needs=("ccd", "overscan", "electrons"),
            headline="",
        ),
        Step(
            "update_dark_time",
            acs_ccd.update_dark_time,
            kind=Kind.HEADERS,
            needs=("ccd",),
        ),
        Step(
            "flag_full_well",
            acs_ccd.flag_saturated_pixels,
            kind=Kind.ROWS,
            optional=("SATUFILE",),
            parameters=FullWellParameters(),
            needs=("overscan", "electrons"),
        ),
        Step(
            "initialise_error",
            acs_ccd.initialise_error,
            kind=Kind.ROWS,
            needs=("ccd", "electrons"),
            gives=("error",),
        ),
        Step(
            "flag_sink_pixels",
            acs_ccd.flag_sinks,
            kind=Kind.ROWS,
            switch="SINKCORR",
            references=("SNKCFILE",),
            needs=("overscan", "error"),
        ),
        Step(
            "trim_overscan",
            acs_ccd.trim,
            kind=Kind.ROWS,
            needs=("overscan", "error"),
            gives=("trimmed",),
        ),
    ),
)

COMBINE = Phase(
    "combine",
    tuple(
        Step(
            name,
            acs_rejection.combine,
            switch=switch,
            references=("CRREJTAB",),
            parameters=acs_rejection.RejectionParameters(),
            needs=("trimmed", "electrons", "error"),
        )
        for name, switch in (("reject_cosmic_rays", "CRCORR"), ("combine_repeats", "RPTCORR"))
    ),
    combines=True,
)

PRODUCT = Phase(
    "product",
    (
        Step(
            "repeat_ccd_history",
            acs_ccd.repeat_ccd_history,
            kind=Kind.HEADERS,
            needs=("ccd",),
        ),
        Step(
            "subtract_dark",
            acs_product.subtract_dark,
            kind=Kind.ROWS,
            switch="DARKCORR",
            references=("DARKFILE",),
            needs=("trimmed", "electrons"),
        ),
        Step(
            "subtract_flash",
            acs_product.subtract_flash,
            kind=Kind.ROWS,
            switch="FLSHCORR",
            references=("FLSHFILE",),
            needs=("trimmed", "electrons"),
        ),
        Step(
            "divide_flat",
            acs_flats.divide_flat,
            kind=Kind.ROWS,
            switch="FLATCORR",
            references=("PFLTFILE",),
            optional=acs_flats.OTHER_FLATS,
            parameters=acs_flats.FlatParameters(),
            needs=("trimmed", "electrons"),
        ),
        Step(
            "correct_shading",
            acs_flats.correct_shading,
            kind=Kind.ROWS,
            switch="SHADCORR",
            references=("SHADFILE",),
            needs=("trimmed", "electrons"),
        ),
        Step(
            "name_photmode",
            acs_product.name_photmode,
            kind=Kind.HEADERS,
            gives=("photmode",),
        ),
        Step(
            "add_photometry",
            acs_product.add_photometry,
            kind=Kind.HEADERS,
            switch="PHOTCORR",
            references=("IMPHTTAB",),
            needs=("photmode",),
        ),
        Step(
            "measure_statistics",
            acs_product.measure_statistics,
            kind=Kind.ROWS,
            needs=("trimmed",),
        ),
        Step(
            "finish_exposure",
            acs_product.finish_exposure,
            kind=Kind.HEADERS,
            switch="EXPSCORR",
        ),
    ),
)


def _recipe(detector: str) -> Recipe:
    return Recipe(
        name=f"acs_{detector.lower()}",
        instrument="ACS",
        detector=detector,
        phases=(EXPOSURE, COMBINE, PRODUCT),
        refuses=refuses,
        other_switches=(*NOT_HERE, *LEFT_ALONE),
        alike=acs_rejection.ALIKE,
    )


HRC = _recipe("HRC")
WFC = _recipe("WFC")
