"""Steps of ACS CCD exposures without overscan: from the trimmed image to the product.

The keywords and HISTORY lines are those of calacs (acs2d). The array steps themselves are in
:mod:`calib.steps`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from calib.errors import DataError, MissingReference, UnsupportedMode
from calib.instruments.acs_ccd import mark_electrons
from calib.instruments.acs_tables import photometry_rows
from calib.instruments.state import ExposureState, single
from calib.steps.dark import subtract_dark as subtract_dark_image
from calib.steps.flash import subtract_flash as subtract_flash_image
from calib.steps.flat import divide_flat as divide_flat_image
from calib.steps.photometry import find_row, interpolate, parse_photmode
from calib.steps.photometry import name_photmode as photmode_of
from calib.steps.statistics import Range, measure

PHOTOMETRY = {
    "PHOTFLAM": "inverse sensitivity",
    "PHOTPLAM": "pivot wavelength",
    "PHOTBW": "RMS bandwidth",
}

# Both WFC chips go by the name of chip 1 (calacs photmode).
IN_PHOTMODE = {"WFC": "WFC1"}

# Written by calacs where the IMPHTTAB would have to be extrapolated (getphttab).
NOT_COVERED = -9999.0


def subtract_dark(state: ExposureState) -> ExposureState:
    """Subtract the superdark times DARKTIME (DARKCORR)."""
    seconds = dark_seconds(state)
    dark = state.reference("DARKFILE").image
    image, mean = subtract_dark_image(state.image, dark, seconds, state.serious)
    return record_dark(state.with_image(image), mean)


def dark_seconds(state: ExposureState) -> float:
    """Return DARKTIME.

    Raises
    ------
    DataError
        It is NaN, infinite or negative.
    """
    seconds = float(state.value("DARKTIME"))
    if not (math.isfinite(seconds) and seconds >= 0):
        raise DataError("DARKTIME is not usable", expected="seconds >= 0", found=seconds)
    return seconds


def record_dark(state: ExposureState, mean: float) -> ExposureState:
    """Write MEANDARK."""
    return state.with_science(
        {"MEANDARK": single(mean)}, {"MEANDARK": "mean of dark values subtracted"}
    )


def subtract_flash(state: ExposureState) -> ExposureState:
    """Subtract the post-flash times FLASHDUR (FLSHCORR); skipped where FLASHDUR is not positive."""
    seconds = float(state.value("FLASHDUR"))
    if not seconds > 0:
        note = "Post-flash exposure was 0 seconds. FLSHCORR not performed."
        return state.with_history(note).skip("FLASHDUR is not positive")
    if state.value("FLASHSTA") == "ABORTED":
        state = state.with_history("Post-flash STATUS was ABORTED. Post-flash may be compromised.")
    flash = state.reference("FLSHFILE").image
    image, mean = subtract_flash_image(state.image, flash, seconds, state.serious)
    return state.with_image(image).with_science(
        {"MEANFLSH": single(mean)}, {"MEANFLSH": "mean of post-flash values subtracted"}
    )


def divide_flat(state: ExposureState) -> ExposureState:
    """Divide by the pixel-to-pixel flat, then by the delta flat where one is named (FLATCORR).

    Raises
    ------
    UnsupportedMode
        A low-order or coronagraphic flat is named. (calacs divides by an empty low-order
        flat: every pixel gets 512 and no value changes. Real references have N/A.)
    """
    if others := other_flats(state):
        raise UnsupportedMode(
            "this recipe does not apply some flats that are named", found=" ".join(others)
        )
    image = state.image
    for keyword in flats(state):
        image = divide_flat_image(image, state.reference(keyword).image)
    return mark_electrons(state.with_image(image))


def flats(state: ExposureState) -> tuple[str, ...]:
    """Return the keywords of the flats to divide by, in order; placeholders are left out."""
    return tuple(key for key in ("PFLTFILE", "DFLTFILE") if state.references.is_usable(key))


def other_flats(state: ExposureState) -> tuple[str, ...]:
    """Return the named flats that are not applied here."""
    return tuple(key for key in ("LFLTFILE", "CFLTFILE") if state.references.is_named(key))


def name_photmode(state: ExposureState) -> ExposureState:
    """Write PHOTMODE, whatever PHOTCORR says."""
    detector = str(state.value("DETECTOR"))
    photmode = photmode_of(
        IN_PHOTMODE.get(detector, detector),
        str(state.value("OBSTYPE")),
        [str(state.value("FILTER1")), str(state.value("FILTER2"))],
        float(state.value("LRFWAVE")),
        float(state.value("EXPSTART")),
    )
    return state.with_science({"PHOTMODE": photmode}, {"PHOTMODE": "list of components"})


def add_photometry(state: ExposureState) -> ExposureState:
    """Write PHOTFLAM, PHOTPLAM, PHOTBW and PHOTZPT from the IMPHTTAB (PHOTCORR).

    Outside the grid of the table, without leave to extrapolate, PHOTCORR is SKIPPED and the
    keywords become -9999, as in calacs.
    """
    mode, values = parse_photmode(str(state.imset.sci["PHOTMODE"]))
    found = {}
    for keyword in PHOTOMETRY:
        table = state.references.table("IMPHTTAB", keyword)
        row = find_row(tuple(photometry_rows(table, keyword)), mode, table.path)
        result = interpolate(row, values, extrapolate=bool(table.primary.get("EXTRAP", False)))
        found[keyword] = single(NOT_COVERED if result is None else result)
        found["PHOTZPT"] = single(_zero_point(table.primary, table.path))
    state = state.with_science(found, {**PHOTOMETRY, "PHOTZPT": "zero point"})
    if found["PHOTFLAM"] == single(NOT_COVERED):
        return state.skip("PHOTMODE lies outside the IMPHTTAB")
    return state


def _zero_point(header: Mapping[str, Any], path: str) -> float:
    if "PHOTZPT" not in header:
        raise MissingReference("the IMPHTTAB lacks a keyword", path=path, expected="PHOTZPT")
    return float(header["PHOTZPT"])


def measure_statistics(state: ExposureState) -> ExposureState:
    """Write the statistics of the good pixels into SCI and ERR."""
    found = measure(state.image, state.serious)
    state = state.with_science(
        {**_range("GOOD", found.sci), **_range("SNR", found.snr), "NGOODPIX": found.good}
    )
    if found.not_finite:
        state = state.warn(f"{found.not_finite} unflagged pixels are NaN or infinite.")
    return state.with_headers(("err",), {**_range("GOOD", found.err), "NGOODPIX": found.good})


def _range(prefix: str, found: Range) -> dict[str, float | None]:
    """Return the keywords of a range; NaN is left blank."""
    values = zip(("MIN", "MAX", "MEAN"), found, strict=True)
    return {prefix + name: single(value) for name, value in values}


def finish_exposure(state: ExposureState) -> ExposureState:
    """Do nothing but complete EXPSCORR: the exposure has been processed by itself."""
    return state
