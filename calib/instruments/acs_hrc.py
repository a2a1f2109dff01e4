"""The recipe of ACS/HRC exposures, one amplifier, alone and in associations, as calacs does it.

Order: acsccd, acsrej for what is combined, then acs2d (ACS Data Handbook 3.4, figure 3.1).
The HRC worked from March 2002 to January 2007.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from calib.compiled import new_planes, planes
from calib.image import Image
from calib.instruments import acs_ccd, acs_product, acs_rejection
from calib.instruments.recipe import Fusion, Parameters, Phase, Recipe, Step
from calib.instruments.state import ExposureState
from calib.kernels.ccd import bias_to_electrons, dark_to_flat, level_to_error
from calib.steps.bias_level import BiasLevel, BiasLevelParameters, levels_and_drifts
from calib.steps.dark import mean_of
from calib.steps.full_well import FullWellParameters
from calib.switches import Switch, read_keyword, read_switch

# Corrections that a header can ask for and this recipe does not have. Sink pixels and
# trailed charge are WFC's, linearity is SBC's; SHADCORR has never been used for the HRC.
NOT_HERE = ("SHADCORR", "PCTECORR", "SINKCORR", "GLINCORR", "LFLGCORR")

# Accepted and left as they are: ATODCORR does nothing in calacs; DRIZCORR is the next
# program's. (CRCORR and RPTCORR concern an association: a raw file is processed alone whatever
# they say, and its flt keeps PERFORM.)
LEFT_ALONE = ("ATODCORR", "DRIZCORR")


def refuses(header: Mapping[str, Any]) -> str | None:
    """Say why the mode of an HRC exposure is not covered; None where it is.

    Parameters
    ----------
    header
        Primary header.
    """
    amplifier = str(header.get("CCDAMP", "")).strip().upper()
    if amplifier not in {"A", "B", "C", "D"}:
        return f"CCDAMP is {amplifier or 'absent'}: only one amplifier is covered"
    if str(header.get("OBSMODE", "ACCUM")).strip().upper() == "ACQ":
        return "OBSMODE is ACQ: nothing is calibrated in an acquisition image"
    if wanted := [name for name in NOT_HERE if read_switch(header, name) is Switch.PERFORM]:
        return f"{', '.join(wanted)} PERFORM: no such step"
    if any(int(read_keyword(header, key)) != 1 for key in ("BINAXIS1", "BINAXIS2")):
        return "the image is binned on the detector"
    return _why_not_flat(header)


def _why_not_flat(header: Mapping[str, Any]) -> str | None:
    coronagraphic = str(header.get("OBSTYPE", "")).strip().upper().startswith("CORON")
    if coronagraphic and read_switch(header, "FLATCORR") is Switch.PERFORM:
        return "OBSTYPE is CORONAGRAPHIC: the flat of the occulting spots is not applied"
    return None


class _Science(NamedTuple):
    """Science pixels, and the level that was subtracted."""

    image: Image
    level: BiasLevel


class _Flat(NamedTuple):
    """Flat-fielded pixels, and the mean of the dark that was subtracted."""

    image: Image
    mean_dark: float


def _bias_and_gain(state: ExposureState, _parameters: Parameters) -> Image:
    out = new_planes(state.image.shape)
    bias = state.reference("BIASFILE").image
    bias_to_electrons(planes(state.image), planes(bias), state.ccd_row.gain, out)
    return Image(*out, unit="ELECTRONS")


def _level_to_error(state: ExposureState, parameters: Parameters) -> _Science:
    level = acs_ccd.fit_level(state, parameters["subtract_bias_level"])
    region = acs_ccd.overscan_row(state).region
    out = new_planes((region.y1 - region.y0, region.x1 - region.x0))
    limit = planes(state.reference("SATUFILE").image)
    origin = np.array([region.y0, region.x0], np.int64)
    levels = levels_and_drifts(level, region)
    level_to_error(planes(state.image), *levels, limit, state.ccd_row.read_noise, origin, out)
    return _Science(Image(*out, unit=state.image.unit), level)


def _dark_and_flat(state: ExposureState, _parameters: Parameters) -> _Flat:
    out, sums = new_planes(state.image.shape), np.zeros(2)
    dark, flat = (planes(state.reference(key).image) for key in ("DARKFILE", "PFLTFILE"))
    seconds = acs_product.dark_seconds(state)
    dark_to_flat(planes(state.image), dark, seconds, flat, state.serious, out, sums)
    return _Flat(Image(*out, unit=state.image.unit), mean_of(sums))


def _is_raw(state: ExposureState) -> bool:
    return not acs_ccd.in_electrons(state)


def _is_plain_frame(state: ExposureState) -> bool:
    """Whether the science pixels are exactly those that get trimmed out and tested."""
    row = state.overscan
    if row is None or not state.references.is_named("SATUFILE"):
        return False
    if state.value("SUBARRAY") or acs_ccd.error_is_initialised(state):
        return False
    (ny, nx), trims = state.image.shape, row.overscan
    whole = (trims.trim_y[0], ny - trims.trim_y[1], trims.trim_x[0], nx - trims.trim_x[1])
    is_bias = str(state.value("TARGNAME")).startswith("BIAS")
    biased = state.switch("BIASCORR") is Switch.COMPLETE
    return row.region == whole and biased and not is_bias


def _has_one_flat(state: ExposureState) -> bool:
    return acs_product.flats(state) == ("PFLTFILE",) and not acs_product.other_flats(state)


EXPOSURE = Phase(
    "exposure",
    (
        Step("check_exposure", acs_ccd.check_exposure, prepares=True),
        Step(
            "select_amplifier",
            acs_ccd.select_amplifier,
            references=("CCDTAB",),
            gives=("ccd",),
            prepares=True,
        ),
        Step(
            "select_overscan",
            acs_ccd.select_overscan_region,
            optional=("OSCNTAB",),
            needs=("ccd",),
            gives=("overscan",),
            prepares=True,
        ),
        Step(
            "flag_pixels",
            acs_ccd.flag_pixels,
            switch="DQICORR",
            optional=("BPIXTAB",),
            needs=("ccd",),
        ),
        Step("subtract_bias", acs_ccd.subtract_bias, switch="BIASCORR", references=("BIASFILE",)),
        Step("convert_to_electrons", acs_ccd.to_electrons, needs=("ccd",), gives=("electrons",)),
        Step(
            "subtract_bias_level",
            acs_ccd.subtract_bias_level,
            switch="BLEVCORR",
            references=("OSCNTAB",),
            parameters=BiasLevelParameters(),
            needs=("ccd", "overscan", "electrons"),
            headline="",
        ),
        Step("update_dark_time", acs_ccd.update_dark_time, needs=("ccd",)),
        Step(
            "flag_full_well",
            acs_ccd.flag_saturated_pixels,
            optional=("SATUFILE",),
            parameters=FullWellParameters(),
            needs=("overscan", "electrons"),
        ),
        Step(
            "initialise_error",
            acs_ccd.initialise_error,
            needs=("ccd", "electrons"),
            gives=("error",),
        ),
        Step("trim_overscan", acs_ccd.trim, needs=("overscan", "error"), gives=("trimmed",)),
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
        Step("repeat_ccd_history", acs_ccd.repeat_ccd_history, needs=("ccd",)),
        Step(
            "subtract_dark",
            acs_product.subtract_dark,
            switch="DARKCORR",
            references=("DARKFILE",),
            needs=("trimmed", "electrons"),
        ),
        Step(
            "subtract_flash",
            acs_product.subtract_flash,
            switch="FLSHCORR",
            references=("FLSHFILE",),
            needs=("trimmed", "electrons"),
        ),
        Step(
            "divide_flat",
            acs_product.divide_flat,
            switch="FLATCORR",
            references=("PFLTFILE",),
            optional=("DFLTFILE",),
            needs=("trimmed", "electrons"),
        ),
        Step("name_photmode", acs_product.name_photmode, gives=("photmode",)),
        Step(
            "add_photometry",
            acs_product.add_photometry,
            switch="PHOTCORR",
            references=("IMPHTTAB",),
            needs=("photmode",),
        ),
        Step("measure_statistics", acs_product.measure_statistics, needs=("trimmed",)),
        Step("finish_exposure", acs_product.finish_exposure, switch="EXPSCORR"),
    ),
)

FUSIONS = (
    Fusion(
        ("subtract_bias", "convert_to_electrons"),
        _bias_and_gain,
        (
            lambda state, _image: state,
            lambda state, image: acs_ccd.mark_electrons(state.with_image(image)),
        ),
        _is_raw,
    ),
    Fusion(
        (
            "subtract_bias_level",
            "update_dark_time",
            "flag_full_well",
            "initialise_error",
            "trim_overscan",
        ),
        _level_to_error,
        (
            lambda state, made: acs_ccd.record_level(state, made.level),
            lambda state, _made: acs_ccd.update_dark_time(state),
            lambda state, _made: state.with_notes(*acs_ccd.full_well_history(state)),
            lambda state, _made: state.with_notes(acs_ccd.ERROR_INITIALISED),
            lambda state, made: acs_ccd.record_trim(state, made.image),
        ),
        _is_plain_frame,
    ),
    Fusion(
        ("subtract_dark", "divide_flat"),
        _dark_and_flat,
        (
            lambda state, made: acs_product.record_dark(state, made.mean_dark),
            lambda state, made: acs_ccd.mark_electrons(state.with_image(made.image)),
        ),
        _has_one_flat,
    ),
)

RECIPE = Recipe(
    name="acs_hrc",
    instrument="ACS",
    detector="HRC",
    phases=(EXPOSURE, COMBINE, PRODUCT),
    refuses=refuses,
    fusions=FUSIONS,
    other_switches=(*NOT_HERE, *LEFT_ALONE),
    alike=acs_rejection.ALIKE,
)
