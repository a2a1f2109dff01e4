"""Steps of ACS CCD exposures, one amplifier, with overscan: from the raw to the trimmed image.

Each function finds what its array step needs (references, table rows, keywords), calls it,
and writes the keywords and HISTORY lines that calacs (acsccd) writes. The array steps
themselves are in :mod:`calib.steps`.
"""

from __future__ import annotations

import dataclasses
import math

from calib.errors import DataError, MissingReference, UnsupportedMode
from calib.image import Image
from calib.instruments.acs_tables import (
    CcdParameters,
    OverscanRow,
    select_bad_runs,
    select_ccd,
    select_overscan,
)
from calib.instruments.state import ExposureState, single
from calib.steps.bad_pixels import flag_bad_pixels, flag_no_table_row, flag_saturated_samples
from calib.steps.bias import subtract_bias as subtract_bias_image
from calib.steps.bias_level import (
    BiasLevel,
    BiasLevelParameters,
    Overscan,
    fit_bias_level,
    subtract_default_level,
)
from calib.steps.bias_level import subtract_bias_level as subtract_level
from calib.steps.dark_time import adjust_dark_time
from calib.steps.full_well import FullWellParameters, flag_full_well, region_to_compare
from calib.steps.gain import check_gain
from calib.steps.gain import to_electrons as convert
from calib.steps.noise import check_read_noise, initialise_error_of_bias
from calib.steps.noise import initialise_error as initialise
from calib.steps.section import Region, trim_overscan
from calib.switches import Switch, caveats, read_keyword

ERROR_INITIALISED = "Uncertainty array initialized."
OVERSCAN_SUBTRACTED = "BLEVCORR complete; bias level from overscan was subtracted."
DEFAULT_SUBTRACTED = "BLEVCORR complete, but default bias level was subtracted."


def check_exposure(state: ExposureState) -> ExposureState:
    """Refuse an exposure without exposure time, unless it is a bias (IMAGETYP BIAS).

    Says which keywords old raws lack in a way that changes numbers.

    calacs goes on with zero; the dark and the rates of such an image mean nothing.

    Raises
    ------
    DataError
        EXPTIME is NaN, infinite, zero or negative.
    """
    seconds = float(state.value("EXPTIME"))
    is_bias = str(state.primary.get("IMAGETYP", "")).strip().upper() == "BIAS"
    if not (math.isfinite(seconds) and (seconds > 0 or (seconds == 0 and is_bias))):
        raise DataError("EXPTIME is not usable", expected="seconds > 0", found=seconds)
    for caveat in caveats(state.primary):
        state = state.warn(caveat)
    return state


def select_amplifier(state: ExposureState) -> ExposureState:
    """Read the CCD table: gain, read noise and default bias of the amplifier.

    Raises
    ------
    MissingReference
        The table is a placeholder (fatal in calacs too), or has no row for the exposure.
    DataError
        Gain or read noise of the row are not usable.
    """
    if state.references.pedigree("CCDTAB").is_dummy:
        raise MissingReference("the CCD table is a placeholder (PEDIGREE DUMMY)")
    ccd = select_ccd(state.references.table("CCDTAB"), state.primary, state.chip)
    _check_row(state, ccd)
    state = dataclasses.replace(state, ccd=ccd)
    state = state.with_primary({key: single(value) for key, value in ccd.keywords().items()})
    return state.with_notes(*ccd_history(state))


def _check_row(state: ExposureState, ccd: CcdParameters) -> None:
    """Refuse a row with unusable numbers, naming the table and the amplifier."""
    try:
        check_gain(ccd.gain)
        check_read_noise(ccd.read_noise)
    except DataError as problem:
        raise DataError(
            f"{problem.message}: amplifier {state.primary.get('CCDAMP')} in CCDTAB",
            path=state.references.uses["CCDTAB"].path,
            expected=problem.expected,
            found=problem.found,
        ) from problem


def ccd_history(state: ExposureState) -> tuple[str, ...]:
    """Return the HISTORY lines about the CCD table and its row."""
    lines = ("CCD parameters table:", *state.references.history("CCDTAB"))
    description = state.ccd_row.description
    return (*lines, f"    {description}") if description else lines


def repeat_ccd_history(state: ExposureState) -> ExposureState:
    """Write the HISTORY lines of the CCD table once more, as the second program of calacs does."""
    return state.with_notes(*ccd_history(state))


def select_overscan_region(state: ExposureState) -> ExposureState:
    """Find the overscan of a raw image in OSCNTAB; none for a size that the table lacks."""
    if not state.references.is_named("OSCNTAB"):
        return state
    if state.references.pedigree("OSCNTAB").is_dummy:
        raise MissingReference("the overscan table is a placeholder (PEDIGREE DUMMY)")
    table = state.references.table("OSCNTAB")
    row = select_overscan(table, state.ccd_row, state.chip, state.image.shape)
    return dataclasses.replace(state, overscan=row)


