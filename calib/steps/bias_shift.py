"""Bias shift of the WFC electronics: each pixel moves the bias of those read after it.

The preamplifier of each amplifier is charged by the signal and discharges over a thousand
pixels, so the whole frame is one stream in the order of the readout. The charge is followed
once through the frame (:func:`measure_bias_shift`), which gives its state at the beginning of
each row; with these the rows are independent (:func:`remove_bias_shift`). For exposures
since Servicing Mission 4 read by the dual-slope integrator at gain 2.

Sources: ACS ISR 2012-02; calacs bias_shift_corr.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from calib.arithmetic.electronics import CHARGED, next_charge, unshifted
from calib.compiled import compiled
from calib.errors import DataError, UnsupportedMode
from calib.image import Float, Image
from calib.steps.line import Doubles, ordered_sum

Integers = npt.NDArray[np.int64]

ROWS = 2068  # of a chip and of the 2K subarrays, with virtual overscan
# Rows and columns, in the order of the readout, where the level is measured (calacs).
SQUARE_ROWS = slice(2057, 2067)
SQUARE_COLUMNS = slice(13, 23)
PIXELS_PER_MS = 1000.0 / 22.0  # 22 µs per pixel
GAP = int(PIXELS_PER_MS * 3.212 + 0.5)  # pixels read in the 3.212 ms between two rows
STREAMS = 4  # amplifiers followed at once: one alone waits for each multiplication


class Electronics(NamedTuple):
    """Time constant [ms] and sensitivity of an amplifier's preamplifier."""

    time_constant: float
    sensitivity: float

    @property
    def uptake(self) -> float:
        """Share of the charge that flows in the time of one pixel."""
        return 1 - math.exp(-1 / (self.time_constant * PIXELS_PER_MS))


# Fitted for each amplifier (ISR 2012-02, values of calacs).
ELECTRONICS = {
    "A": Electronics(37.290251, 2.9188919e-3),
    "B": Electronics(36.180001, 10.805754e-3),
    "C": Electronics(37.867770, 12.432145e-3),
    "D": Electronics(42.461249, 3.8596253e-3),
}
FROM_RIGHT = "BD"
FROM_TOP = "AB"


class BiasShift(NamedTuple):
    """What was found in one chip, its amplifiers from left to right.

    Attributes
    ----------
    names
        Letters of the amplifiers.
    charges
        Shape (ny, amplifiers), electrons: charge before the first pixel of each row is read.
    levels
        Level that is left after the correction [electrons]: subtracted with it, and to be
        added to BIASLEVx.
    """

    names: tuple[str, ...]
    charges: Doubles
    levels: Doubles


