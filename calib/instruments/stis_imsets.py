"""Image sets of a STIS exposure: which are good, and the references that belong to them.

A STIS file holds several exposures, of which some may be empty. calstis marks these with
IMSET_OK = F and copies them through (do2d).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from calib.errors import MissingReference, UnsupportedMode
from calib.image import Image, Imset
from calib.instruments.state import Chip, ExposureState, pixel_mapping
from calib.steps.binning import match_finer
from calib.switches import read_number

GOOD = "IMSET_OK"
# LTV of a trimmed image is 0, that of a binned one below 0.5: the centre of its first pixel.
MOST_TRIMMED = 0.5
WHOLE_CHIP = 1  # CCDCHIP, which STIS references do not have


def is_good(imset: Imset) -> bool:
    """Whether an image set was exposed and is calibrated."""
    return imset.sci.get(GOOD, True) is not False


def good_chips(state: ExposureState) -> tuple[Chip, ...]:
    """Return the good image sets."""
    return tuple(chip for chip in state.chips if is_good(chip.imset))


def change_good(state: ExposureState, change: Callable[[Chip], Imset]) -> ExposureState:
    """Return the state with each good image set changed; the others stay as they are."""
    return state.with_imsets(
        [change(chip) if is_good(chip.imset) else chip.imset for chip in state.chips]
    )


def change_pixels(state: ExposureState, change: Callable[[Chip], Image]) -> ExposureState:
    """Return the state with the pixels of each good image set changed."""
    return change_good(state, lambda chip: dataclasses.replace(chip.imset, image=change(chip)))


def with_science(
    imset: Imset, values: Mapping[str, Any], comments: Mapping[str, str] | None = None
) -> Imset:
    """Return an image set with values in its SCI header."""
    return dataclasses.replace(imset, sci=imset.sci.with_values(values, comments))


def number_of(chip: Chip, keyword: str) -> float:
    """Return a number of the SCI header: STIS has EXPTIME and others there, not in the primary.

    Raises
    ------
    DataError
        It is absent and has no default, or is no number.
    """
    return read_number(chip.imset.sci, keyword)


def combined_count(chip: Chip) -> int:
    """Return NCOMBINE; 1 where it is absent or less, as in the program.

    Raises
    ------
    DataError
        It is no number.
    """
    found = chip.imset.sci.get("NCOMBINE")
    return 1 if found is None else max(int(number_of(chip, "NCOMBINE")), 1)


def check_trimmed(chip: Chip) -> None:
    """Refuse an image set that still has overscan: references have none.

    Raises
    ------
    UnsupportedMode
        BLEVCORR has not been done.
    """
    if max(chip.mapping.ltv) > MOST_TRIMMED:
        raise UnsupportedMode(
            "the image still has overscan, references do not",
            expected="BLEVCORR PERFORM or COMPLETE",
            found=f"BLEVCORR {chip.state.switch('BLEVCORR')}, LTV {chip.mapping.ltv}",
        )


def matched_reference(chip: Chip, keyword: str, *, average: bool) -> Image:
    """Return the part of a reference that belongs to an image set, binned like it.

    Parameters
    ----------
    average
        Where pixels are put together: mean (flat, shading) instead of sum (bias, dark).

    Raises
    ------
    MissingReference
        No file is named, or it does not fit.
    UnsupportedMode
        The image set still has overscan.
    """
    check_trimmed(chip)
    image = chip.state.references.image(keyword, WHOLE_CHIP)
    try:
        return match_finer(
            image.rows(0, image.shape[0]),
            pixel_mapping(image.header),
            chip.mapping,
            chip.image.shape,
            average=average,
        )
    except MissingReference as error:
        error.path = str(image.path)
        error.message = f"{keyword}: {error.message}"
        raise
