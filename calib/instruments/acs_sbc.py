"""The recipe of ACS/SBC exposures, alone and repeated, as calacs does it.

The SBC is a MAMA: it counts photons, has no amplifier, bias or read noise, and does not see
cosmic rays. acs2d calibrates the raw itself; acssum adds up calibrated exposures of one
pointing (ACS Data Handbook 3.4 and 3.5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from calib.errors import DataError
from calib.image import Image
from calib.instruments import acs_flats, acs_linearity, acs_product, acs_sums
from calib.instruments.acs_ccd import (
    ERROR_INITIALISED,
    bad_pixel_rows,
    in_electrons,
    mark_electrons,
)
from calib.instruments.recipe import Kind, Phase, Recipe, Step
from calib.instruments.row_work import RowWork
from calib.instruments.state import ExposureState
from calib.steps.photon_noise import initialise_error_of_counts, is_without_error

# Accepted and left as they are, as in calacs: switches of the CCDs, which the headers of all
# detectors have, and DRIZCORR, which is the next program's.
LEFT_ALONE = (
    "ATODCORR", "BIASCORR", "BLEVCORR", "SINKCORR", "PCTECORR", "FLSHCORR", "SHADCORR",
    "CRCORR", "DRIZCORR",
)  # fmt: skip

# What a MAMA exposure is compared with in BPIXTAB: calacs reads neither for the SBC.
NO_AMPLIFIER = {"CCDAMP": "N/A", "CCDGAIN": 1.0}


def refuses(header: Mapping[str, Any]) -> str | None:
    """Say why the mode of an SBC exposure is not covered; None where it is.

    Parameters
    ----------
    header
        Primary header.
    """
    mode = str(header.get("OBSMODE", "ACCUM")).strip().upper()
    if "ACQ" in mode:
        return f"OBSMODE is {mode}: nothing is calibrated in an acquisition image"
    return None


@dataclass(frozen=True)
class CountedDarkParameters:
    """How the dark is scaled.

    Attributes
    ----------
    with_time
        Scale it with EXPTIME (:func:`dark_seconds` says why not always).
    """

    with_time: bool = False


def check_exposure(state: ExposureState) -> ExposureState:
    """Refuse an exposure without exposure time.

    Raises
    ------
    DataError
        EXPTIME is no number, zero or negative.
    """
    seconds = state.number("EXPTIME")
    if seconds <= 0:
        raise DataError("EXPTIME is not usable", expected="seconds > 0", found=seconds)
    return state


def flag_pixels(state: ExposureState) -> RowWork:
    """Flag bad pixels (DQICORR); nothing saturates an A-to-D converter here."""
    rows = tuple(bad_pixel_rows(chip, NO_AMPLIFIER) for chip in state.chips)
    return RowWork(state.with_notes("  DQ array initialized ..."), rows)


def name_electrons(state: ExposureState) -> ExposureState:
    """Write the unit ELECTRONS: every count is taken for one."""
    return state if in_electrons(state) else mark_electrons(state)


def initialise_error(state: ExposureState) -> RowWork:
    """Fill the errors of image sets in which all are 0."""
    empty = [is_without_error(image) for image in state.images]
    rows = tuple(_fill if fill else _leave for fill in empty)
    return RowWork(state.with_notes(ERROR_INITIALISED) if empty[0] else state, rows)


def _fill(image: Image, _first: int) -> Image:
    return initialise_error_of_counts(image)


def _leave(image: Image, _first: int) -> Image:
    return image


def dark_seconds(state: ExposureState, parameters: CountedDarkParameters) -> float:
    """Return by what the dark is multiplied: 0, which is a trap.

    The program reads DARKTIME for CCDs only. For the SBC it stays 0, so DARKCORR subtracts
    nothing and MEANDARK is 0; only the flags of the dark count. The dark of a MAMA is that of
    the exposure time.
    """
    return state.number("EXPTIME") if parameters.with_time else 0.0


def subtract_dark(state: ExposureState, parameters: CountedDarkParameters) -> RowWork:
    """Subtract the dark times what :func:`dark_seconds` says (DARKCORR)."""
    return acs_product.subtract_scaled_dark(state, dark_seconds(state, parameters))


def measure_statistics(state: ExposureState) -> RowWork:
    """Write the statistics of the good pixels; in a sum every flag counts as serious."""
    serious = [acs_sums.serious_flags(state, chip.serious) for chip in state.chips]
    return acs_product.measure_good_pixels(state, serious)


EXPOSURE = Phase(
    "exposure",
    (
        Step("check_exposure", check_exposure, Kind.HEADERS, prepares=True),
        Step("flag_pixels", flag_pixels, Kind.ROWS, switch="DQICORR", references=("BPIXTAB",)),
        Step(
            "correct_global_linearity",
            acs_linearity.correct_global,
            Kind.ROWS,
            switch="GLINCORR",
            references=("MLINTAB",),
            history=acs_linearity.global_history,
        ),
        Step(
            "flag_local_linearity",
            acs_linearity.flag_locally,
            switch="LFLGCORR",
            references=("MLINTAB",),
            history=acs_linearity.linearity_history,
        ),
        Step("name_electrons", name_electrons, Kind.HEADERS, gives=("electrons",)),
        Step("initialise_error", initialise_error, Kind.ROWS, gives=("error",)),
        Step(
            "subtract_dark",
            subtract_dark,
            Kind.ROWS,
            switch="DARKCORR",
            references=("DARKFILE",),
            parameters=CountedDarkParameters(),
            needs=("electrons",),
        ),
        Step(
            "divide_flat",
            acs_flats.divide_flat,
            Kind.ROWS,
            switch="FLATCORR",
            references=("PFLTFILE",),
            optional=acs_flats.OTHER_FLATS,
            parameters=acs_flats.FlatParameters(),
            needs=("electrons",),
        ),
        Step("name_photmode", acs_product.name_photmode, Kind.HEADERS, gives=("photmode",)),
        Step(
            "add_photometry",
            acs_product.add_photometry,
            Kind.HEADERS,
            switch="PHOTCORR",
            references=("IMPHTTAB",),
            needs=("photmode",),
        ),
    ),
)

COMBINE = Phase(
    "combine",
    (
        Step(
            "add_exposures",
            acs_sums.add_exposures,
            switch="RPTCORR",
            needs=("electrons", "error"),
            headline=acs_sums.COMPLETE,
        ),
    ),
    combines=True,
)

PRODUCT = Phase(
    "product",
    (
        Step("measure_statistics", measure_statistics, Kind.ROWS),
        Step("finish_exposure", acs_product.finish_exposure, Kind.HEADERS, switch="EXPSCORR"),
    ),
)

RECIPE = Recipe(
    name="acs_sbc",
    instrument="ACS",
    detector="SBC",
    phases=(EXPOSURE, COMBINE, PRODUCT),
    refuses=refuses,
    other_switches=LEFT_ALONE,
    alike=acs_sums.ALIKE,
    keeps_exposures=True,
)
