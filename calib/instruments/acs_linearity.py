"""Linearity of SBC exposures: MLINTAB, GLINCORR and LFLGCORR.

The keywords and HISTORY lines are those of calacs (acs2d).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from calib.errors import MissingReference
from calib.fitsfile import Table
from calib.instruments.row_work import RowFunction, RowWork
from calib.instruments.state import Chip, ExposureState
from calib.steps.linearity import (
    LinearityLimits,
    exceeds_global_limit,
    find_true_ratio,
    flag_local,
    scale_counts,
)
from calib.switches import Switch, read_number

LIMITS = ("GLOBAL_LIMIT", "LOCAL_LIMIT", "TAU", "EXPAND")


class LinearityRow(NamedTuple):
    """A row of MLINTAB: limits, and what PEDIGREE and DESCRIP say of it."""

    limits: LinearityLimits
    pedigree: str
    description: str

    @property
    def is_dummy(self) -> bool:
        """Whether the row is a placeholder."""
        return self.pedigree.upper().startswith("DUMMY")


def select_linearity(table: Table, detector: str) -> LinearityRow:
    """Return the row of a detector.

    Raises
    ------
    MissingReference
        No row fits, a column is absent, or a number has no meaning.
    """
    names = [str(name).strip().upper() for name in table.column("DETECTOR")]
    if detector.upper() not in names:
        raise MissingReference(
            "MLINTAB has no row for this detector",
            path=table.path,
            expected=detector,
            found=", ".join(names) or "no row",
        )
    row = names.index(detector.upper())
    numbers = {name: float(table.column(name)[row]) for name in LIMITS}
    if wrong := {name: n for name, n in numbers.items() if not (math.isfinite(n) and n >= 0)}:
        raise MissingReference(
            "MLINTAB has a number without a meaning",
            path=table.path,
            expected="numbers of 0 and more",
            found=wrong,
        )
    limits = LinearityLimits(
        numbers["GLOBAL_LIMIT"],
        numbers["LOCAL_LIMIT"],
        numbers["TAU"],
        float(np.float32(numbers["EXPAND"])),
    )
    pedigree, description = (
        str(table.columns[name][row]) if name in table.columns else ""
        for name in ("PEDIGREE", "DESCRIP")
    )
    return LinearityRow(limits, pedigree, description)


def linearity_row(state: ExposureState) -> LinearityRow:
    """Return the row of MLINTAB that belongs to an exposure."""
    return select_linearity(state.references.table("MLINTAB"), str(state.value("DETECTOR")))


def correct_global(state: ExposureState) -> RowWork:
    """Scale the counts to those of a detector that loses none (GLINCORR).

    Where the rate of the whole detector exceeds the limit, nothing is corrected, and GLOBLIM
    and HISTORY say so; the switch becomes COMPLETE all the same, as in calacs.

    Raises
    ------
    MissingReference
        MLINTAB has no usable row.
    DataError
        GLOBRATE is absent or not usable.
    """
    row = linearity_row(state)
    if row.is_dummy:
        return RowWork(state.skip("dummy"))
    state = record_global_limit(state, row.limits)
    return RowWork(state, tuple(_correct_rows(chip, row.limits) for chip in state.chips))


def global_rate(chip: Chip) -> float:
    """Return GLOBRATE [counts/s]."""
    return read_number(chip.imset.sci, "GLOBRATE")


def _correct_rows(chip: Chip, limits: LinearityLimits) -> RowFunction:
    rate = global_rate(chip)
    if exceeds_global_limit(rate, limits):
        return lambda image, _first: image
    ratio = find_true_ratio(rate, limits.tau)
    return lambda image, _first: scale_counts(image, ratio)


def record_global_limit(state: ExposureState, limits: LinearityLimits) -> ExposureState:
    """Write GLOBLIM, and tell the user where the limit is exceeded."""
    exceeded = [exceeds_global_limit(global_rate(chip), limits) for chip in state.chips]
    values = [{"GLOBLIM": "EXCEEDED" if over else "NOT-EXCEEDED"} for over in exceeded]
    state = state.with_science(values, {"GLOBLIM": "global count rate exceeded?"})
    if not any(exceeded):
        return state
    rate = max(map(global_rate, state.chips))
    warning = (
        f"Global count rate {rate:g}/s exceeds {limits.global_limit:g}/s: nothing is corrected."
    )
    return state if warning in state.warnings else state.warn(warning)


def flag_locally(state: ExposureState) -> ExposureState:
    """Flag pixels that get more than can be counted, and their neighbours, with 256 (LFLGCORR).

    Raises
    ------
    MissingReference, DataError
        As :func:`correct_global`.
    """
    row = linearity_row(state)
    if row.is_dummy:
        return state.skip("dummy")
    state = record_global_limit(state, row.limits)
    seconds = state.number("EXPTIME")
    images = [flag_local(image, row.limits, seconds) for image in state.images]
    return state.with_images(images)


def global_history(state: ExposureState) -> tuple[str, ...]:
    """Return the HISTORY lines about MLINTAB after GLINCORR: none where LFLGCORR follows."""
    waits = state.switch("LFLGCORR") is Switch.PERFORM
    return () if waits else linearity_history(state)


def linearity_history(state: ExposureState) -> tuple[str, ...]:
    """Return the HISTORY lines about MLINTAB and its row."""
    lines = state.references.history("MLINTAB")
    if not state.references.is_usable("MLINTAB"):
        return lines
    description = linearity_row(state).description
    return (*lines, f"    {description}") if description else lines
