"""Bias level of ACS CCD exposures (BLEVCORR): which correction an exposure gets.

Source: calacs doblev.
"""

from __future__ import annotations

from collections.abc import Sequence

from calib.instruments.acs_ccd import by_chip, readout
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

OVERSCAN_SUBTRACTED = "BLEVCORR complete; bias level from overscan was subtracted."
DEFAULT_SUBTRACTED = "BLEVCORR complete, but default bias level was subtracted."
OVERSCAN_TABLE = "  Overscan region table:"
MEANBLEV = {"MEANBLEV": "mean of bias levels subtracted in electrons"}


def subtract_bias_level(state: ExposureState, parameters: BiasLevelParameters) -> RowWork:
    """Subtract the bias level of the overscan, or that of the CCD table without one."""
    if not state.overscans or None in state.overscans:
        return _subtract_default(state)
    return _subtract_lines(state, parameters)


def _subtract_default(state: ExposureState) -> RowWork:
    """Subtract the level of the CCD table from images without overscan."""

    def rows_of(chip: Chip) -> RowFunction:
        level = readout(chip).per_column("default_level", chip.shape[1])
        return lambda image, _first: subtract_default_level(image, level)

    for chip in state.chips:
        levels = {a.name: a.default_level for a in readout(chip).amplifiers}
        state = state.with_primary(_bias_keywords(levels))
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

    state = record_levels(state, levels)
    has_drift = any(level.has_drift for own in levels for level in own)
    without = "includes" if has_drift else "does not include"
    state = state.with_notes(
        OVERSCAN_SUBTRACTED,
        f"BLEVCORR {without} correction for drift along lines.",
        OVERSCAN_TABLE,
    )
    return RowWork(state, by_chip(state, rows_of))


def _fit(chip: Chip, parameters: BiasLevelParameters) -> tuple[BiasLevel, ...]:
    overscans = chip.overscan.amplifiers if chip.overscan else ()
    amplifiers = readout(chip).amplifiers
    return fit_bias_levels(chip.image, overscans, amplifiers, chip.serious, parameters)


def record_levels(state: ExposureState, levels: Sequence[Sequence[BiasLevel]]) -> ExposureState:
    """Write MEANBLEV of each image set, and BIASLEVx of each amplifier."""
    for chip, own in zip(state.chips, levels, strict=True):
        names = readout(chip).names
        means = {name: level.mean for name, level in zip(names, own, strict=True)}
        state = state.with_primary(_bias_keywords(means))
    return state.with_science([{"MEANBLEV": single(mean_level(own))} for own in levels], MEANBLEV)


def _bias_keywords(levels: dict[str, float]) -> dict[str, float | None]:
    return {f"BIASLEV{name}": single(level) for name, level in levels.items()}
