"""Steps of ACS CCD exposures without overscan: from the trimmed image to the product.

The keywords and HISTORY lines are those of calacs (acs2d). The array steps themselves are in
:mod:`calib.steps`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from calib.errors import DataError, MissingReference
from calib.image import Image
from calib.instruments.acs_ccd import by_chip
from calib.instruments.acs_tables import photometry_rows
from calib.instruments.row_work import RowFunction, RowWork
from calib.instruments.state import Chip, ExposureState, single
from calib.steps.dark import Subtracted
from calib.steps.dark import subtract_dark as subtract_dark_image
from calib.steps.flash import mean_by_rows
from calib.steps.flash import subtract_flash as subtract_flash_image
from calib.steps.photometry import find_row, interpolate, parse_photmode
from calib.steps.photometry import name_photmode as photmode_of
from calib.steps.statistics import (
    Range,
    Statistics,
    measure_rows,
    new_row_statistics,
    summarise,
)
from calib.steps.totals import Totals, new_totals
from calib.switches import read_number

# Takes image, rates, seconds and the mask of serious flags.
SubtractScaled = Callable[[Image, Image, float, int], Subtracted]

PHOTOMETRY = {
    "PHOTFLAM": "inverse sensitivity",
    "PHOTPLAM": "pivot wavelength",
    "PHOTBW": "RMS bandwidth",
}

MEANDARK = {"MEANDARK": "mean of dark values subtracted"}
MEANFLSH = {"MEANFLSH": "mean of post-flash values subtracted"}

# Both WFC chips go by the name of chip 1 (calacs photmode).
IN_PHOTMODE = {"WFC": "WFC1"}

# Written by calacs where the IMPHTTAB would have to be extrapolated (getphttab).
NOT_COVERED = -9999.0


def subtract_dark(state: ExposureState) -> RowWork:
    """Subtract the superdark times DARKTIME (DARKCORR)."""
    return subtract_scaled_dark(state, dark_seconds(state))


def subtract_scaled_dark(state: ExposureState, seconds: float) -> RowWork:
    """Subtract the superdark times so many seconds, and write MEANDARK."""
    rows, totals = _subtract_scaled(state, "DARKFILE", seconds, subtract_dark_image)
    return RowWork(
        state,
        rows,
        lambda done: done.with_science([{"MEANDARK": single(t.mean)} for t in totals], MEANDARK),
    )


def _subtract_scaled(
    state: ExposureState, keyword: str, seconds: float, subtract: SubtractScaled
) -> tuple[tuple[RowFunction, ...], tuple[Totals, ...]]:
    """Return what subtracts a rate image times so many seconds, and the totals it will fill."""
    totals = tuple(new_totals(chip.shape[0]) for chip in state.chips)

    def rows_of(chip: Chip) -> RowFunction:
        rates, serious = chip.reference(keyword), chip.serious

        def subtract_rows(image: Image, first: int) -> Image:
            end = first + image.shape[0]
            image, found = subtract(image, rates.rows(first, end), seconds, serious)
            totals[chip.index].put(first, found)
            return image

        return subtract_rows

    return by_chip(state, rows_of), totals


def dark_seconds(state: ExposureState) -> float:
    """Return DARKTIME.

    Raises
    ------
    DataError
        It is no number, or negative.
    """
    seconds = state.number("DARKTIME")
    if seconds < 0:
        raise DataError("DARKTIME is not usable", expected="seconds >= 0", found=seconds)
    return seconds


def subtract_flash(state: ExposureState) -> RowWork:
    """Subtract the post-flash times FLASHDUR (FLSHCORR); skipped where FLASHDUR is not positive."""
    seconds = state.number("FLASHDUR")
    if not seconds > 0:
        note = "Post-flash exposure was 0 seconds. FLSHCORR not performed."
        return RowWork(state.with_history(note).skip("FLASHDUR is not positive"))
    if state.value("FLASHSTA") == "ABORTED":
        state = state.with_history("Post-flash STATUS was ABORTED. Post-flash may be compromised.")
    widths = [chip.shape[1] for chip in state.chips]
    rows, totals = _subtract_scaled(state, "FLSHFILE", seconds, subtract_flash_image)

    def record(done: ExposureState) -> ExposureState:
        means = (mean_by_rows(*pair) for pair in zip(totals, widths, strict=True))
        return done.with_science([{"MEANFLSH": single(mean)} for mean in means], MEANFLSH)

    return RowWork(state, rows, record)


def name_photmode(state: ExposureState) -> ExposureState:
    """Write PHOTMODE, whatever PHOTCORR says."""
    detector = str(state.value("DETECTOR"))
    photmode = photmode_of(
        IN_PHOTMODE.get(detector, detector),
        str(state.value("OBSTYPE")),
        [str(state.value("FILTER1")), str(state.value("FILTER2"))],
        state.number("LRFWAVE"),
        state.number("EXPSTART"),
    )
    values = [{"PHOTMODE": photmode}] * len(state.imsets)
    return state.with_science(values, {"PHOTMODE": "list of components"})


def add_photometry(state: ExposureState) -> ExposureState:
    """Write PHOTFLAM, PHOTPLAM, PHOTBW and PHOTZPT from the IMPHTTAB (PHOTCORR).

    Outside the grid of the table, without leave to extrapolate, PHOTCORR is SKIPPED and the
    keywords become -9999, as in calacs.
    """
    mode, values = parse_photmode(str(state.imsets[0].sci["PHOTMODE"]))
    found = {}
    for keyword in PHOTOMETRY:
        table = state.references.table("IMPHTTAB", keyword)
        row = find_row(tuple(photometry_rows(table, keyword)), mode, table.path)
        result = interpolate(row, values, extrapolate=bool(table.primary.get("EXTRAP", False)))
        found[keyword] = single(NOT_COVERED if result is None else result)
        found["PHOTZPT"] = single(_zero_point(table.primary, table.path))
    comments = {**PHOTOMETRY, "PHOTZPT": "zero point"}
    state = state.with_science([found] * len(state.imsets), comments)
    if found["PHOTFLAM"] == single(NOT_COVERED):
        return state.skip("PHOTMODE lies outside the IMPHTTAB")
    return state


def _zero_point(header: Mapping[str, Any], path: str) -> float:
    if "PHOTZPT" not in header:
        raise MissingReference("the IMPHTTAB lacks a keyword", path=path, expected="PHOTZPT")
    return read_number(header, "PHOTZPT")


def measure_statistics(state: ExposureState) -> RowWork:
    """Write the statistics of the good pixels into SCI and ERR."""
    return measure_good_pixels(state, [chip.serious for chip in state.chips])


def measure_good_pixels(state: ExposureState, serious: Sequence[int]) -> RowWork:
    """Write the statistics of the pixels without serious flags; a mask for each image set."""
    rows = tuple(new_row_statistics(chip.shape[0]) for chip in state.chips)

    def rows_of(chip: Chip) -> RowFunction:
        mask = serious[chip.index]

        def measure(image: Image, first: int) -> Image:
            rows[chip.index].put(first, measure_rows(image, mask))
            return image

        return measure

    return RowWork(
        state,
        by_chip(state, rows_of),
        lambda done: record_statistics(done, [summarise(own) for own in rows]),
    )


def record_statistics(state: ExposureState, found: Sequence[Statistics]) -> ExposureState:
    """Write statistics, one per image set."""
    state = state.with_science(
        [{**_range("GOOD", f.sci), **_range("SNR", f.snr), "NGOODPIX": f.good} for f in found]
    )
    if empty := [str(chip.number) for chip in state.chips if not found[chip.index].good]:
        state = state.warn(f"No pixel of chip {', '.join(empty)} is good: statistics are 0.")
    if not_finite := sum(f.not_finite for f in found):
        state = state.warn(f"{not_finite} unflagged pixels are NaN or infinite.")
    return state.with_headers(
        ("err",), [{**_range("GOOD", f.err), "NGOODPIX": f.good} for f in found]
    )


def _range(prefix: str, found: Range) -> dict[str, float | None]:
    """Return the keywords of a range; NaN is left blank."""
    values = zip(("MIN", "MAX", "MEAN"), found, strict=True)
    return {prefix + name: single(value) for name, value in values}


def finish_exposure(state: ExposureState) -> ExposureState:
    """Do nothing but complete EXPSCORR: the exposure has been processed by itself."""
    return state
