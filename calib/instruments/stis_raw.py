"""Steps of STIS CCD exposures before cosmic-ray rejection: from the raw to counts without bias.

Everything stays in DN. Source: calstis (cs1, do2d), STIS Data Handbook 3.4; the array steps
themselves are in :mod:`calib.steps`.
"""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any

import numpy as np

from calib.errors import DataError, MissingReference
from calib.image import Image, Imset
from calib.instruments.state import Chip, ExposureState, single
from calib.instruments.stis_imsets import (
    GOOD,
    change_good,
    change_pixels,
    combined_count,
    good_chips,
    matched_reference,
    number_of,
    with_science,
)
from calib.instruments.stis_overscan import find_overscan
from calib.instruments.stis_tables import (
    StisCcd,
    amplifier,
    detector_shape,
    select_bad_runs,
    select_ccd,
    select_samples,
)
from calib.steps.analog_to_digital import correct_samples as correct_samples_of_image
from calib.steps.analog_to_digital import flag_saturated
from calib.steps.aperture import Aperture, find_lit_region, flag_beyond
from calib.steps.bad_pixels import flag_bad_pixels, place_runs
from calib.steps.bias import subtract_bias as subtract_bias_image
from calib.steps.bias_level import (
    BiasLevel,
    BiasLevelParameters,
    Overscan,
    fit_bias_levels,
    subtract_bias_levels,
    subtract_default_level,
)
from calib.steps.binning import join_flags
from calib.steps.count_noise import initialise_error_of_dn
from calib.steps.high_values import replace_high_values
from calib.steps.readout import Amplifier
from calib.steps.section import PixelMapping, Region, nearest
from calib.switches import Switch, read_number

# A straight line through all row medians: calstis leaves none out.
NO_CLIP = BiasLevelParameters(
    clip_sigma=math.inf, noise_clip=math.inf, truncate_thresholds=False, match_rows=True
)
IMSET_EXTENSIONS = 3  # SCI, ERR, DQ
NO_SKY = ("BIAS", "DARK")  # TARGNAME of exposures with the shutter closed
ARCSEC = 3600.0
EDGE = 1e-3  # detector pixels by which a binned pixel may lie beyond the edge (calstis dodqi)
ERROR_INITIALISED = "Uncertainty array initialized."
_NUMBER = r"(\d+(?:\.\d*)?|\.\d+)"
_FIELD = re.compile(rf"\s*{_NUMBER}\s*[xX]\s*{_NUMBER}")


def check_exposure(state: ExposureState) -> ExposureState:
    """Mark image sets that hold nothing with IMSET_OK = F: they are copied through.

    An image set holds nothing where EXPTIME is 0 or all samples are equal, unless TARGNAME
    is BIAS. CRCORR of a single image set becomes SKIPPED.

    Raises
    ------
    DataError
        An EXPTIME is absent, no number, or negative; no image set holds anything; CRCORR is
        PERFORM and NEXTEND does not count the image sets, so that it would not be done.
    """
    _check_count(state)
    if str(state.primary.get("TARGNAME", "")).strip().upper() != "BIAS":
        for chip in state.chips:
            if reason := why_empty(chip):
                state = _mark_empty(state, chip, reason)
    if not good_chips(state):
        raise DataError(
            "no image set of the exposure holds anything",
            expected="EXPTIME > 0 and samples that differ",
            found=f"{len(state.imsets)} empty image sets",
        )
    if len(state.imsets) == 1 and state.switch("CRCORR") is Switch.PERFORM:
        state = state.with_primary({"CRCORR": str(Switch.SKIPPED)})
        state = state.warn("CRCORR skipped: there is one image set, nothing to compare it with.")
    return state


def _check_count(state: ExposureState) -> None:
    """Refuse a split that would not be combined, as NEXTEND says that it is none."""
    expected = IMSET_EXTENSIONS * len(state.imsets)
    if state.switch("CRCORR") is Switch.PERFORM and state.primary.get("NEXTEND") != expected:
        raise DataError(
            "NEXTEND does not count the image sets of the file",
            expected=f"NEXTEND {expected}",
            found=state.primary.get("NEXTEND", "absent"),
        )


