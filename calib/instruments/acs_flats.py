"""Flat fields and shutter shading of ACS images: FLATCORR and SHADCORR.

The keywords and HISTORY lines are those of calacs (acs2d). Up to four flats are named:
pixel-to-pixel (PFLTFILE) and delta flat (DFLTFILE) for all detectors, that of the occulting
spots (CFLTFILE with SPOTTAB) for the coronagraph of the HRC, and a low-order flat (LFLTFILE)
that no archived exposure has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from calib.errors import MissingReference
from calib.fitsfile import Table
from calib.image import Image
from calib.instruments.acs_ccd import mark_electrons
from calib.instruments.row_work import RowFunction, RowWork
from calib.instruments.state import Chip, ExposureState, pixel_mapping
from calib.steps.enlargement import match_reference
from calib.steps.flat import divide_flat as divide_flat_image
from calib.steps.low_order_flat import divide_empty_flat
from calib.steps.occulting_spots import SpotShift, choose_shift, multiply_flat, shift_spots
from calib.steps.shading import correct_shading as correct_shading_of_image

ReadRows = Callable[[int, int], Image]  # rows of a reference, from the first to before the end

OTHER_FLATS = ("DFLTFILE", "LFLTFILE", "CFLTFILE", "SPOTTAB")  # beside PFLTFILE

SPOTS_LEFT_IN = "The occulting spots are left in: CFLTFILE and SPOTTAB are not both usable."


@dataclass(frozen=True)
class FlatParameters:
    """Which traps of the program are avoided.

    Attributes
    ----------
    low_order
        Divide by the low-order flat
        (:func:`calib.steps.low_order_flat.divide_empty_flat`).
    exact_spots
        Give the occulting spots no error (:func:`calib.steps.occulting_spots.error_of_spots`).
    spots_once
        Take them off once where two flats are named (:func:`flats_with_spots`).
    """

    low_order: bool = False
    exact_spots: bool = False
    spots_once: bool = False


def divide_flat(state: ExposureState, parameters: FlatParameters) -> RowWork:
    """Divide by all flats that are named but placeholders, one after the other (FLATCORR).

    Raises
    ------
    MissingReference
        A flat or the image of the spots does not fit the exposure.
    DataError
        A date cannot be read.
    """
    if expects_spots(state) and not has_spots(state):
        state = state.warn(SPOTS_LEFT_IN)
    rows = tuple(_divide_rows(chip, parameters) for chip in state.chips)
    return RowWork(mark_electrons(state), rows)


def flats(state: ExposureState) -> tuple[str, ...]:
    """Return the keywords of the flats that are read line by line, in order."""
    return tuple(key for key in ("PFLTFILE", "DFLTFILE") if state.references.is_usable(key))


def expects_spots(state: ExposureState) -> bool:
    """Whether somebody would expect that the occulting spots are taken off."""
    coronagraphic = str(state.value("OBSTYPE")).upper().startswith("CORON")
    return coronagraphic or state.references.is_named("CFLTFILE")


def has_spots(state: ExposureState) -> bool:
    """Whether the occulting spots are to be taken off, whatever OBSTYPE says."""
    return all(state.references.is_usable(key) for key in ("CFLTFILE", "SPOTTAB"))


def flats_with_spots(keywords: tuple[str, ...], *, once: bool) -> tuple[str, ...]:
    """Return the flats that the spots are multiplied into: all of them, which is a trap.

    With a delta flat the shadow of the spots is taken off twice.
    """
    return keywords[:1] if once else keywords


def _divide_rows(chip: Chip, parameters: FlatParameters) -> RowFunction:
    flat_rows = _flats_of(chip, parameters)
    low_order = _low_order_rows(chip, parameters)

    def divide(image: Image, first: int) -> Image:
        end = first + image.shape[0]
        for read in flat_rows:
            image = divide_flat_image(image, read(first, end))
        return low_order(image, first)

    return divide


def _flats_of(chip: Chip, parameters: FlatParameters) -> tuple[ReadRows, ...]:
    keywords = flats(chip.state)
    readers: dict[str, ReadRows] = {key: chip.reference(key).rows for key in keywords}
    if has_spots(chip.state):
        for key in flats_with_spots(keywords, once=parameters.spots_once):
            readers[key] = _with_spots(readers[key], find_spots(chip, key), parameters)
    return tuple(readers.values())


def _with_spots(read: ReadRows, spots: Image, parameters: FlatParameters) -> ReadRows:
    exact = parameters.exact_spots
    return lambda first, end: multiply_flat(
        read(first, end), rows_of(spots, first, end), spots_are_exact=exact
    )


def find_spots(chip: Chip, flat: str) -> Image:
    """Return the shifted shadow of the spots under an image set.

    Parameters
    ----------
    flat
        Keyword of the flat it will be multiplied into: of one size with it.

    Raises
    ------
    MissingReference
        The image of the spots and the flat differ in size, or SPOTTAB is empty.
    DataError
        A date cannot be read.
    """
    references = chip.state.references
    image, part = references.image("CFLTFILE", chip.number), chip.reference(flat)
    if image.shape != part.image.shape:
        raise MissingReference(
            f"CFLTFILE and {flat} differ in size",
            path=str(references.path("CFLTFILE")),
            expected=part.image.shape,
            found=image.shape,
        )
    rows = spot_shifts(references.table("SPOTTAB"))
    shift = choose_shift(rows, str(chip.state.value("DATE-OBS")))
    spots = shift_spots(image.signal(0, image.shape[0]), shift.x, shift.y)
    (y, x), (ny, nx) = (part.offset.y, part.offset.x), chip.shape
    return spots.cut(slice(y, y + ny), slice(x, x + nx))


def spot_shifts(table: Table) -> tuple[SpotShift, ...]:
    """Return the rows of SPOTTAB.

    Raises
    ------
    MissingReference
        There is none, or a column is absent.
    """
    columns = (table.column(name) for name in ("DATE", "SHIFTX", "SHIFTY"))
    rows = tuple(
        SpotShift(str(date), float(x), float(y)) for date, x, y in zip(*columns, strict=True)
    )
    if not rows:
        raise MissingReference("SPOTTAB has no row", path=table.path, expected="a date", found=0)
    return rows


def _low_order_rows(chip: Chip, parameters: FlatParameters) -> RowFunction:
    if not chip.state.references.is_usable("LFLTFILE"):
        return lambda image, _first: image
    if not parameters.low_order:
        return lambda image, _first: divide_empty_flat(image)
    read = enlarged_rows(chip, "LFLTFILE")
    return lambda image, first: divide_flat_image(image, read(first, first + image.shape[0]))


def enlarged_rows(chip: Chip, keyword: str) -> ReadRows:
    """Return what reads rows of a reference that may be coarser than the image.

    Raises
    ------
    MissingReference
        It does not fit the image set.
    """
    image = chip.state.references.image(keyword, chip.number)
    mapping = pixel_mapping(image.header)
    if mapping.bins == chip.mapping.bins:
        return chip.reference(keyword).rows
    whole = image.rows(0, image.shape[0])
    try:
        matched = match_reference(whole, mapping, chip.mapping, chip.shape)
    except MissingReference as error:
        error.path = str(chip.state.references.path(keyword))
        error.message = f"{keyword}: {error.message}"
        raise
    return lambda first, end: rows_of(matched, first, end)


def rows_of(image: Image, first: int, end: int) -> Image:
    """Return rows of an image, from the first to before the end."""
    return Image(image.sci[first:end], image.err[first:end], image.dq[first:end], image.unit)


def correct_shading(state: ExposureState) -> RowWork:
    """Correct for the shutter (SHADCORR); skipped where EXPTIME is not positive.

    Of combined exposures the mean exposure time counts (NCOMBINE).
    """
    seconds = state.number("EXPTIME")
    if not seconds > 0:
        return RowWork(state.skip("EXPTIME is not positive"))
    rows = tuple(_shading_rows(chip, seconds) for chip in state.chips)
    return RowWork(state, rows)


def _shading_rows(chip: Chip, seconds: float) -> RowFunction:
    read = enlarged_rows(chip, "SHADFILE")
    each = seconds / max(int(chip.imset.sci.get("NCOMBINE", 1)), 1)
    return lambda image, first: correct_shading_of_image(
        image, read(first, first + image.shape[0]), each
    )
