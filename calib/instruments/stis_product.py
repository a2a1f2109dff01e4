"""Steps of STIS CCD exposures after cosmic-ray rejection: from counts to the product.

Everything stays in DN. Source: calstis (cs1, do2d), STIS Data Handbook 3.4; the array steps
themselves are in :mod:`calib.steps`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from calib.errors import MissingReference
from calib.fitsfile import ReferenceImage
from calib.image import Image, Imset
from calib.instruments.acs_product import PHOTOMETRY, record_statistics
from calib.instruments.acs_tables import photometry_rows
from calib.instruments.state import Chip, ExposureState, pixel_mapping, single
from calib.instruments.stis_imsets import (
    WHOLE_CHIP,
    change_good,
    change_pixels,
    check_trimmed,
    combined_count,
    good_chips,
    is_good,
    matched_reference,
    number_of,
    with_science,
)
from calib.instruments.stis_raw import ccd_of, is_imaging
from calib.steps.binning import match_finer
from calib.steps.dark import subtract_dark as subtract_dark_image
from calib.steps.dark_scale import (
    REFERENCE_TEMPERATURE,
    SLOPE,
    housing_factor,
    median_unflagged,
)
from calib.steps.enlargement import enlarge, finer
from calib.steps.flat import divide_flat as divide_flat_image
from calib.steps.occulting_spots import multiply_flat
from calib.steps.photometry import PhotometryRow, find_row, interpolate, same_mode
from calib.steps.section import PixelMapping
from calib.steps.shading import correct_shading as correct_shading_of_image
from calib.steps.statistics import measure
from calib.switches import read_number

# The temperature of the housing means something since the second electronics (calstis
# BEGIN_SIDE2): MJD of 1 July 2001.
SECOND_ELECTRONICS = 52091.0
FLATS = ("PFLTFILE", "DFLTFILE", "LFLTFILE")
MEANDARK = {"MEANDARK": "mean of dark values subtracted"}


def subtract_dark(state: ExposureState) -> ExposureState:
    """Subtract the dark times EXPTIME / gain, scaled with the temperature (DARKCORR).

    EXPTIME, not DARKTIME: the dark of the readout is in the bias.
    """
    gain = ccd_of(state).gain

    def subtract(chip: Chip) -> Imset:
        dark = matched_reference(chip, "DARKFILE", average=False)
        whole = chip.state.references.image("DARKFILE", WHOLE_CHIP)
        factor = temperature_factor(chip, whole) * number_of(chip, "EXPTIME") / gain
        image = subtract_dark_image(chip.image, dark, factor, chip.serious).image
        made = dataclasses.replace(chip.imset, image=image)
        return with_science(made, {"MEANDARK": single(median_unflagged(dark, factor))}, MEANDARK)

    return change_good(state, subtract)


def temperature_factor(chip: Chip, dark: ReferenceImage) -> float:
    """Return by what the dark grows with the temperature of the housing (OCCDHTAV); 1 before 2001.

    REF_TEMP and DRK_VS_T come from the primary header of the dark.
    """
    science = {"EXPSTART": -1.0, "OCCDHTAV": -1.0, **dict(chip.imset.sci)}
    if read_number(science, "EXPSTART") < SECOND_ELECTRONICS:
        return 1.0
    header = {"REF_TEMP": REFERENCE_TEMPERATURE, "DRK_VS_T": SLOPE, **dict(dark.primary)}
    return housing_factor(
        read_number(science, "OCCDHTAV"),
        read_number(header, "REF_TEMP"),
        read_number(header, "DRK_VS_T"),
    )


def divide_flat(state: ExposureState) -> ExposureState:
    """Divide by the product of all flats that are named but placeholders (FLATCORR).

    Raises
    ------
    MissingReference
        None is named, or one does not fit the others or the exposure.
    """
    named = [key for key in FLATS if state.references.is_named(key)]
    if not named:
        raise MissingReference(
            "no flat is named", expected=f"one of {', '.join(FLATS)}", found="none"
        )
    usable = [key for key in named if state.references.is_usable(key)]
    if not usable:
        return state.skip("dummy")
    flat, mapping = product_of_flats(state, usable)

    def divide(chip: Chip) -> Image:
        check_trimmed(chip)
        own = match_finer(flat, mapping, chip.mapping, chip.image.shape, average=True)
        return divide_flat_image(chip.image, own)

    return change_pixels(state, divide)


def product_of_flats(state: ExposureState, keywords: list[str]) -> tuple[Image, PixelMapping]:
    """Return the product of the flats and its mapping; the low-order flat is enlarged to fit.

    Alone, the low-order flat is enlarged to the pixels of the image.

    Raises
    ------
    MissingReference
        Two differ in size.
    """
    images = {key: state.references.image(key, WHOLE_CHIP) for key in keywords}
    first = images[keywords[0]]
    mapping, flat = pixel_mapping(first.header), first.rows(0, first.shape[0])
    if keywords[0] == "LFLTFILE":
        pairs = zip(mapping.bins, good_chips(state)[0].mapping.bins, strict=True)
        by_x, by_y = (max(coarse // fine, 1) for coarse, fine in pairs)
        return enlarge(flat, by_x, by_y, in_pairs=False), finer(mapping, by_x, by_y)
    for key in keywords[1:]:
        flat = multiply_flat(flat, _enlarged(images[key], flat.shape, key))
    return flat, mapping


def _enlarged(image: ReferenceImage, shape: tuple[int, int], keyword: str) -> Image:
    """Return a flat with the size of another one; the low-order one may be smaller."""
    by_y, by_x = (of // own for of, own in zip(shape, image.shape, strict=True))
    may_grow = keyword == "LFLTFILE" or (by_x, by_y) == (1, 1)
    if not may_grow or (image.shape[0] * by_y, image.shape[1] * by_x) != shape:
        raise MissingReference(
            f"{keyword} and the other flats differ in size",
            path=str(image.path),
            expected=shape,
            found=image.shape,
        )
    return enlarge(image.rows(0, image.shape[0]), by_x, by_y, in_pairs=False)


def correct_shading(state: ExposureState) -> ExposureState:
    """Correct for the shutter (SHADCORR); the mean exposure time of what was combined counts.

    Skipped where no image set has a positive exposure time.
    """
    if not any(number_of(chip, "EXPTIME") > 0 for chip in good_chips(state)):
        return state.skip("EXPTIME is not positive")

    def correct(chip: Chip) -> Image:
        shading = matched_reference(chip, "SHADFILE", average=True)
        seconds = number_of(chip, "EXPTIME") / combined_count(chip)
        return correct_shading_of_image(chip.image, shading, seconds)

    return change_pixels(state, correct)


def name_photmode(state: ExposureState) -> ExposureState:
    """Write PHOTMODE, whatever PHOTCORR says: aperture, gain, grating, detector."""
    element = str(state.primary.get("OPT_ELEM", "")).strip()
    words = ["STIS", str(state.value("APERTURE")), f"A2D{int(state.number('CCDGAIN'))}"]
    words += [] if element.startswith("MIR") else [element]
    words += ["CCD"]
    wavelength = state.primary.get("CENWAVE")
    if not is_imaging(state) and isinstance(wavelength, int) and wavelength > 0:
        words.append(str(wavelength))
    photmode = " ".join(word for word in words if word)
    return state.with_primary({"PHOTMODE": photmode}, {"PHOTMODE": "list of components"})


def add_photometry(state: ExposureState) -> ExposureState:
    """Write PHOTFLAM, PHOTPLAM, PHOTBW and PHOTZPT of an image (PHOTCORR); spectra have none.

    Raises
    ------
    MissingReference
        The IMPHTTAB has no row for PHOTMODE.
    """
    if not is_imaging(state):
        return state.skip("OBSTYPE is not IMAGING")
    found: dict[str, Any] = {}
    for keyword in PHOTOMETRY:
        table = state.references.table("IMPHTTAB", keyword)
        rows = tuple(photometry_rows(table, keyword))
        result = _result(state, rows, table.path)
        if result is None:
            return state.skip("EXPSTART lies outside the IMPHTTAB")
        found[keyword] = single(result)
        found["PHOTZPT"] = single(read_number({"PHOTZPT": -21.1, **dict(table.primary)}, "PHOTZPT"))
    return state.with_primary(found, {**PHOTOMETRY, "PHOTZPT": "zero point"})


def _result(state: ExposureState, rows: tuple[PhotometryRow, ...], source: str) -> float | None:
    """Return the value of the mode; tables that follow the sensitivity end it with ``mjd#``."""
    mode = str(state.primary["PHOTMODE"]).lower().replace(" ", ",")
    dated = f"{mode},mjd#"
    wanted = dated if any(same_mode(row.mode, dated) for row in rows) else mode
    days = number_of(good_chips(state)[0], "EXPSTART")
    return interpolate(find_row(rows, wanted, source), {"mjd#": days}, extrapolate=True)


def measure_statistics(state: ExposureState) -> ExposureState:
    """Write the statistics of the good pixels where STATFLAG is T."""
    if state.primary.get("STATFLAG") is not True:
        return state
    found = [measure(chip.image, chip.serious) for chip in state.chips]
    recorded = record_statistics(state, found)
    kept = [
        new if is_good(old) else old for old, new in zip(state.imsets, recorded.imsets, strict=True)
    ]
    return recorded.with_imsets(kept)


def finish_exposure(state: ExposureState) -> ExposureState:
    """Do nothing but complete EXPSCORR: the exposures have been processed by themselves."""
    return state
