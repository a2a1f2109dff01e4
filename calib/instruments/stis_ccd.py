"""The recipe of STIS CCD images: basic two-dimensional calibration, as calstis does it.

Order: calstis cs1, cs2 (cosmic-ray rejection of the exposures of a split) and cs1 again, with
everything in DN (STIS Data Handbook 3.2, figure 3.2). What comes after an image (extraction of
spectra, rectification, wavelengths) is the program's. No product was compared with those of
calstis yet, so ``auto`` takes cs0.e.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calib.instruments import stis_product, stis_raw, stis_rejection
from calib.instruments.recipe import Phase, Recipe, Step
from calib.instruments.stis_overscan import BINS
from calib.switches import Switch, read_number, read_switch

AMPLIFIERS = ("A", "B", "C", "D")

# What comes after the image: spectra, rectified images, sums of repeated exposures.
NOT_HERE = (
    "WAVECORR", "X1DCORR", "X2DCORR", "GEOCORR", "RPTCORR", "BACKCORR", "DISPCORR", "FLUXCORR",
    "HELCORR", "SGEOCORR", "SC2DCORR", "CTECORR", "DOPPCORR", "LORSCORR", "GLINCORR", "LFLGCORR",
)  # fmt: skip

WAVECALS = ("WAVELINE", "WAVEHITM")  # TARGNAME of a wavelength calibration (calstis getkeyinfo1)
PROGRAM = "cs0.e of HSTCAL has it"


def refuses(header: Mapping[str, Any]) -> str | None:
    """Say why the mode of an exposure is not covered; None where it is.

    Parameters
    ----------
    header
        Primary header.
    """
    mode = str(header.get("OBSMODE", "ACCUM")).strip().upper()
    if mode.startswith("ACQ"):
        return f"OBSMODE is {mode}: nothing is calibrated in an acquisition image"
    if str(header.get("TARGNAME", "")).strip().upper() in WAVECALS:
        return f"it is a wavelength calibration: {PROGRAM}"
    amplifier = str(header.get("CCDAMP") or "").strip().upper()
    if amplifier not in AMPLIFIERS:
        return f"CCDAMP is {amplifier or 'absent'}: one of {', '.join(AMPLIFIERS)} is covered"
    bins = tuple(read_number(header, key) for key in ("BINAXIS1", "BINAXIS2"))
    if not set(bins) <= set(BINS):
        return f"the image is binned by {bins[0]:g} and {bins[1]:g}: 1, 2 and 4 are covered"
    if wanted := [name for name in NOT_HERE if read_switch(header, name) is Switch.PERFORM]:
        omit = " ".join(f"--set {name}=OMIT" for name in wanted)
        return f"{', '.join(wanted)} PERFORM: no such step ({PROGRAM}; {omit} goes without)"
    return None


EXPOSURE = Phase(
    "exposure",
    (
        Step("check_exposure", stis_raw.check_exposure, prepares=True),
        Step(
            "select_ccd",
            stis_raw.select_ccd_row,
            references=("CCDTAB",),
            gives=("ccd",),
            prepares=True,
        ),
        Step(
            "flag_pixels",
            stis_raw.flag_pixels,
            switch="DQICORR",
            optional=("BPIXTAB",),
            needs=("ccd",),
        ),
        Step(
            "correct_samples",
            stis_raw.correct_samples,
            switch="ATODCORR",
            references=("ATODTAB",),
        ),
        Step(
            "subtract_bias_level",
            stis_raw.subtract_bias_level,
            switch="BLEVCORR",
            needs=("ccd",),
        ),
        Step("initialise_error", stis_raw.initialise_error, needs=("ccd",), gives=("error",)),
        Step(
            "subtract_bias",
            stis_raw.subtract_bias,
            switch="BIASCORR",
            references=("BIASFILE",),
        ),
    ),
)

COMBINE = Phase(
    "combine",
    (
        Step(
            "reject_cosmic_rays",
            stis_rejection.combine_split,
            switch="CRCORR",
            references=("CRREJTAB",),
            needs=("ccd", "error"),
        ),
    ),
    combines=True,
)

PRODUCT = Phase(
    "product",
    (
        Step(
            "subtract_dark",
            stis_product.subtract_dark,
            switch="DARKCORR",
            references=("DARKFILE",),
            needs=("ccd", "error"),
        ),
        Step(
            "divide_flat",
            stis_product.divide_flat,
            switch="FLATCORR",
            optional=stis_product.FLATS,
            needs=("error",),
        ),
        Step(
            "correct_shading",
            stis_product.correct_shading,
            switch="SHADCORR",
            references=("SHADFILE",),
            needs=("error",),
        ),
        Step("name_photmode", stis_product.name_photmode, gives=("photmode",)),
        Step(
            "add_photometry",
            stis_product.add_photometry,
            switch="PHOTCORR",
            references=("IMPHTTAB",),
            needs=("photmode",),
        ),
        Step("measure_statistics", stis_product.measure_statistics, needs=("error",)),
        Step("finish_exposure", stis_product.finish_exposure, switch="EXPSCORR"),
    ),
)

RECIPE = Recipe(
    name="stis_ccd",
    instrument="STIS",
    detector="CCD",
    phases=(EXPOSURE, COMBINE, PRODUCT),
    refuses=refuses,
    other_switches=NOT_HERE,
    splits_files=True,
    is_proven=False,
    program="cs0.e of HSTCAL",
)