def why_empty(chip: Chip) -> str | None:
    """Say why an image set holds nothing; None where it does.

    Raises
    ------
    DataError
        EXPTIME is absent, no number, or negative.
    """
    seconds, sci = number_of(chip, "EXPTIME"), chip.image.sci
    if seconds < 0:
        raise DataError("EXPTIME is not usable", expected="seconds >= 0", found=seconds)
    if seconds == 0:
        return "EXPTIME is 0"
    return f"all its values are {sci.flat[0]:g}" if sci.min() >= sci.max() else None


def _mark_empty(state: ExposureState, chip: Chip, reason: str) -> ExposureState:
    comment = {GOOD: "is the current imset good?"}
    marked = with_science(chip.imset, {GOOD: False}, comment)
    imsets = [marked if i == chip.index else imset for i, imset in enumerate(state.imsets)]
    return state.with_imsets(imsets).warn(
        f"Image set {chip.imset.version} is copied as it is: {reason}."
    )


def select_ccd_row(state: ExposureState) -> ExposureState:
    """Read the CCD table, and write ATODGAIN and READNSE.

    Raises
    ------
    MissingReference
        The table is a placeholder (fatal in calstis too), or has no usable row.
    """
    if state.references.pedigree("CCDTAB").is_dummy:
        raise MissingReference("the CCD table is a placeholder (PEDIGREE DUMMY)")
    ccd = ccd_of(state)
    lines = ("CCD parameters table:", *state.references.history("CCDTAB"))
    own = (f"    {ccd.description}",) if ccd.description else ()
    values = {"ATODGAIN": single(ccd.gain), "READNSE": single(ccd.read_noise)}
    return state.with_primary(values).with_notes(*lines, *own)


def ccd_of(state: ExposureState) -> StisCcd:
    """Return the row of the CCD table of an exposure."""
    return select_ccd(state.references.table("CCDTAB"), state.primary)


def flag_pixels(state: ExposureState) -> ExposureState:
    """Flag saturated samples, what lies beyond the aperture, and bad pixels (DQICORR).

    Without a bad pixel table, or with a placeholder, the first two alone are flagged; a
    placeholder makes the switch SKIPPED.
    """
    limit = ccd_of(state).saturation
    state = change_pixels(state, lambda chip: _flag_seen(chip, limit))
    if not state.references.is_named("BPIXTAB"):
        return state.with_notes("  values checked for saturation")
    if not state.references.is_usable("BPIXTAB"):
        return state.skip("dummy")
    return change_pixels(state, _flag_bad).with_notes("  DQ array initialized ...")


def _flag_seen(chip: Chip, limit: float) -> Image:
    """Flag what needs no table."""
    image = flag_saturated(chip.image, limit)
    primary = chip.state.primary
    aperture = aperture_of(chip)
    closed = str(primary.get("TARGNAME", "")).strip().upper() in NO_SKY
    if closed or aperture is None or not aperture.leaves_dark:
        return image
    lit = find_lit_region(aperture, chip.mapping)
    return flag_beyond(image, lit, chip.mapping, sides=is_imaging(chip.state))


def is_imaging(state: ExposureState) -> bool:
    """Whether OBSTYPE is IMAGING."""
    return str(state.primary.get("OBSTYPE", "")).strip().upper() == "IMAGING"


def aperture_of(chip: Chip) -> Aperture | None:
    """Return the aperture as APER_FOV writes it, ``28X50``: height and width in arcsec.

    None where it says something else, or where the pixel scale is 0.
    """
    found = _FIELD.match(str(chip.state.primary.get("APER_FOV", "")))
    scales = pixel_scales(chip)
    if found is None or min(scales) <= 0 or min(map(float, found.groups())) <= 0:
        return None
    height, width = map(float, found.groups())
    return Aperture(height, width, *scales)


