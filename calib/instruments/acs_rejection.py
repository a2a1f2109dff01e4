"""Combination of ACS CCD exposures: CRREJTAB, headers of the product, marks in the exposures.

The keywords are those of calacs (acsrej); the array step is in :mod:`calib.steps.cosmic_rays`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from calib.errors import DataError, MissingReference
from calib.fitsfile import Table
from calib.instruments.state import Combination, ExposureState, single
from calib.steps.cosmic_rays import (
    Combined,
    Rejection,
    combine_exposures,
    mark_rejected,
    masked_columns,
    running_total,
    spoil_first_error,
)

IMSET_EXTENSIONS = 3  # SCI, ERR, DQ
FLASH_TOLERANCE = 1e-5  # of FLASHDUR / EXPTIME: what 32-bit keywords can hold, and some room

# Exposures differ in these only by mistake; what is combined must not.
ALIKE = (
    "INSTRUME", "DETECTOR", "CCDAMP", "CCDGAIN", "FILTER1", "FILTER2", "OBSTYPE", "SUBARRAY",
    "DQICORR", "BIASCORR", "BLEVCORR", "FLSHCORR",
)  # fmt: skip

COMMENTS = {
    "SKYSUM": "Total sky level (electrons)",
    "REJ_RATE": "Cosmic ray impact rate (pixels/sec)",
    "DARKTIME": "Cumulative dark time in seconds",
    "FLASHDUR": "Cumulative exposure time in seconds",
    "TEXPTIME": "Total exposure time in seconds",
    "INITGUES": "first guess of a pixel: min or med",
    "SKYSUB": "sky level that was taken off: mode or none",
    "CRSIGMAS": "limits of the passes [sigma]",
    "MEANEXP": "mean exposure time in seconds",
    "CRRADIUS": "neighbours so far from a cosmic ray are tested",
    "CRTHRESH": "their limit, as a part of CRSIGMAS",
    "SCALENSE": "noise in per cent of the signal",
    "BADINPDQ": "flags whose pixels were not used",
    "CRMASK": "cosmic rays are flagged in the exposures",
}


@dataclass(frozen=True)
class RejectionParameters:
    """Which traps of the program are avoided; the numbers come from CRREJTAB.

    Attributes
    ----------
    whole_mask
        Mark cosmic rays in all columns of the exposures
        (:func:`calib.steps.cosmic_rays.masked_columns`).
    keep_first_error
        Leave the error of the first pixel
        (:func:`calib.steps.cosmic_rays.spoil_first_error`).
    """

    whole_mask: bool = False
    keep_first_error: bool = False


@dataclass(frozen=True)
class RejectionRow:
    """A row of CRREJTAB: parameters, whether exposures are marked, and how headers say it."""

    rejection: Rejection
    marks_exposures: bool
    keywords: dict[str, Any]


def combine(states: Sequence[ExposureState], parameters: RejectionParameters) -> Combination:
    """Combine exposures and mark their cosmic rays (CRCORR, RPTCORR).

    Raises
    ------
    MissingReference
        CRREJTAB is a placeholder, or has no usable row for so many or so long exposures.
    DataError
        The exposures cannot be combined.
    """
    seconds = [float(state.value("EXPTIME")) for state in states]
    _check_flash(states)
    row = read_row(states[0], len(states), float(np.float32(np.mean(seconds))))
    bias_or_dark = str(states[0].primary.get("IMAGETYP", "")).strip().upper() in {"BIAS", "DARK"}
    images = [state.images[0] for state in states]
    combined = combine_exposures(images, seconds, row.rejection, use_excluded=bias_or_dark)
    image = combined.image
    if not parameters.keep_first_error:
        image = dataclasses.replace(image, err=spoil_first_error(image.err))
    product = record(states, combined, row).with_images([image])
    return Combination(product, _mark(states, combined, row, parameters))


def read_row(state: ExposureState, count: int, seconds: float) -> RejectionRow:
    """Return the row of CRREJTAB for so many exposures of this mean exposure time."""
    if state.references.pedigree("CRREJTAB").is_dummy:
        raise MissingReference("CRREJTAB is a placeholder (PEDIGREE DUMMY)")
    return select_row(state.references.table("CRREJTAB"), count, seconds)


def select_row(table: Table, count: int, seconds: float) -> RejectionRow:
    """Select by number of exposures and mean exposure time.

    CRSPLIT must be the number, or the largest of the table where there are more exposures.
    Of these rows the one with the nearest MEANEXP that is not below the mean exposure time
    counts; the last one of equals.

    Raises
    ------
    MissingReference
        No row fits, a column is absent, or a value has no meaning.
    """
    splits, means = table.column("CRSPLIT"), table.column("MEANEXP").astype(np.float64)
    wanted = min(count, int(splits.max(initial=0)))
    fits = np.flatnonzero((splits == wanted) & (means >= seconds))
    if fits.size == 0:
        raise MissingReference(
            "CRREJTAB has no row for these exposures",
            path=table.path,
            expected=f"CRSPLIT={wanted} and MEANEXP >= {seconds:g}",
            found=sorted(set(zip(splits.tolist(), means.tolist(), strict=True))),
        )
    nearest = fits[means[fits] == means[fits].min()][-1]
    return _read_row(table, int(nearest), seconds)


def _read_row(table: Table, row: int, seconds: float) -> RejectionRow:
    def number(name: str) -> float:
        return float(np.float32(table.column(name)[row]))

    def word(name: str, allowed: tuple[str, ...]) -> Any:
        found = str(table.column(name)[row]).strip().lower()
        return found if found in allowed else _refuse(table, name, found, " or ".join(allowed))

    marks = bool(table.column("CRMASK")[row])
    text = str(table.column("CRSIGMAS")[row]).strip()
    rejection = Rejection(
        sigmas=_sigmas(table, text),
        radius=number("CRRADIUS"),
        threshold=number("CRTHRESH"),
        scale_noise=float(np.float32(number("SCALENSE") / 100)),
        bad=int(table.column("BADINPDQ")[row]),
        first_guess=word("INITGUES", ("min", "med")),
        sky=word("SKYSUB", ("mode", "none")),
    )
    keywords = {
        "INITGUES": rejection.first_guess,
        "SKYSUB": rejection.sky,
        "CRSIGMAS": text,
        "MEANEXP": single(seconds),
        "CRRADIUS": single(rejection.radius),
        "CRTHRESH": single(rejection.threshold),
        "SCALENSE": single(number("SCALENSE")),
        "BADINPDQ": rejection.bad,
        "CRMASK": marks,
    }
    return RejectionRow(rejection, marks, keywords)


def _sigmas(table: Table, text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(np.float32(part)) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or not all(math.isfinite(value) and value > 0 for value in found):
        _refuse(table, "CRSIGMAS", text, "positive numbers such as 6.5,5.5,4.5")
    return found


def _refuse(table: Table, column: str, found: str, expected: str) -> None:
    raise MissingReference(
        f"{column} of CRREJTAB has no known value", path=table.path, expected=expected, found=found
    )


def record(states: Sequence[ExposureState], combined: Combined, row: RejectionRow) -> ExposureState:
    """Return the first exposure with the keywords of the product.

    SKYSUM and REJ_RATE count electrons and pixels (neighbours of cosmic rays too) per second.
    """
    sky = float(running_total(np.array(combined.skies, np.float32)))
    rate = np.float32(combined.rejected.sum()) / np.float32(combined.seconds)
    values = {
        "TEXPTIME": single(combined.seconds),
        "SKYSUM": single(sky),
        "REJ_RATE": single(float(rate)),
        **row.keywords,
        **_times(states, combined.seconds),
        "NEXTEND": IMSET_EXTENSIONS * len(states[0].imsets),
    }
    warnings = dict.fromkeys(line for state in states for line in state.warnings)
    names = " ".join(state.dataset for state in states)
    product = dataclasses.replace(states[0], warnings=tuple(warnings))
    product = product.with_primary(values, COMMENTS).with_notes(f"  combined: {names}")
    return product.with_science([{"NCOMBINE": len(states)}])


def _times(states: Sequence[ExposureState], seconds: float) -> dict[str, Any]:
    """Return sums of times, first start and last end.

    FLASHDUR is summed only where the flash will be subtracted, otherwise it becomes 0.
    """
    flashed = states[0].switch("FLSHCORR") == "PERFORM"
    flashes = [float(state.value("FLASHDUR")) for state in states] if flashed else [0.0]
    values = {
        "EXPTIME": single(seconds),
        "DARKTIME": single(sum(float(state.value("DARKTIME")) for state in states)),
        "FLASHDUR": single(sum(flashes)),
    }
    for keyword, choose in (("EXPSTART", min), ("EXPEND", max)):
        if all(keyword in state.primary for state in states):
            days = choose(float(state.primary[keyword]) for state in states)
            values[keyword] = float(f"{days:.12E}")  # as calacs writes 64-bit numbers
    return values


def _check_flash(states: Sequence[ExposureState]) -> None:
    """Refuse exposures that were flashed differently: one flash image is subtracted."""
    if states[0].switch("FLSHCORR") != "PERFORM":
        return
    currents = {str(state.primary.get("FLASHCUR", "")).strip() for state in states}
    ratios = [float(state.value("FLASHDUR")) / float(state.value("EXPTIME")) for state in states]
    if len(currents) > 1 or max(ratios) - min(ratios) > FLASH_TOLERANCE * max(ratios):
        raise DataError(
            "exposures to be combined were flashed differently",
            expected="one FLASHCUR and one FLASHDUR / EXPTIME",
            found=f"{', '.join(sorted(currents))}; {', '.join(f'{r:g}' for r in ratios)}",
        )


def _mark(
    states: Sequence[ExposureState],
    combined: Combined,
    row: RejectionRow,
    parameters: RejectionParameters,
) -> tuple[ExposureState, ...]:
    """Return the exposures with 8192 where a cosmic ray was found, if CRMASK says so."""
    if not row.marks_exposures:
        return tuple(states)
    width = states[0].images[0].shape[1]
    columns = width if parameters.whole_mask else masked_columns(width)
    return tuple(
        state.with_images(
            [
                dataclasses.replace(
                    state.images[0], dq=mark_rejected(state.images[0], rejected, columns)
                )
            ]
        )
        for state, rejected in zip(states, combined.rejected, strict=True)
    )
