"""Occulting spots of the HRC coronagraph: their shadow moves between visits.

The spots are no part of the flat field; an image of them (CFLTFILE) is shifted to where they
were at the date of the exposure (SPOTTAB) and multiplied into the flat. Sources: ACS
Instrument Handbook 6.2 (coronagraph); calacs doflat, dospot, getspottab.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from calib.errors import DataError
from calib.image import Float, Image

NOON = 12 * 3600  # a date of the table means noon, that of an exposure midnight (getspottab)
DAY = 86400

# Day and year may stand at either end; the month is the second number.
_DATE = re.compile(r"(\d{1,4})[ /-]+(0?[1-9]|1[0-2])[ /-]+(\d{1,4})")


class SpotShift(NamedTuple):
    """A row of SPOTTAB: date (``dd/mm/yy``) and shift along x and y [pixels]."""

    date: str
    x: float
    y: float


def choose_shift(rows: Sequence[SpotShift], observed: str) -> SpotShift:
    """Return the row with the date nearest to that of an exposure, the first one of equals.

    Parameters
    ----------
    rows
        At least one.
    observed
        DATE-OBS (``yyyy-mm-dd``).

    Raises
    ------
    DataError
        A date cannot be read.
    """
    seconds = count_seconds(*_parts(observed, "DATE-OBS, yyyy-mm-dd"))

    def distance(row: SpotShift) -> int:
        day, month, year = _parts(row.date, "DATE of SPOTTAB, dd/mm/yy")
        return abs(seconds - NOON - count_seconds(year, month, day))

    return min(rows, key=distance)


def count_seconds(year: int, month: int, day: int) -> int:
    """Return the seconds up to midnight of a day, one month too late: a trap.

    The program hands on months from 1 where they are counted from 0. January 31 becomes
    the 31st day of February, so March 3 or 2: differences over the end of a month are off by
    up to three days. Years below 100 are those after 2000.
    """
    century = 2000 if year < 100 else 0  # noqa: PLR2004 - two digits
    first = dt.date(century + year + month // 12, month % 12 + 1, 1)
    return (first.toordinal() + day - 1) * DAY


def _parts(text: str, expected: str) -> tuple[int, int, int]:
    """Return the three numbers of a date."""
    match = _DATE.match(text.strip())
    if match is None:
        raise DataError("a date cannot be read", expected=expected, found=repr(text))
    first, second, third = map(int, match.groups())
    return first, second, third


def shift_spots(spots: Float, x: float, y: float) -> Image:
    """Shift an image of the spots, interpolating between four pixels in 32 bits.

    Parameters
    ----------
    spots
        Transmission, shape (ny, nx).
    x, y
        Shift to the right and upwards [pixels].

    Returns
    -------
    Image
        The shifted transmission, 1 outside of the image, with the error that the program
        gives it (:func:`error_of_spots`); no flags.
    """
    ny, nx = spots.shape
    columns = np.arange(nx, dtype=np.float32) - np.float32(x)
    rows = np.arange(ny, dtype=np.float32) - np.float32(y)
    inside = _within(rows, ny)[:, None] & _within(columns, nx)
    value = np.where(inside, _interpolate(spots, rows, columns), np.float32(1))
    err = np.where(inside, error_of_spots(value), np.float32(1))
    return Image(value, err, np.zeros(spots.shape, np.int16))


def error_of_spots(value: Float) -> Float:
    """Return the square root of the transmission: a trap.

    The program takes the transmission for a number of photons. An error of 1 for a
    transmission of 1 makes that of the flat 100 %, and SCI / ERR of every pixel at most 1.
    """
    with np.errstate(invalid="ignore"):
        return np.sqrt(value)


def multiply_flat(flat: Image, spots: Image, *, spots_are_exact: bool = False) -> Image:
    """Multiply a flat by the shadow of the spots; flags of both are joined.

    Row by row: any block of rows gives the bits of the whole.

    Parameters
    ----------
    flat, spots
        Of one shape.
    spots_are_exact
        Leave out the error of the spots (:func:`error_of_spots`).

    Raises
    ------
    DataError
        Shapes differ.
    """
    if flat.shape != spots.shape:
        raise DataError(
            "images that belong together differ in shape", expected=flat.shape, found=spots.shape
        )
    of_flat = spots.sci * flat.err
    of_spots = np.float32(0) if spots_are_exact else flat.sci * spots.err
    return dataclasses.replace(
        flat,
        sci=flat.sci * spots.sci,
        err=np.sqrt(of_spots * of_spots + of_flat * of_flat),
        dq=flat.dq | spots.dq,
    )


def _within(places: Float, size: int) -> np.ndarray:
    return (places >= 0) & (places < size)


def _interpolate(spots: Float, rows: Float, columns: Float) -> Float:
    """Interpolate; places outside are moved to the edge.

    The neighbour of the last column is the first one of the next row, as in the program's
    memory; behind the last row there is nothing, and the last pixel stands in.
    """
    ny, nx = spots.shape
    y = np.clip(rows.astype(np.int64), 0, ny - 1)[:, None]
    x = np.clip(columns.astype(np.int64), 0, nx - 1)
    flat, start = spots.ravel(), y * nx + x
    right, above, both = (flat[np.minimum(start + step, flat.size - 1)] for step in (1, nx, nx + 1))
    sx, sy = columns - x.astype(np.float32), rows[:, None] - y.astype(np.float32)
    tx, ty = np.float32(1) - sx, np.float32(1) - sy
    total = (tx * ty) * flat[start] + (sx * ty) * right + (sy * tx) * above + (sx * sy) * both
    return np.asarray(total, np.float32)