def pixel_scales(chip: Chip) -> tuple[float, float]:
    """Return arcsec per detector pixel along x and y, from the CD matrix.

    A spectrum has arcsec along one axis only; pixels are taken for square.
    """
    header = {"CD1_1": 1.0, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 1.0, **dict(chip.imset.sci)}
    cd = [[read_number(header, f"CD{i}_{j}") for j in (1, 2)] for i in (1, 2)]
    degrees = np.hypot(cd[0], cd[1])
    if not is_imaging(chip.state):
        across = 0 if header.get("DISPAXIS", 1) == 2 else 1  # noqa: PLR2004 - the second axis
        degrees = np.full(2, abs(cd[across][across]))
    x, y = (float(d) * m * ARCSEC for d, m in zip(degrees, chip.mapping.ltm, strict=True))
    return x, y


def _flag_bad(chip: Chip) -> Image:
    """Flag bad pixels of the table; in a binned image all flags of a bin count."""
    table = chip.state.references.table("BPIXTAB")
    try:
        runs = select_bad_runs(table, chip.state.primary)
        offset, bins = _offset(chip.mapping), chip.mapping.bins
        if bins == (1, 1):
            return flag_bad_pixels(chip.image, place_runs(runs, offset))
        whole = np.zeros(detector_shape(table), np.int16)
        plain = Image(whole.astype(np.float32), whole.astype(np.float32), whole)
        flags = flag_bad_pixels(plain, place_runs(runs, (0, 0))).dq
    except DataError as error:
        error.path = error.path or table.path
        raise
    return _add_binned(chip.image, flags, chip.mapping)


def _offset(mapping: PixelMapping) -> tuple[float, float]:
    """Return LTV for pixels that are counted from 0."""
    x, y = (v + m - 1 for v, m in zip(mapping.ltv, mapping.ltm, strict=True))
    return x, y


def _add_binned(image: Image, flags: Any, mapping: PixelMapping) -> Image:
    """Add flags of the unbinned detector to the pixels that lie on it as a whole."""
    (by_x, by_y), (offset_x, offset_y) = mapping.bins, _offset(mapping)
    columns = _whole_pixels(image.shape[1], offset_x, by_x)
    rows = _whole_pixels(image.shape[0], offset_y, by_y)
    x, y = (
        nearest((span[0] - 0.5 - offset) * by + 0.5)
        for span, offset, by in ((columns, offset_x, by_x), (rows, offset_y, by_y))
    )
    joined = join_flags(flags[y:, x:], by_x, by_y)
    ny, nx = (
        min(span[1] - span[0], size)
        for span, size in zip((rows, columns), joined.shape, strict=True)
    )
    dq = image.dq.copy()
    dq[rows[0] : rows[0] + ny, columns[0] : columns[0] + nx] |= joined[:ny, :nx]
    return dataclasses.replace(image, dq=dq)


def _whole_pixels(size: int, offset: float, by: int) -> tuple[int, int]:
    """Return the first image pixel whose lower edge lies on the detector, and the image's end."""
    edges = (np.arange(size) - 0.5 - offset) * by
    inside = np.flatnonzero(edges + EDGE >= -0.5)  # noqa: PLR2004 - edge of the first pixel
    return (int(inside[0]) if inside.size else size), size


def correct_samples(state: ExposureState) -> ExposureState:
    """Correct the samples of the analog-to-digital converter (ATODCORR)."""
    table = state.references.table("ATODTAB")

    def correct(chip: Chip) -> Image:
        values = select_samples(table, state.primary, chip.imset.sci)
        return correct_samples_of_image(chip.image, values)

    return change_pixels(state, correct)


def subtract_bias_level(state: ExposureState) -> ExposureState:
    """Subtract the bias level of the overscan and cut the overscan off (BLEVCORR).

    An image without overscan gets CCDBIAS of the CCD table, and a warning.
    """
    ccd = ccd_of(state)
    for chip in good_chips(state):
        if overscan_of(chip) is None:
            number = chip.imset.version
            state = state.warn(f"Image set {number} has no overscan: CCDBIAS is subtracted.")
    return change_good(state, lambda chip: _subtract_level(chip, ccd))