def flag_pixels(state: ExposureState) -> ExposureState:
    """Flag saturated samples and bad pixels (DQICORR).

    Without a bad pixel table, or with a placeholder, saturation alone is flagged; a
    placeholder makes the switch SKIPPED (calacs dqiHistory).
    """
    image = flag_saturated_samples(state.image, state.ccd_row.saturation)
    state = state.with_notes("  values checked for saturation")
    if not state.references.is_named("BPIXTAB"):
        return state.with_image(image)
    if not state.references.is_usable("BPIXTAB"):
        return state.with_image(image).skip("dummy")
    runs = select_bad_runs(state.references.table("BPIXTAB"), state.primary, state.chip)
    mapping = state.pixel_mapping
    offset = (mapping.ltv[0] + mapping.ltm[0] - 1, mapping.ltv[1] + mapping.ltm[1] - 1)
    image = flag_bad_pixels(image, runs, offset) if runs else flag_no_table_row(image)
    return state.with_image(image).with_notes("  DQ array initialized ...")


def subtract_bias(state: ExposureState) -> ExposureState:
    """Subtract the superbias in DN (BIASCORR)."""
    return state.with_image(subtract_bias_image(state.image, state.reference("BIASFILE").image))


def to_electrons(state: ExposureState) -> ExposureState:
    """Convert DN to electrons, unless BUNIT says that it has been done."""
    if in_electrons(state):
        return state
    return mark_electrons(state.with_image(convert(state.image, state.ccd_row.gain)))


def in_electrons(state: ExposureState) -> bool:
    """Whether the pixels are in electrons (calacs compares the first six letters)."""
    return state.image.unit.startswith("ELECTR")


def mark_electrons(state: ExposureState) -> ExposureState:
    """Write the unit into the headers of SCI and ERR."""
    return state.with_headers(("sci", "err"), {"BUNIT": "ELECTRONS"})


def subtract_bias_level(state: ExposureState, parameters: BiasLevelParameters) -> ExposureState:
    """Subtract the bias level of the overscan (BLEVCORR), or that of the CCD table without one."""
    if state.overscan is None:
        level = state.ccd_row.default_level
        image = subtract_default_level(state.image, level)
        return record_default_level(state.with_image(image), level)
    level_found = fit_level(state, parameters)
    image = subtract_level(state.image, level_found, state.overscan.region)
    return record_level(state.with_image(image), level_found)


def overscan_row(state: ExposureState) -> OverscanRow:
    """Return the overscan of the image.

    Raises
    ------
    DataError
        OSCNTAB has no row for it, or has not been read.
    """
    if state.overscan is None:
        raise DataError("the image has no overscan that OSCNTAB knows", found=state.image.shape)
    return state.overscan


def fit_level(state: ExposureState, parameters: BiasLevelParameters) -> BiasLevel:
    """Fit the level of an image with overscan."""
    ccd, row = state.ccd_row, overscan_row(state)
    return fit_bias_level(
        state.image,
        row.overscan,
        row.region,
        state.serious,
        read_noise=ccd.read_noise,
        default=ccd.default_level,
        parameters=parameters,
    )


def record_level(state: ExposureState, level: BiasLevel) -> ExposureState:
    """Write MEANBLEV, BIASLEVx and HISTORY about a fitted level."""
    without = "includes" if level.has_drift else "does not include"
    state = state.with_science(
        {"MEANBLEV": single(level.mean)},
        {"MEANBLEV": "mean of bias levels subtracted in electrons"},
    )
    state = state.with_primary({f"BIASLEV{state.ccd_row.amplifier}": single(level.mean)})
    return state.with_notes(
        OVERSCAN_SUBTRACTED,
        f"BLEVCORR {without} correction for drift along lines.",
        "  Overscan region table:",
    )


def record_default_level(state: ExposureState, level: float) -> ExposureState:
    """Write BIASLEVx and HISTORY about the level of the CCD table."""
    state = state.with_primary({f"BIASLEV{state.ccd_row.amplifier}": single(level)})
    return state.with_notes(
        DEFAULT_SUBTRACTED,
        "BLEVCORR does not include correction for drift along lines.",
        "  Overscan region table:",
    )


def update_dark_time(state: ExposureState) -> ExposureState:
    """Rewrite DARKTIME as the superdarks are made for.

    A state that has been trimmed has been through this: nothing is added twice.
    """
    if is_trimmed(state):
        return state
    seconds = adjust_dark_time(
        float(state.value("DARKTIME")),
        float(state.value("EXPSTART")),
        state.ccd_row.overheads,
        flashed=float(state.value("FLASHDUR")) > 0 and state.value("FLASHSTA") == "SUCCESSFUL",
        subarray=bool(state.value("SUBARRAY")),
    )
    return state.with_primary(
        {"DARKTIME": single(seconds)}, {"DARKTIME": "seconds of dark current"}
    )


