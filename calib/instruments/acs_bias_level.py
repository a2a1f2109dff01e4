"""Bias level of ACS CCD exposures (BLEVCORR): which correction an exposure gets.

Source: calacs doblev.
"""

from __future__ import annotations

import dataclasses
from collections import ChainMap
from collections.abc import Sequence

import numpy as np

from calib.image import Image
from calib.instruments.acs_ccd import by_chip, readout
from calib.instruments.row_blocks import blocks_of, each_chip
from calib.instruments.row_work import RowFunction, RowWork
from calib.instruments.state import Chip, ExposureState, single
from calib.steps.bias_level import (
    BiasLevel,
    BiasLevelParameters,
    fit_bias_levels,
    mean_level,
    subtract_bias_levels,
    subtract_default_level,
)
from calib.steps.bias_shift import BiasShift, measure_bias_shift, remove_bias_shift
from calib.steps.cross_talk import remove_cross_talk
from calib.steps.destripe import (
    AmplifierRows,
    gather_rows,
    join_rows,
    measure_stripes,
    subtract_stripes,
)

OVERSCAN_SUBTRACTED = "BLEVCORR complete; bias level from overscan was subtracted."
DEFAULT_SUBTRACTED = "BLEVCORR complete, but default bias level was subtracted."
OVERSCAN_TABLE = "  Overscan region table:"
UNUSABLE_OVERSCAN = "The overscan of amplifier {} is unusable: default bias level subtracted."
MEANBLEV = {"MEANBLEV": "mean of bias levels subtracted in electrons"}


# Full frames since Servicing Mission 4 (MJD 54962, calacs SM4MJD) are destriped.
SERVICING_MISSION_4 = 54962.0
# Before that, what the dual-slope integrator does at gain 2 is undone (ACS ISR 2012-02).
DUAL_SLOPE, SHIFTED_GAIN = "DS_INT", 2.0
# Subarrays whose bias shift is removed: they are read with the virtual overscan that
# measures it (calacs doblev).
SHIFTED_SUBARRAYS = frozenset(
    (
        *(f"WFC{quadrant}-2K" for quadrant in ("1A", "1B", "2C", "2D")),
        *(
            f"WFC{n}-POL{angle}{band}"
            for n in "12"
            for angle in (0, 60, 120)
            for band in ("UV", "V")
        ),
        "WFC1-IRAMPQ",
        "WFC1-MRAMPQ",
        "WFC2-MRAMPQ",
        "WFC2-ORAMPQ",
    )
)
VIRTUAL_ROWS = 20  # of TRIMY1 or TRIMY2, which these subarrays must have


def subtract_bias_level(state: ExposureState, parameters: BiasLevelParameters) -> RowWork:
    """Subtract the bias level: which way depends on detector, date, readout and size.

    WFC full frames since Servicing Mission 4 are destriped, after bias shift and cross-talk
    have been removed where they occur; WFC subarrays with virtual overscan have their bias
    shift removed; a line is fitted to the overscan of all others; images without overscan
    get the level of the CCD table.
    """
    if not state.overscans or None in state.overscans:
        return _subtract_default(state)
    if not is_recent_wfc(state):
        return _subtract_lines(state, parameters)
    if not state.value("SUBARRAY"):
        return _remove_stripes(state)
    if is_shifted(state) and is_tall_subarray(state):
        return _remove_shift(state)
    return _subtract_lines(state, parameters)


def is_recent_wfc(state: ExposureState) -> bool:
    """Whether the exposure was taken by the WFC since Servicing Mission 4."""
    detector = str(state.value("DETECTOR")).strip().upper()
    return detector == "WFC" and state.number("EXPSTART") >= SERVICING_MISSION_4


def is_shifted(state: ExposureState) -> bool:
    """Whether the electronics shift the bias: dual-slope integrator at gain 2."""
    readout_type = str(state.value("JWROTYPE")).strip().upper()
    return readout_type == DUAL_SLOPE and state.number("CCDGAIN") == SHIFTED_GAIN


def is_tall_subarray(state: ExposureState) -> bool:
    """Whether a subarray is one of those that are read with virtual overscan."""
    aperture = str(state.value("APERTURE")).strip().upper()
    trims = [row.trim_y for row in state.overscans if row is not None]
    return aperture in SHIFTED_SUBARRAYS and any(VIRTUAL_ROWS in pair for pair in trims)


def _subtract_default(state: ExposureState) -> RowWork:
    """Subtract the level of the CCD table from images without overscan."""

    def rows_of(chip: Chip) -> RowFunction:
        level = readout(chip).per_column("default_level", chip.shape[1])
        return lambda image, _first: subtract_default_level(image, level)

    for chip in state.chips:
        levels = {f"BIASLEV{a.name}": single(a.default_level) for a in readout(chip).amplifiers}
        state = state.with_primary(levels)
    state = state.with_notes(
        DEFAULT_SUBTRACTED,
        "BLEVCORR does not include correction for drift along lines.",
        OVERSCAN_TABLE,
    )
    return RowWork(state, by_chip(state, rows_of))


