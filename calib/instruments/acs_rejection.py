"""Combination of ACS CCD exposures: CRREJTAB, headers of the product, marks in the exposures.

The keywords are those of calacs (acsrej); the array step is in :mod:`calib.steps.cosmic_rays`.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from calib.errors import DataError, MissingReference
from calib.fitsfile import Table
from calib.image import Flags, Float, Image, Imset
from calib.instruments.row_blocks import each_chip
from calib.instruments.state import Combination, ExposureState, double, single
from calib.steps.cosmic_rays import (
    Combined,
    Rejection,
    combine_exposures,
    keep_last_columns,
    running_total,
    weigh,
)
from calib.switches import read_number

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
        (:func:`calib.steps.cosmic_rays.keep_last_columns`).
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
    """Combine exposures and mark their cosmic rays (CRCORR, RPTCORR), chip by chip.

    The product takes its headers from the first exposure whose EXPTIME is not 0.

    Raises
    ------
    MissingReference
        CRREJTAB is a placeholder, or has no usable row for so many or so long exposures.
    DataError
        The exposures cannot be combined.
    """
    seconds = [state.number("EXPTIME") for state in states]
    weights = weigh(seconds)
    _check_flash(states, weights)
    row = read_row(states[0], len(states), mean_seconds(seconds))
    bias_or_dark = str(states[0].primary.get("IMAGETYP", "")).upper().startswith(("BIAS", "DARK"))

    def combine_chip(imsets: Sequence[Imset]) -> Combined:
        return combine_exposures(
            [imset.image for imset in imsets],
            seconds,
            row.rejection,
            use_excluded=bias_or_dark,
            keep_first_error=parameters.keep_first_error,
        )

    chips = match_chips(states)
    made = each_chip(combine_chip, chips.values(), states[0].threads)
    combined = dict(zip(chips, made, strict=True))
    product = record(states, weights, combined, row)
    if not row.marks_exposures:
        return Combination(product, tuple(states))
    members = [
        mark(state, {chip: made.flags[number] for chip, made in combined.items()}, parameters)
        for number, state in enumerate(states)
    ]
    return Combination(product, tuple(members))


def mean_seconds(seconds: Sequence[float]) -> float:
    """Return the mean exposure time (MEANEXP) in 32 bits."""
    return float(running_total(np.array(seconds, np.float32)) / np.float32(len(seconds)))


def match_chips(states: Sequence[ExposureState]) -> dict[int, tuple[Imset, ...]]:
    """Return the image sets of each chip, in the order of the exposures, by CCDCHIP.

    The chips are in the order of the first exposure; others may have another one.

    Raises
    ------
    DataError
        An exposure has other chips than the first one.
    """
    found = [{chip_of(imset): imset for imset in state.imsets} for state in states]
    for state, imsets in zip(states, found, strict=True):
        if set(imsets) != set(found[0]) or len(state.imsets) != len(states[0].imsets):
            raise DataError(
                "exposures to be combined differ in their chips",
                dataset=state.dataset,
                path=state.path,
                expected=[chip_of(imset) for imset in states[0].imsets],
                found=[chip_of(imset) for imset in state.imsets],
            )
    return {chip: tuple(imsets[chip] for imsets in found) for chip in found[0]}


def chip_of(imset: Imset) -> int:
    """Return CCDCHIP of an image set."""
    return int(read_number(imset.sci, "CCDCHIP"))


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
        found = float(np.float32(table.column(name)[row]))
        return found if math.isfinite(found) else _refuse(table, name, str(found), "a number")

    def text(name: str) -> str:
        return str(table.column(name)[row]).strip()

    marks, guess, sky = bool(table.column("CRMASK")[row]), text("INITGUES"), text("SKYSUB")
    rejection = Rejection(
        sigmas=_sigmas(table, text("CRSIGMAS")),
        radius=number("CRRADIUS"),
        threshold=number("CRTHRESH"),
        scale_noise=float(np.float32(number("SCALENSE") / 100)),
        bad=int(table.column("BADINPDQ")[row]),
        first_guess=_one_of(table, "INITGUES", guess, ("min", "med")),
        sky=_one_of(table, "SKYSUB", sky, ("mode", "none")),
    )
    if rejection.radius < 0:
        _refuse(table, "CRRADIUS", str(rejection.radius), "0 or more")
    keywords = {
        "INITGUES": guess,
        "SKYSUB": sky,
        "CRSIGMAS": text("CRSIGMAS"),
        "MEANEXP": single(seconds),
        "CRRADIUS": single(rejection.radius),
        "CRTHRESH": single(rejection.threshold),
        "SCALENSE": single(number("SCALENSE")),
        "BADINPDQ": rejection.bad,
        "CRMASK": marks,
    }
    return RejectionRow(rejection, marks, keywords)


def _sigmas(table: Table, text: str) -> tuple[float, ...]:
    """Read the limits of the passes: numbers with comma, semicolon, slash or blank between."""
    try:
        found = tuple(float(np.float32(part)) for part in re.split(r" *[,;/ ] *", text))
    except ValueError:
        found = ()
    if not found or not all(math.isfinite(value) and value > 0 for value in found):
        _refuse(table, "CRSIGMAS", text, "positive numbers such as 6.5,5.5,4.5")
    return found


def _one_of(table: Table, column: str, text: str, allowed: tuple[str, ...]) -> Any:
    """Return the word that a text begins with: ``median`` is ``med``, as in the program."""
    known = [word for word in allowed if text.lower().startswith(word)]
    return known[0] if known else _refuse(table, column, text, " or ".join(allowed))


def _refuse(table: Table, column: str, found: str, expected: str) -> NoReturn:
    raise MissingReference(
        f"{column} of CRREJTAB has no known value", path=table.path, expected=expected, found=found
    )


def record(
    states: Sequence[ExposureState],
    weights: Float,
    combined: Mapping[int, Combined],
    row: RejectionRow,
) -> ExposureState:
    """Return the first exposure that counts with pixels and keywords of the product.

    Parameters
    ----------
    weights
        Exposure times, or 1 where all of them are 0.
    combined
        What each chip becomes. SKYSUM [electrons] and REJ_RATE (pixels per second, neighbours
        of cosmic rays too) are those of the first image set: a trap. The program writes the
        primary header with that one, and what it finds for the second is lost.
    """
    base = next(state for state, weight in zip(states, weights, strict=True) if weight > 0)
    first = combined[chip_of(base.imsets[0])]
    values = {
        "SKYSUM": single(first.sky),
        "REJ_RATE": single(float(np.float32(first.rejected) / np.float32(first.seconds))),
        **row.keywords,
        **_times(states),
        "NEXTEND": IMSET_EXTENSIONS * len(combined),
    }
    made = [_renew(i, combined[chip_of(i)].image, len(states)) for i in base.imsets]
    warnings = dict.fromkeys(line for state in states for line in state.warnings)
    product = dataclasses.replace(base.with_imsets(made), warnings=tuple(warnings))
    names = " ".join(state.dataset for state in states)
    product = product.with_primary(values, COMMENTS).with_notes(f"  combined: {names}")
    idle = [s.dataset for s, weight in zip(states, weights, strict=True) if weight == 0]
    return product.warn(f"  left out, as EXPTIME is 0: {' '.join(idle)}") if idle else product


def _renew(imset: Imset, image: Image, count: int) -> Imset:
    return dataclasses.replace(imset, image=image, sci=imset.sci.with_values({"NCOMBINE": count}))


def _times(states: Sequence[ExposureState]) -> dict[str, Any]:
    """Return sums of times, first start and last end.

    FLASHDUR is summed only where the flash will be subtracted, otherwise it becomes 0.
    """
    flashed = states[0].switch("FLSHCORR") == "PERFORM"
    values = {
        "TEXPTIME": _sum(states, "EXPTIME"),
        "EXPTIME": _sum(states, "EXPTIME"),
        "DARKTIME": _sum(states, "DARKTIME"),
        "FLASHDUR": _sum(states, "FLASHDUR") if flashed else 0.0,
    }
    for keyword, choose in (("EXPSTART", min), ("EXPEND", max)):
        if all(state.primary.get(keyword) is not None for state in states):
            days = choose(state.number(keyword) for state in states)
            values[keyword] = double(days)
    return values


def _sum(states: Sequence[ExposureState], keyword: str) -> float | None:
    """Return the sum of a keyword in 32 bits, as a header shows it."""
    values = np.array([state.number(keyword) for state in states], np.float32)
    return single(float(running_total(values)))


def _check_flash(states: Sequence[ExposureState], weights: Float) -> None:
    """Refuse exposures that were flashed differently: one flash image is subtracted."""
    if states[0].switch("FLSHCORR") != "PERFORM":
        return
    currents = {str(state.primary.get("FLASHCUR", "")).strip().upper() for state in states}
    flashes = [state.number("FLASHDUR") for state in states]
    ratios = [
        flash / float(weight) for flash, weight in zip(flashes, weights, strict=True) if weight > 0
    ]
    if len(currents) > 1 or max(ratios) - min(ratios) > FLASH_TOLERANCE * max(ratios):
        raise DataError(
            "exposures to be combined were flashed differently",
            expected="one FLASHCUR and one FLASHDUR / EXPTIME",
            found=f"{', '.join(sorted(currents))}; {', '.join(f'{r:g}' for r in ratios)}",
        )


def mark(
    state: ExposureState, flags: Mapping[int, Flags], parameters: RejectionParameters
) -> ExposureState:
    """Return an exposure with the marked flags of each chip (CRMASK)."""
    imsets = []
    for imset in state.imsets:
        dq = flags[chip_of(imset)]
        if not parameters.whole_mask:
            dq = keep_last_columns(dq, imset.image.dq)
        imsets.append(dataclasses.replace(imset, image=dataclasses.replace(imset.image, dq=dq)))
    return state.with_imsets(imsets)