def overscan_of(chip: Chip) -> Overscan | None:
    """Return where the overscan of a raw image set lies; None where it has none."""
    return find_overscan(amplifier(chip.state.primary), chip.image.shape, chip.mapping.bins)


def _subtract_level(chip: Chip, ccd: StisCcd) -> Imset:
    overscan, imset = overscan_of(chip), chip.imset
    if overscan is None:
        image = subtract_default_level(imset.image, np.full((), ccd.bias, np.float32))
        return _with_level(dataclasses.replace(imset, image=image), ccd.bias)
    level = fit_level(chip, overscan, ccd)
    image = subtract_bias_levels(imset.image, [level])
    region = overscan.region
    image = image.cut(slice(region.y0, region.y1), slice(region.x0, region.x1))
    trimmed = _shift_headers(dataclasses.replace(imset, image=image), region)
    return _with_level(trimmed, mean_level(level))


def fit_level(chip: Chip, overscan: Overscan, ccd: StisCcd) -> BiasLevel:
    """Fit a line to the row medians of the bias section, and the drift of the virtual overscan.

    No row is left out; hot columns of the virtual overscan are replaced before.
    """
    image = chip.image
    if overscan.has_virtual:
        (x0, x1), (y0, y1) = overscan.virtual_x, overscan.virtual_y
        image = replace_high_values(image, Region(y0, y1 + 1, x0, x1 + 1), ccd.clip)
    reader = Amplifier(amplifier(chip.state.primary), ccd.gain, ccd.read_noise, ccd.bias)
    return fit_bias_levels(image, [overscan], [reader], chip.serious, NO_CLIP)[0]


def mean_level(level: BiasLevel) -> float:
    """Return the mean over rows of the level in the middle column [DN] (MEANBLEV)."""
    region = level.region
    rows = np.arange(region.y0, region.y1, dtype=np.float64)
    middle = region.x0 + (region.x1 - region.x0) // 2
    drift = (middle - level.zero_column) * level.drift
    return float(np.mean((rows - level.middle_row) * level.slope + level.intercept) + drift)


def _with_level(imset: Imset, level: float) -> Imset:
    comment = {"MEANBLEV": "mean of bias levels subtracted"}
    return with_science(imset, {"MEANBLEV": single(level)}, comment)


def _shift_headers(imset: Imset, region: Region) -> Imset:
    """Write CRPIX and LTV that belong to the trimmed pixels."""
    shifts = {"CRPIX1": region.x0, "CRPIX2": region.y0, "LTV1": region.x0, "LTV2": region.y0}
    moved = {}
    for name in ("sci", "err", "dq"):
        header = getattr(imset, name)
        moved[name] = header.with_values(
            {
                keyword: read_number(header, keyword) - shift
                for keyword, shift in shifts.items()
                if header.get(keyword) is not None
            }
        )
    return dataclasses.replace(imset, **moved)


def initialise_error(state: ExposureState) -> ExposureState:
    """Fill the errors of image sets in which all are 0.

    Where BLEVCORR was not done, CCDBIAS is taken off the signal first.
    """
    ccd = ccd_of(state)
    bias = 0.0 if state.switch("BLEVCORR") is Switch.COMPLETE else ccd.bias

    def fill(chip: Chip) -> Image:
        if chip.image.err.any():
            return chip.image
        return initialise_error_of_dn(chip.image, bias, ccd.gain, ccd.read_noise)

    empty = not all(chip.image.err.any() for chip in good_chips(state))
    return change_pixels(state.with_notes(ERROR_INITIALISED) if empty else state, fill)


def subtract_bias(state: ExposureState) -> ExposureState:
    """Subtract the superbias in DN, once for each exposure that was combined (BIASCORR)."""

    def subtract(chip: Chip) -> Image:
        bias = matched_reference(chip, "BIASFILE", average=False)
        count = np.float32(combined_count(chip))
        scaled = dataclasses.replace(bias, sci=bias.sci * count, err=bias.err * count)
        return subtract_bias_image(chip.image, scaled)

    return change_pixels(state, subtract)