def flag_saturated_pixels(state: ExposureState, parameters: FullWellParameters) -> ExposureState:
    """Flag pixels above the full well, where BIASCORR and BLEVCORR have been done.

    SATUFILE came in 2020. calacs 10.3 and later stop where it is not named and BIASCORR is
    PERFORM; earlier ones compared raw values with one number. Contexts and headers of before
    know no such file, and their exposures shall be calibrated: then nothing is flagged, and
    log and HISTORY say so. A file that is named must exist.
    """
    if not can_flag_full_well(state):
        return state
    if not state.references.is_named("SATUFILE"):
        return state.warn("No SATUFILE: full-well saturation (256) is not flagged.")
    limit, offset = state.reference("SATUFILE")
    row = state.overscan or whole_image(state)
    trims = row.overscan
    region = region_to_compare(trims.trim_x, trims.trim_y, state.image.shape, offset)
    if parameters.whole_subarray:
        region = row.region
    image = flag_full_well(state.image, limit, region)
    return state.with_image(image).with_notes(*full_well_history(state))


def whole_image(state: ExposureState) -> OverscanRow:
    """Return an overscan of nothing: calacs trims no pixel where OSCNTAB has no row."""
    ny, nx = state.image.shape
    return OverscanRow(Overscan((0, 0), (0, 0), ()), Region(0, ny, 0, nx))


def can_flag_full_well(state: ExposureState) -> bool:
    """Whether bias and bias level are subtracted and the image still has its raw size."""
    done = all(state.switch(key) is Switch.COMPLETE for key in ("BIASCORR", "BLEVCORR"))
    return done and not is_trimmed(state)


def full_well_history(state: ExposureState) -> tuple[str, ...]:
    """Return the HISTORY lines about the saturation image."""
    return ("Full-well saturation flagged.", *state.references.history("SATUFILE"))


def initialise_error(state: ExposureState) -> ExposureState:
    """Fill the errors, once: HISTORY tells whether it has been done.

    Targets whose name begins with BIAS get the read noise alone, as in calacs.
    """
    if error_is_initialised(state):
        return state
    noise = state.ccd_row.read_noise
    if str(state.value("TARGNAME")).startswith("BIAS"):
        image = initialise_error_of_bias(state.image, noise)
    else:
        image = initialise(state.image, noise)
    return state.with_image(image).with_notes(ERROR_INITIALISED)


def error_is_initialised(state: ExposureState) -> bool:
    """Whether an earlier run has filled the errors."""
    before = state.primary.cards.get("HISTORY", ())
    return ERROR_INITIALISED in (*map(str, before), *state.primary.history)


def trim(state: ExposureState) -> ExposureState:
    """Cut the overscan off and shift the coordinate keywords.

    Raises
    ------
    UnsupportedMode
        BLEVCORR has not been done: the next steps need an image without overscan (calacs
        stops there too).
    """
    if state.switch("BLEVCORR") is not Switch.COMPLETE:
        raise UnsupportedMode(
            "the overscan cannot be removed: BLEVCORR has not been done",
            expected="BLEVCORR PERFORM or COMPLETE",
            found=state.switch("BLEVCORR"),
        )
    if state.overscan is not None:
        trims = state.overscan.overscan
        image = trim_overscan(state.image, trims.trim_x, trims.trim_y)
        state = record_trim(state, image)
    if max(state.pixel_mapping.ltv) > 0:
        raise UnsupportedMode(
            "the image still has overscan, and OSCNTAB has no row for its size",
            found=f"LTV1, LTV2 = {state.pixel_mapping.ltv}",
        )
    return state


def record_trim(state: ExposureState, image: Image) -> ExposureState:
    """Take the trimmed pixels, and write CRPIX, LTV and the size that belong to them."""
    trims = overscan_row(state).overscan
    x, y = trims.trim_x[0], trims.trim_y[0]
    state = state.with_image(image)
    imset = state.imset
    ny, nx = imset.image.shape
    for name in ("sci", "err", "dq"):
        header = getattr(imset, name)
        moved = {
            keyword: float(read_keyword(header, keyword)) - shift
            for keyword, shift in (("CRPIX1", x), ("CRPIX2", y), ("LTV1", x), ("LTV2", y))
            if keyword in header
        }
        state = state.with_headers((name,), moved)
    return state.with_science({"SIZAXIS1": nx, "SIZAXIS2": ny})


def is_trimmed(state: ExposureState) -> bool:
    """Whether the errors exist and the overscan is gone: the state of a later start."""
    return error_is_initialised(state) and state.overscan is None
