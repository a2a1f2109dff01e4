"""Steps of ACS CCD exposures with overscan: from the raw to the trimmed image.

Each function finds what its array step needs (references, table rows, keywords) and writes
the keywords and HISTORY lines that calacs (acsccd) writes; row-wise steps return their work.
The array steps themselves are in :mod:`calib.steps`, the bias level in
:mod:`calib.instruments.acs_bias_level`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from calib.errors import DataError, MissingReference, UnsupportedMode
from calib.image import Image
from calib.instruments.acs_tables import OverscanRow, place_bad_runs, select_ccd, select_overscan
from calib.instruments.row_work import RowFunction, RowWork
from calib.instruments.state import Chip, ExposureState, single
from calib.steps.bad_pixels import (
    flag_bad_pixels,
    flag_no_table_row,
    flag_saturated_samples,
)
from calib.steps.bias import subtract_bias as subtract_bias_image
from calib.steps.dark_time import adjust_dark_time
from calib.steps.full_well import FullWellParameters, flag_full_well, region_to_compare
from calib.steps.gain import to_electrons as convert
from calib.steps.noise import initialise_error as initialise
from calib.steps.noise import initialise_error_of_bias
from calib.steps.readout import Readout
from calib.steps.section import Offset, Region
from calib.steps.sink_pixels import begin_trail, flag_sink_pixels, walks_down
from calib.switches import Switch, caveats, read_number, read_switch

ERROR_INITIALISED = "Uncertainty array initialized."
TRAILED_CHARGE = "PCTECORR was set to OMIT by hand: trailed charge is not corrected."
NO_FULL_WELL = "full-well saturation (256) is not flagged."


def check_exposure(state: ExposureState) -> ExposureState:
    """Refuse an exposure without exposure time, unless it is a bias (IMAGETYP BIAS).

    Says which keywords old raws lack in a way that changes numbers, and that trailed charge
    stays where the raw asks for more.

    calacs goes on with zero; the dark and the rates of such an image mean nothing.

    Raises
    ------
    DataError
        EXPTIME is no number, zero or negative.
    """
    seconds = state.number("EXPTIME")
    is_bias = str(state.primary.get("IMAGETYP", "")).strip().upper() == "BIAS"
    if not (seconds > 0 or (seconds == 0 and is_bias)):
        raise DataError("EXPTIME is not usable", expected="seconds > 0", found=seconds)
    for caveat in (*caveats(state.primary), *omitted_corrections(state)):
        state = state.warn(caveat)
    return state


def omitted_corrections(state: ExposureState) -> tuple[str, ...]:
    """Say that the user set PCTECORR to OMIT where the raw has PERFORM.

    calacs makes an flc file then, which no product of ours can pass for.
    """
    asked = read_switch(state.primary.cards, "PCTECORR") is Switch.PERFORM
    return (TRAILED_CHARGE,) if asked and state.switch("PCTECORR") is Switch.OMIT else ()


def select_amplifiers(state: ExposureState) -> ExposureState:
    """Read the CCD table: gain, read noise and default bias of the amplifiers of each chip.

    Raises
    ------
    MissingReference
        The table is a placeholder (fatal in calacs too), or has no row for the exposure.
    DataError
        Gain or read noise of the row are not usable; an amplifier is unknown.
    """
    if state.references.pedigree("CCDTAB").is_dummy:
        raise MissingReference("the CCD table is a placeholder (PEDIGREE DUMMY)")
    table = state.references.table("CCDTAB")
    ccds = tuple(select_ccd(table, state.primary, chip.number) for chip in state.chips)
    state = dataclasses.replace(state, ccds=ccds)
    keywords = ccds[0].keywords()
    state = state.with_primary({key: single(value) for key, value in keywords.items()})
    return state.with_notes(*ccd_history(state))


def ccd_history(state: ExposureState) -> tuple[str, ...]:
    """Return the HISTORY lines about the CCD table and its row."""
    lines = ("CCD parameters table:", *state.references.history("CCDTAB"))
    description = state.chips[0].ccd.description
    return (*lines, f"    {description}") if description else lines


def repeat_ccd_history(state: ExposureState) -> ExposureState:
    """Write the HISTORY lines of the CCD table once more, as the second program of calacs does."""
    return state.with_notes(*ccd_history(state))


def readout(chip: Chip) -> Readout:
    """Return which amplifier reads which columns of an image set."""
    return chip.ccd.readout(chip.shape[1], chip.mapping.ltv[0])


def select_overscan_region(state: ExposureState) -> ExposureState:
    """Find the overscan of a raw image in OSCNTAB; none for a size that the table lacks.

    Raises
    ------
    MissingReference
        The table is a placeholder.
    """
    if not state.references.is_named("OSCNTAB"):
        return state
    if state.references.pedigree("OSCNTAB").is_dummy:
        raise MissingReference("the overscan table is a placeholder (PEDIGREE DUMMY)")
    table = state.references.table("OSCNTAB")
    rows = tuple(select_overscan(table, c.ccd, readout(c), c.shape) for c in state.chips)
    return dataclasses.replace(state, overscans=rows)


def flag_pixels(state: ExposureState) -> RowWork:
    """Flag saturated samples and bad pixels (DQICORR).

    Without a bad pixel table, or with a placeholder, saturation alone is flagged; a
    placeholder makes the switch SKIPPED (calacs dqiHistory).
    """
    rows = tuple(_flag_rows(chip) for chip in state.chips)
    state = state.with_notes("  values checked for saturation")
    if not state.references.is_named("BPIXTAB"):
        return RowWork(state, rows)
    if not state.references.is_usable("BPIXTAB"):
        return RowWork(state.skip("dummy"), rows)
    return RowWork(state.with_notes("  DQ array initialized ..."), rows)


def _flag_rows(chip: Chip) -> RowFunction:
    limit, flag_table = chip.ccd.saturation, bad_pixel_rows(chip, chip.state.primary)

    def flag(image: Image, first: int) -> Image:
        return flag_table(flag_saturated_samples(image, limit), first)

    return flag


def bad_pixel_rows(chip: Chip, header: Mapping[str, Any]) -> RowFunction:
    """Return what flags rows of an image set as BPIXTAB says; nothing without a usable one.

    Parameters
    ----------
    header
        CCDAMP and CCDGAIN, which the rows of the table are compared with.
    """
    references = chip.state.references
    if not references.is_usable("BPIXTAB"):
        return lambda image, _first: image
    mapping = chip.mapping
    offset = (mapping.ltv[0] + mapping.ltm[0] - 1, mapping.ltv[1] + mapping.ltm[1] - 1)
    placed = place_bad_runs(references.table("BPIXTAB"), header, chip.number, offset)
    if not len(placed):
        return flag_no_table_row
    return lambda image, first: flag_bad_pixels(image, placed, first)


def subtract_bias(state: ExposureState) -> RowWork:
    """Subtract the superbias in DN (BIASCORR)."""

    def rows_of(chip: Chip) -> RowFunction:
        bias = chip.reference("BIASFILE")
        return lambda image, first: subtract_bias_image(
            image, bias.rows(first, first + image.shape[0])
        )

    return RowWork(state, by_chip(state, rows_of))


def by_chip(
    state: ExposureState, rows_of: Callable[[Chip], RowFunction]
) -> tuple[RowFunction, ...]:
    """Return the row function of each image set."""
    return tuple(rows_of(chip) for chip in state.chips)


def to_electrons(state: ExposureState) -> RowWork:
    """Convert DN to electrons, unless BUNIT says that it has been done."""
    if in_electrons(state):
        return RowWork(state)

    def rows_of(chip: Chip) -> RowFunction:
        gain = readout(chip).per_column("gain", chip.shape[1])
        return lambda image, _first: convert(image, gain)

    return RowWork(mark_electrons(state), by_chip(state, rows_of))


def in_electrons(state: ExposureState) -> bool:
    """Whether the pixels are in electrons (calacs compares the first six letters)."""
    return str(state.imsets[0].sci.get("BUNIT", "")).strip().upper().startswith("ELECTR")


def mark_electrons(state: ExposureState) -> ExposureState:
    """Write the unit into the headers of SCI and ERR."""
    return state.with_headers(("sci", "err"), [{"BUNIT": "ELECTRONS"}] * len(state.imsets))


def update_dark_time(state: ExposureState) -> ExposureState:
    """Rewrite DARKTIME as the superdarks are made for.

    A state that has been trimmed has been through this: nothing is added twice.

    Raises
    ------
    DataError
        A keyword is no number.
    MissingReference
        The overhead of the CCD table is none.
    """
    if is_trimmed(state):
        return state
    aperture = str(state.value("APERTURE")) if state.value("SUBARRAY") else None
    seconds = adjust_dark_time(
        state.number("DARKTIME"),
        state.number("EXPSTART"),
        state.chips[0].ccd.overheads,
        flashed=state.number("FLASHDUR") > 0 and state.value("FLASHSTA") == "SUCCESSFUL",
        aperture=aperture,
    )
    if not math.isfinite(seconds):
        raise MissingReference(
            "the CCD table has an overhead that is no number",
            path=str(state.references.path("CCDTAB")),
            expected="OVRHFLS, OVRHUFLS in seconds",
            found=state.chips[0].ccd.overheads,
        )
    return state.with_primary(
        {"DARKTIME": single(seconds)}, {"DARKTIME": "seconds of dark current"}
    )


def flag_saturated_pixels(state: ExposureState, parameters: FullWellParameters) -> RowWork:
    """Flag pixels above the full well, where BIASCORR and BLEVCORR have been done.

    SATUFILE came in 2020. calacs 10.3 and later stop where it is not named and BIASCORR is
    PERFORM; earlier ones compared raw values with one number. Contexts and headers of before
    know no such file, and their exposures shall be calibrated: then nothing is flagged, and
    log and HISTORY say so. A file that is named must exist; one that is a placeholder counts
    as none.
    """
    if not can_flag_full_well(state):
        return RowWork(state)
    if not state.references.is_named("SATUFILE"):
        return RowWork(state.warn(f"No SATUFILE: {NO_FULL_WELL}"))
    if not state.references.is_usable("SATUFILE"):
        return RowWork(state.warn(f"SATUFILE is a placeholder: {NO_FULL_WELL}"))

    def rows_of(chip: Chip) -> RowFunction:
        limit = chip.reference("SATUFILE")
        region = region_to_test(chip, limit.offset, parameters)

        def flag(image: Image, first: int) -> Image:
            here = region._replace(y0=region.y0 - first, y1=region.y1 - first)
            return flag_full_well(image, limit.signal(first, first + image.shape[0]), here)

        return flag

    return RowWork(state.with_notes(*full_well_history(state)), by_chip(state, rows_of))


def region_to_test(chip: Chip, offset: Offset, parameters: FullWellParameters) -> Region:
    """Return the pixels that are compared with the saturation image, which lies at `offset`."""
    row = overscan_or_none(chip)
    if parameters.whole_subarray:
        return row.science_region(chip.shape)
    return region_to_compare(row.trim_x, row.trim_y, chip.shape, offset)


def overscan_or_none(chip: Chip) -> OverscanRow:
    """Return the overscan, of nothing where OSCNTAB has no row: calacs trims no pixel then."""
    return chip.overscan or OverscanRow((0, 0), (0, 0), ())


def can_flag_full_well(state: ExposureState) -> bool:
    """Whether bias and bias level are subtracted and the image still has its raw size."""
    done = all(state.switch(key) is Switch.COMPLETE for key in ("BIASCORR", "BLEVCORR"))
    return done and not is_trimmed(state)


def full_well_history(state: ExposureState) -> tuple[str, ...]:
    """Return the HISTORY lines about the saturation image."""
    return ("Full-well saturation flagged.", *state.references.history("SATUFILE"))


def initialise_error(state: ExposureState) -> RowWork:
    """Fill the errors, once: HISTORY tells whether it has been done.

    Targets whose name begins with BIAS get the read noise alone, as in calacs.
    """
    if error_is_initialised(state):
        return RowWork(state)
    fill = initialise
    if str(state.value("TARGNAME")).startswith("BIAS"):
        fill = initialise_error_of_bias

    def rows_of(chip: Chip) -> RowFunction:
        noise = readout(chip).per_column("read_noise", chip.shape[1])
        return lambda image, _first: fill(image, noise)

    return RowWork(state.with_notes(ERROR_INITIALISED), by_chip(state, rows_of))


def error_is_initialised(state: ExposureState) -> bool:
    """Whether an earlier run has filled the errors."""
    before = state.primary.cards.get("HISTORY", ())
    return ERROR_INITIALISED in (*map(str, before), *state.primary.history)


def flag_sinks(state: ExposureState) -> RowWork:
    """Flag sink pixels and the trails behind them with 1024 (SINKCORR)."""
    references = tuple(chip.reference("SNKCFILE") for chip in state.chips)
    downwards = tuple(walks_down(part.image.version) for part in references)

    def rows_of(chip: Chip) -> RowFunction:
        sinks, trail = references[chip.index], begin_trail(chip.shape[1])
        downward = downwards[chip.index]

        def flag(image: Image, first: int) -> Image:
            nonlocal trail
            rows = sinks.signal(first, first + image.shape[0])
            image, trail = flag_sink_pixels(image, rows, trail, downward=downward)
            return image

        return flag

    return RowWork(state, by_chip(state, rows_of), downwards=downwards)


def trim(state: ExposureState) -> RowWork:
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
    regions = tuple(overscan_or_none(chip).science_region(chip.shape) for chip in state.chips)
    if state.overscans:
        state = record_trim(state, regions)
    for chip in state.chips:
        if max(chip.mapping.ltv) > 0:
            raise UnsupportedMode(
                "the image still has overscan, and OSCNTAB has no row for its size",
                expected="LTV1, LTV2 <= 0",
                found=f"chip {chip.number}: {chip.mapping.ltv}",
            )
    return RowWork(state, regions)


def record_trim(state: ExposureState, regions: tuple[Region, ...]) -> ExposureState:
    """Write CRPIX, LTV and the size that belong to the trimmed pixels."""
    for name in ("sci", "err", "dq"):
        moved = []
        for imset, region in zip(state.imsets, regions, strict=True):
            header = getattr(imset, name)
            shifts = {
                "CRPIX1": region.x0,
                "CRPIX2": region.y0,
                "LTV1": region.x0,
                "LTV2": region.y0,
            }
            moved.append(
                {
                    keyword: read_number(header, keyword) - shift
                    for keyword, shift in shifts.items()
                    if header.get(keyword) is not None
                }
            )
        state = state.with_headers((name,), moved)
    shapes = tuple((region.y1 - region.y0, region.x1 - region.x0) for region in regions)
    state = state.with_science([{"SIZAXIS1": nx, "SIZAXIS2": ny} for ny, nx in shapes])
    return dataclasses.replace(state, shapes=shapes)


def is_trimmed(state: ExposureState) -> bool:
    """Whether the errors exist and the overscan is gone: the state of a later start."""
    return error_is_initialised(state) and not any(state.overscans)