def _subtract_lines(state: ExposureState, parameters: BiasLevelParameters) -> RowWork:
    """Subtract lines fitted to the overscan of each amplifier, and their drift."""
    levels = [_fit(chip, parameters) for chip in state.chips]

    def rows_of(chip: Chip) -> RowFunction:
        return lambda image, first: subtract_bias_levels(image, levels[chip.index], first)

    means = [
        {name: level.mean for name, level in zip(readout(chip).names, own, strict=True)}
        for chip, own in zip(state.chips, levels, strict=True)
    ]
    state = record_levels(state, means, [mean_level(own) for own in levels])
    for chip, own in zip(state.chips, levels, strict=True):
        for name, level in zip(readout(chip).names, own, strict=True):
            if level.is_default:
                state = state.warn(UNUSABLE_OVERSCAN.format(name))
    drift = any(level.has_drift for own in levels for level in own)
    return RowWork(_note_overscan(state, drift=drift), by_chip(state, rows_of))


def _remove_shift(state: ExposureState) -> RowWork:
    """Remove the bias shift of a subarray; the level goes with it."""
    shifts = _measure_shifts(state)

    def rows_of(chip: Chip) -> RowFunction:
        return lambda image, first: remove_bias_shift(image, shifts[chip.index], first)

    levels = [dict(zip(shift.names, shift.levels, strict=True)) for shift in shifts]
    state = record_levels(state, levels, [mean_of(own) for own in levels])
    return RowWork(_note_overscan(state), by_chip(state, rows_of))


def _measure_shifts(state: ExposureState) -> tuple[BiasShift, ...]:
    names = [readout(chip).names for chip in state.chips]
    return measure_bias_shift([image.sci for image in state.images], names)


def _remove_stripes(state: ExposureState) -> RowWork:
    """Remove bias shift and cross-talk of a full frame where they occur, then level and stripes."""
    names = [readout(chip).names for chip in state.chips]
    shifts = _measure_shifts(state) if is_shifted(state) else None

    def prepare(chip: Chip) -> tuple[Image, dict[str, AmplifierRows]]:
        return _prepare_chip(chip, shifts[chip.index] if shifts else None)

    images, gathered = zip(*each_chip(prepare, state.chips, state.threads), strict=True)
    stripes = measure_stripes(dict(ChainMap(*gathered)))

    def rows_of(chip: Chip) -> RowFunction:
        own = stripes.chip(names[chip.index], chip.shape[1])
        return lambda image, first: subtract_stripes(image, own, first)

    state = state.with_images(images)
    levels = [{name: stripes.levels[name] for name in own} for own in names]
    means = [stripes.mean_level(own) for own in names]
    for shift, own in zip(shifts or (), levels, strict=bool(shifts)):
        for name, level in zip(shift.names, shift.levels, strict=True):
            own[name] += level
    state = record_levels(state, levels, means).with_notes(
        f"DESTRIPE: number of rows fixed per amp: {stripes.fixed}",
        f"DESTRIPE: number of rows skipped per amp: {stripes.skipped}",
    )
    return RowWork(_note_overscan(state), by_chip(state, rows_of))


def _prepare_chip(chip: Chip, shift: BiasShift | None) -> tuple[Image, dict[str, AmplifierRows]]:
    """Remove bias shift and cross-talk of a chip, and gather what stripes are found in."""
    names = readout(chip).names
    sci = chip.image.sci if shift is None else np.empty(chip.image.shape, np.float32)
    gathered = []
    for raw, first in blocks_of(chip.image):
        image = raw
        if shift is not None:
            image = remove_cross_talk(remove_bias_shift(raw, shift, first))
            sci[first : first + raw.shape[0]] = image.sci
        gathered.append(gather_rows(image, names))
    return dataclasses.replace(chip.image, sci=sci), join_rows(gathered)


def _fit(chip: Chip, parameters: BiasLevelParameters) -> tuple[BiasLevel, ...]:
    overscans = chip.overscan.amplifiers if chip.overscan else ()
    amplifiers = readout(chip).amplifiers
    return fit_bias_levels(chip.image, overscans, amplifiers, chip.serious, parameters)


def record_levels(
    state: ExposureState, levels: Sequence[dict[str, float]], means: Sequence[float]
) -> ExposureState:
    """Write BIASLEVx of each amplifier, and MEANBLEV of each image set."""
    for own in levels:
        state = state.with_primary({f"BIASLEV{name}": single(own[name]) for name in own})
    return state.with_science([{"MEANBLEV": single(mean)} for mean in means], MEANBLEV)


def mean_of(levels: dict[str, float]) -> float:
    """Return the mean of the levels of some amplifiers."""
    return sum(levels.values()) / len(levels)


def _note_overscan(state: ExposureState, *, drift: bool = False) -> ExposureState:
    without = "includes" if drift else "does not include"
    return state.with_notes(
        OVERSCAN_SUBTRACTED,
        f"BLEVCORR {without} correction for drift along lines.",
        OVERSCAN_TABLE,
    )