def measure_bias_shift(
    images: Sequence[Float], names: Sequence[tuple[str, ...]]
) -> tuple[BiasShift, ...]:
    """Follow the charge of the preamplifiers through a frame.

    Parameters
    ----------
    images
        SCI of both chips of a full frame, or of a subarray, whole and with overscan
        [electrons], shape (2068, nx). A NaN spoils all that is read after it.
    names
        Letters of the amplifiers of each, left to right: two share a full frame's chip in
        halves, one reads a subarray.

    Raises
    ------
    UnsupportedMode
        The images do not have 2068 rows; a chip's width is odd; neither one amplifier nor four.
    """
    _check(images, names)
    sources = [np.ascontiguousarray(image, np.float32) for image in images]
    streams = [(k, name) for k, letters in enumerate(names) for name in letters]
    means = [square_mean(_as_read(sources[k], name, len(names[k]))) for k, name in streams]
    places = _places(streams, sources[0].shape[1] // len(names[0]), sources[0].shape[1])
    charges = np.empty((STREAMS, ROWS))
    uptakes = np.resize([ELECTRONICS[name].uptake for _, name in streams], STREAMS)
    _follow(sources[0], sources[-1], places, uptakes, np.resize(means, STREAMS), charges)
    found = []
    for k, letters in enumerate(names):
        rows = [charges[s] for s, (chip, _) in enumerate(streams) if chip == k]
        shift = BiasShift(letters, np.stack(rows, axis=1), np.zeros(len(letters)))
        found.append(shift._replace(levels=_levels(sources[k], shift)))
    return tuple(found)


def remove_bias_shift(image: Image, shift: BiasShift, first_row: int = 0) -> Image:
    """Subtract the bias shift and the level that is left. Each row by itself.

    Parameters
    ----------
    image
        Whole rows, in electrons, with overscan. ERR and DQ are kept; flagged pixels are
        corrected too; NaN stays NaN and spoils the pixels read after it in its row.
    shift
        Of the chip (:func:`measure_bias_shift`).
    first_row
        Row of the chip that comes first here.

    Raises
    ------
    DataError
        The chip has no such rows.
    """
    ny, nx = image.shape
    if not 0 <= first_row <= len(shift.charges) - ny:
        raise DataError(
            "the bias shift was measured in fewer rows",
            expected=f"rows {first_row} to {first_row + ny - 1}",
            found=f"{len(shift.charges)} rows",
        )
    amplifiers = len(shift.names)
    width = nx // amplifiers
    places = _places([(0, name) for name in shift.names], width, nx)
    numbers = np.array([(e.uptake, e.sensitivity) for e in map(ELECTRONICS.get, shift.names) if e])
    charges = np.ascontiguousarray(shift.charges[first_row : first_row + ny])
    sci = np.empty(image.shape, np.float32)
    source = np.ascontiguousarray(image.sci, np.float32)
    _remove(source, charges, places[:amplifiers], numbers, shift.levels, sci)
    return dataclasses.replace(image, sci=sci)


def square_mean(values: npt.NDArray[Any]) -> float:
    """Return the mean of the square where the level is measured, in the order of the readout.

    Columns 13..22 of the leading overscan in rows 2057..2066 of the virtual overscan.
    """
    square = values[SQUARE_ROWS, SQUARE_COLUMNS].astype(np.float64)
    return ordered_sum(square.ravel()) / square.size


def _check(images: Sequence[Float], names: Sequence[tuple[str, ...]]) -> None:
    letters = "".join(name for group in names for name in group)
    shapes = {image.shape for image in images}
    if len(letters) not in {1, STREAMS} or not set(letters) <= set(ELECTRONICS):
        raise UnsupportedMode(
            "the bias shift is known for a full frame or a subarray",
            expected="one or four of the amplifiers A B C D",
            found=letters,
        )
    ny, nx = images[0].shape
    if len(shapes) > 1 or ny != ROWS or nx % len(names[0]):
        raise UnsupportedMode(
            "the bias shift needs whole columns with virtual overscan",
            expected=f"{ROWS} rows, and an even number of columns for two amplifiers",
            found=[image.shape for image in images],
        )


def _as_read(values: npt.NDArray[Any], name: str, amplifiers: int) -> npt.NDArray[Any]:
    """Return an amplifier's part of a chip with the first pixel read at [0, 0]."""
    rows = slice(None, None, -1 if name in FROM_TOP else 1)
    columns = slice(None, None, -1 if name in FROM_RIGHT else 1)
    return values[rows, columns][:, : values.shape[1] // amplifiers]


def _places(streams: Iterable[tuple[int, str]], width: int, nx: int) -> Integers:
    """Return where each stream begins and goes: column, step, from the top or not, width.

    Fewer streams than are followed at once are repeated.
    """
    rows = [
        (nx - 1 if name in FROM_RIGHT else 0, -1 if name in FROM_RIGHT else 1, name in FROM_TOP)
        for _, name in streams
    ]
    return np.array(
        [(*rows[s % len(rows)], width) for s in range(max(STREAMS, len(rows)))], np.int64
    )


def _levels(source: Float, shift: BiasShift) -> Doubles:
    """Return the mean of the square of each amplifier after the correction."""
    levels = np.empty(len(shift.names))
    for a, name in enumerate(shift.names):
        square = np.empty((SQUARE_ROWS.stop - SQUARE_ROWS.start, SQUARE_COLUMNS.stop))
        values = _as_read(source, name, len(shift.names))[SQUARE_ROWS, : SQUARE_COLUMNS.stop]
        charges = shift.charges[:: -1 if name in FROM_TOP else 1, a][SQUARE_ROWS]
        uptake, sensitivity = ELECTRONICS[name].uptake, ELECTRONICS[name].sensitivity
        _correct(values.astype(np.float64), charges.copy(), uptake, sensitivity, square)
        kept = square[:, SQUARE_COLUMNS].ravel()
        levels[a] = ordered_sum(kept) / kept.size
    return levels


@compiled("void", "f8[:,:]", "f8[:]", "f8", "f8", "out f8[:,:]")
def _correct(
    values: Doubles, charges: Doubles, uptake: float, sensitivity: float, out: Doubles
) -> None:
    """Correct rows in the order of the readout."""
    for y in range(values.shape[0]):
        charge = charges[y]
        for x in range(values.shape[1]):
            after = next_charge(values[y, x], uptake, charge)
            out[y, x] = unshifted(values[y, x], charge, after, sensitivity)
            charge = after


@compiled("void", "f4[:,:]", "f4[:,:]", "i8[:,:]", "f8[:]", "f8[:]", "out f8[:,:]")
def _follow(
    first: Float, second: Float, places: Integers, uptakes: Doubles, means: Doubles, out: Doubles
) -> None:
    """Follow four streams through two images: two through each, or one four times.

    Begins with the charge of the mean level; so does what lies between two rows.
    """
    ny = first.shape[0]
    (x0, x1, x2, x3), (s0, s1, s2, s3) = places[:, 0], places[:, 1]
    u0, u1, u2, u3 = uptakes
    m0, m1, m2, m3 = means
    c0, c1, c2, c3 = m0 * CHARGED, m1 * CHARGED, m2 * CHARGED, m3 * CHARGED
    for k in range(ny):
        y0 = ny - 1 - k if places[0, 2] else k
        y2 = ny - 1 - k if places[2, 2] else k
        out[0, y0], out[1, y0], out[2, y2], out[3, y2] = c0, c1, c2, c3
        for i in range(places[0, 3]):
            c0 = next_charge(first[y0, np.uint64(x0 + s0 * i)], u0, c0)
            c1 = next_charge(first[y0, np.uint64(x1 + s1 * i)], u1, c1)
            c2 = next_charge(second[y2, np.uint64(x2 + s2 * i)], u2, c2)
            c3 = next_charge(second[y2, np.uint64(x3 + s3 * i)], u3, c3)
        for _ in range(GAP):
            c0 = next_charge(m0, u0, c0)
            c1 = next_charge(m1, u1, c1)
            c2 = next_charge(m2, u2, c2)
            c3 = next_charge(m3, u3, c3)


@compiled("void", "f4[:,:]", "f8[:,:]", "i8[:,:]", "f8[:,:]", "f8[:]", "out f4[:,:]")
def _remove(
    sci: Float,
    charges: Doubles,
    places: Integers,
    numbers: Doubles,
    levels: Doubles,
    out: Float,
) -> None:
    """Correct rows: the charges of four pieces of rows at a time, then their pixels."""
    amplifiers, width = places.shape[0], places[0, 3]
    pieces = sci.shape[0] * amplifiers
    track = np.empty((STREAMS, width + 1))
    for begin in range(0, pieces, STREAMS):
        _track(sci, charges, places, numbers, begin, track)
        for k in range(min(STREAMS, pieces - begin)):
            y, a = (begin + k) // amplifiers, (begin + k) % amplifiers
            low, high = track[k, :width], track[k, 1:]
            before, after = (high, low) if places[a, 1] < 0 else (low, high)
            x0 = places[a, 0] - (width - 1 if places[a, 1] < 0 else 0)
            line, made = sci[y, x0 : x0 + width], out[y, x0 : x0 + width]
            for i in range(width):
                made[i] = unshifted(line[i], before[i], after[i], numbers[a, 1]) - levels[a]


@compiled("void", "f4[:,:]", "f8[:,:]", "i8[:,:]", "f8[:,:]", "i8", "out f8[:,:]")
def _track(
    sci: Float, charges: Doubles, places: Integers, numbers: Doubles, begin: int, track: Doubles
) -> None:
    """Fill the charges before and after each pixel of four pieces of rows, by column.

    The last piece is repeated where there are fewer.
    """
    amplifiers, width = places.shape[0], places[0, 3]
    last = sci.shape[0] * amplifiers - 1
    p0, p1, p2, p3 = begin, min(begin + 1, last), min(begin + 2, last), min(begin + 3, last)
    y0, y1, y2, y3 = p0 // amplifiers, p1 // amplifiers, p2 // amplifiers, p3 // amplifiers
    a0, a1, a2, a3 = p0 % amplifiers, p1 % amplifiers, p2 % amplifiers, p3 % amplifiers
    x0, x1, x2, x3 = places[a0, 0], places[a1, 0], places[a2, 0], places[a3, 0]
    s0, s1, s2, s3 = places[a0, 1], places[a1, 1], places[a2, 1], places[a3, 1]
    u0, u1, u2, u3 = numbers[a0, 0], numbers[a1, 0], numbers[a2, 0], numbers[a3, 0]
    c0, c1, c2, c3 = charges[y0, a0], charges[y1, a1], charges[y2, a2], charges[y3, a3]
    t0, t1 = (width if s0 < 0 else 0), (width if s1 < 0 else 0)
    t2, t3 = (width if s2 < 0 else 0), (width if s3 < 0 else 0)
    track[0, t0], track[1, t1], track[2, t2], track[3, t3] = c0, c1, c2, c3
    for i in range(width):
        c0 = next_charge(sci[y0, np.uint64(x0 + s0 * i)], u0, c0)
        c1 = next_charge(sci[y1, np.uint64(x1 + s1 * i)], u1, c1)
        c2 = next_charge(sci[y2, np.uint64(x2 + s2 * i)], u2, c2)
        c3 = next_charge(sci[y3, np.uint64(x3 + s3 * i)], u3, c3)
        track[0, np.uint64(t0 + s0 * (i + 1))] = c0
        track[1, np.uint64(t1 + s1 * (i + 1))] = c1
        track[2, np.uint64(t2 + s2 * (i + 1))] = c2
        track[3, np.uint64(t3 + s3 * (i + 1))] = c3
