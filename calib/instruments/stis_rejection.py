"""Combination of the exposures of a STIS CR-SPLIT, which are the image sets of one file.

The keywords are those of calstis (cs2); the array step is in
:mod:`calib.steps.split_rejection`, the rows of CRREJTAB are chosen as for ACS.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from calib.errors import DataError
from calib.instruments.acs_rejection import COMMENTS, RejectionRow, mean_seconds, read_row
from calib.instruments.state import Chip, Combination, ExposureState, double, single
from calib.instruments.stis_imsets import good_chips, number_of, with_science
from calib.instruments.stis_raw import IMSET_EXTENSIONS, ccd_of, is_imaging
from calib.steps.cosmic_rays import Combined
from calib.steps.split_rejection import CountNoise, reject_split

FEWEST = 2


def combine_split(states: Sequence[ExposureState], _parameters: None = None) -> Combination:
    """Combine the image sets of one file (CRCORR) and mark cosmic rays in them (CRMASK).

    Empty image sets are left out. The product has the headers of the first good one.

    Parameters
    ----------
    states
        One exposure file.

    Raises
    ------
    MissingReference
        CRREJTAB is a placeholder, or has no usable row for so many or so long exposures.
    DataError
        There are fewer than two good image sets, or they cannot be combined.
    """
    (state,) = states
    chips = good_chips(state)
    if len(chips) < FEWEST:
        raise DataError(
            "too few image sets to reject cosmic rays",
            expected=f"{FEWEST} that hold something",
            found=f"{len(chips)} of {len(state.imsets)}",
        )
    seconds = [number_of(chip, "EXPTIME") for chip in chips]
    row = row_for(state, seconds)
    ccd = ccd_of(state)
    made = reject_split(
        [chip.image for chip in chips],
        seconds,
        CountNoise(ccd.gain, ccd.read_noise),
        row.rejection,
    )
    marked = mark(state, chips, made) if row.marks_exposures else state
    return Combination(record(state, chips, made, row), (marked,))


def row_for(state: ExposureState, seconds: Sequence[float]) -> RejectionRow:
    """Return the row of CRREJTAB; the sky of a spectrum is never subtracted."""
    row = read_row(state, len(seconds), mean_seconds(seconds))
    if is_imaging(state):
        return row
    rejection = dataclasses.replace(row.rejection, sky="none")
    return dataclasses.replace(
        row, rejection=rejection, keywords={**row.keywords, "SKYSUB": "none"}
    )


def record(
    state: ExposureState, chips: Sequence[Chip], made: Combined, row: RejectionRow
) -> ExposureState:
    """Return the exposure with the combination as its only image set."""
    total = sum(number_of(chip, "EXPTIME") for chip in chips)
    start = min(number_of(chip, "EXPSTART") for chip in chips)
    end = max(number_of(chip, "EXPEND") for chip in chips)
    science: dict[str, Any] = {
        "EXPTIME": double(total),
        "EXPSTART": double(start),
        "EXPEND": double(end),
        "NCOMBINE": len(chips),
        **_temperature(chips, total),
    }
    primary = {
        **row.keywords,
        "SKYSUM": single(made.sky),
        "TEXPTIME": double(total),
        "TEXPSTRT": double(start),
        "TEXPEND": double(end),
        "NEXTEND": IMSET_EXTENSIONS,
    }
    if total > 0:
        primary["REJ_RATE"] = single(made.rejected / total)
    imset = dataclasses.replace(chips[0].imset, image=made.image, version=1)
    product = state.with_imsets([with_science(imset, science)])
    names = " ".join(str(chip.imset.version) for chip in chips)
    comments = {**COMMENTS, "SKYSUM": "Total sky level (DN)"}
    return product.with_primary(primary, comments).with_notes(f"  combined image sets: {names}")


def _temperature(chips: Sequence[Chip], total: float) -> dict[str, Any]:
    """Return the mean temperature of the housing, weighted with time, where it is known."""
    found = [
        (number_of(chip, "OCCDHTAV"), number_of(chip, "EXPTIME"))
        for chip in chips
        if chip.imset.sci.get("OCCDHTAV") is not None
    ]
    weighted = sum(degrees * seconds for degrees, seconds in found)
    known = total > 0 and weighted > 0 and len(found) == len(chips)
    return {"OCCDHTAV": single(weighted / total)} if known else {}


def mark(state: ExposureState, chips: Sequence[Chip], made: Combined) -> ExposureState:
    """Return the exposure with cosmic rays flagged in its good image sets."""
    flags = {chip.index: dq for chip, dq in zip(chips, made.flags, strict=True)}
    imsets = [
        dataclasses.replace(imset, image=dataclasses.replace(imset.image, dq=flags[i]))
        if i in flags
        else imset
        for i, imset in enumerate(state.imsets)
    ]
    return state.with_imsets(imsets)
