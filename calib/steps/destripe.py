"""Bias level and stripes of the WFC since Servicing Mission 4, for the four amplifiers together.

1/f noise of the common reference voltage gives each row read a level of its own, the same for
all amplifiers. It is measured in the 24 columns of leading overscan of each amplifier. First
the columns that matter are gathered (:func:`gather_rows`, each row by itself), then levels and
stripes are found (:func:`measure_stripes`) and subtracted (:func:`subtract_stripes`, each row
by itself). Rows are counted as they are read: amplifiers A and B begin at the top.

Sources: ACS ISR 2011-05; ACS Data Handbook 3.4.4; calacs destripe.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from calib.arithmetic.electronics import stripe_at, subtract_stripe
from calib.compiled import compiled
from calib.errors import DataError, UnsupportedMode
from calib.image import Float, Image
from calib.steps.bias_shift import FROM_RIGHT, FROM_TOP, GAP
from calib.steps.line import Doubles, ordered_sum

Booleans = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

# All of calacs destripe.
AMPLIFIERS = "ABCD"
BIAS_COLUMNS = 24  # leading overscan
STABLE_COLUMNS = slice(12, 24)  # those that have settled after the row before
EDGE_COLUMNS = slice(24, 30)  # science columns whose trails reach into the overscan
GATHERED = 30
VIRTUAL_ROWS = 20
MINIMUM_COLUMNS = 35  # per amplifier

COLUMN_EDGE_LIMIT = 50_000  # electrons: brighter rows do not enter the column means
COLUMN_SIGMA, COLUMN_PASSES = 5.0, 4
ROW_EDGE_LIMIT = 70_000  # electrons: brighter rows are bad
ROW_EXCESS_LIMIT = 100  # electrons by which a row may differ from the mean row
LEVEL_DEVIATIONS, LEVEL_PASSES = 6.0, (6, 11)  # least and most passes
NOISE_LIMIT = 15.0  # electrons: scatter of the bias columns of one row
LEAST_AMPLIFIERS = 2


class AmplifierRows(NamedTuple):
    """What is needed of the rows of one amplifier, in the order of the image's rows.

    Attributes
    ----------
    pixels
        Shape (ny, 30): the columns read first [electrons].
    totals
        Shape (ny,): sum of the science columns, those from 24 on [electrons].
    columns
        Columns of the amplifier.
    """

    pixels: Float
    totals: Doubles
    columns: int


class ChipStripes(NamedTuple):
    """What is to be subtracted from one chip.

    Attributes
    ----------
    levels
        Shape (nx,): level of the amplifier of each column [electrons].
    phases
        Shape (nx,): time at which each column is read, in rows after the middle of the bias
        columns.
    rows
        Shape (ny,): stripe of each row in the order of the readout [electrons].
    from_top
        Whether the last row of the image is read first.
    """

    levels: Doubles
    phases: Doubles
    rows: Doubles
    from_top: bool


class Stripes(NamedTuple):
    """Levels and stripes of a frame.

    Attributes
    ----------
    levels
        Of each amplifier [electrons] (to be added to BIASLEVx).
    rows
        Shape (ny,), electrons: stripe of each row in the order of the readout; 0 where fewer
        than two amplifiers are good.
    fixed, skipped
        How many rows have a stripe, and how many do not (HISTORY).
    """

    levels: dict[str, float]
    rows: Doubles
    fixed: int
    skipped: int

    def chip(self, names: tuple[str, ...], nx: int) -> ChipStripes:
        """Return the part of a chip of `nx` columns, its amplifiers from left to right."""
        width = nx // len(names)
        levels, phases = np.empty(nx), np.empty(nx)
        ramp = (np.arange(width) - (BIAS_COLUMNS - 1) / 2) / (width + GAP)
        for k, name in enumerate(names):
            part = slice(k * width, (k + 1) * width)
            levels[part] = self.levels[name]
            phases[part] = ramp[::-1] if name in FROM_RIGHT else ramp
        return ChipStripes(levels, phases, self.rows, names[0] in FROM_TOP)

    def mean_level(self, names: tuple[str, ...]) -> float:
        """Return the mean level of a chip's amplifiers [electrons] (MEANBLEV).

        A trap: where the bias shift has been removed before, most of the level has gone with
        it, and MEANBLEV is only what is left, near 0.
        """
        return sum(self.levels[name] for name in names) / len(names)


def gather_rows(image: Image, names: tuple[str, ...]) -> dict[str, AmplifierRows]:
    """Gather what :func:`measure_stripes` needs of a block of rows. Each row by itself.

    Parameters
    ----------
    image
        Whole rows of a chip, in electrons, with overscan.
    names
        Letters of its two amplifiers, left to right.

    Raises
    ------
    UnsupportedMode
        An amplifier has fewer than 35 columns.
    """
    width = image.shape[1] // len(names)
    if width < MINIMUM_COLUMNS:
        raise UnsupportedMode(
            "too few columns to find stripes",
            expected=f"{MINIMUM_COLUMNS} per amplifier",
            found=width,
        )
    sci = np.ascontiguousarray(image.sci, np.float32)
    gathered = {}
    for k, name in enumerate(names):
        backward = name in FROM_RIGHT
        part = sci[:, k * width : (k + 1) * width]
        totals = np.empty(image.shape[0])
        first = k * width + (0 if backward else BIAS_COLUMNS)
        _row_totals(sci, first, first + width - BIAS_COLUMNS, totals)
        pixels = part[:, : -GATHERED - 1 : -1] if backward else part[:, :GATHERED]
        gathered[name] = AmplifierRows(np.ascontiguousarray(pixels), totals, width)
    return gathered


def join_rows(blocks: Sequence[Mapping[str, AmplifierRows]]) -> dict[str, AmplifierRows]:
    """Return the rows of a chip from those of its blocks, the first rows of the image first."""
    return {
        name: AmplifierRows(
            np.concatenate([block[name].pixels for block in blocks]),
            np.concatenate([block[name].totals for block in blocks]),
            one.columns,
        )
        for name, one in blocks[0].items()
    }


def measure_stripes(rows: Mapping[str, AmplifierRows]) -> Stripes:
    """Find the level of each amplifier and the stripe of each row.

    Parameters
    ----------
    rows
        Of all four amplifiers, whole chips. Flags are not looked at. Rows in which a pixel is
        NaN or infinite count as bad (calacs would spread them over the amplifier).

    Raises
    ------
    UnsupportedMode
        Not the four amplifiers, or not more than 20 rows of one number.
    DataError
        An amplifier has no usable rows.
    """
    ny = _count_rows(rows)
    bias, good, levels = [], [], {}
    for name in AMPLIFIERS:
        read = _as_read(rows[name], name)
        columns = flatten_columns(read)
        usable = good_rows(read, columns)
        levels[name] = find_level(columns[usable], name)
        bias.append(columns - levels[name])
        good.append(usable)
    stripes, found = row_stripes(bias, good)
    fixed = int(found.sum())
    return Stripes(levels, stripes, fixed, ny - fixed)


def subtract_stripes(image: Image, stripes: ChipStripes, first_row: int = 0) -> Image:
    """Subtract level and stripes. Each row by itself.

    The stripe of a pixel is that of the moment at which it is read, on a straight line between
    the middle of the bias columns of its row and those of the next row.

    Parameters
    ----------
    image
        Whole rows of the chip, in electrons, with overscan. ERR and DQ are kept; flagged pixels
        are corrected too; NaN stays NaN. (The means of the single bias columns are not
        subtracted from them, as calacs does before it cuts them off.)
    stripes
        Of the chip.
    first_row
        Row of the chip that comes first here.

    Raises
    ------
    DataError
        The chip has no such rows, or other columns.
    """
    rows, columns = stripes.rows.size, stripes.levels.size
    if not 0 <= first_row <= rows - image.shape[0] or image.shape[1] != columns:
        raise DataError("stripes are those of a chip of another size", found=(rows, columns))
    sci, source = np.empty(image.shape, np.float32), np.ascontiguousarray(image.sci, np.float32)
    begin = rows - 1 - first_row if stripes.from_top else first_row
    order = begin + (-1 if stripes.from_top else 1) * np.arange(image.shape[0])
    early = np.flatnonzero(stripes.phases < 0)
    _subtract(source, order, early, stripes.rows, stripes.phases, stripes.levels, sci)
    return dataclasses.replace(image, sci=sci)


def flatten_columns(read: AmplifierRows) -> Doubles:
    """Return the bias columns without the mean profile along them.

    Each row is taken relative to its settled columns; the mean of each column over the rows,
    clipped at 5 sigma about the mean before, is subtracted.

    Raises
    ------
    DataError
        Fewer than two rows are without bright pixels at the edge of the overscan.
    """
    bias = read.pixels[:, :BIAS_COLUMNS].astype(np.float64)
    dark = (read.pixels[:, EDGE_COLUMNS] < COLUMN_EDGE_LIMIT).all(axis=1) & _sound(read)
    if dark.sum() < 2:  # noqa: PLR2004 - no scatter of one row
        raise DataError("no row of the overscan can be used", found=f"{dark.sum()} dark rows")
    settled = bias[dark, STABLE_COLUMNS]
    values = bias[dark] - (_row_sums(settled) / settled.shape[1])[:, np.newaxis]
    mean = values.sum(axis=0) / len(values)
    sigma = _sigma(values - mean, np.ones_like(values, np.bool_))
    for _ in range(COLUMN_PASSES):
        keep = np.abs(values - mean) <= COLUMN_SIGMA * sigma
        sigma = _sigma(values - mean, keep)
        mean = np.where(keep, values, 0.0).sum(axis=0) / keep.sum(axis=0)
    flat: Doubles = bias - mean
    return flat


def good_rows(read: AmplifierRows, bias: Doubles) -> Booleans:
    """Return which rows of an amplifier are good, for its flattened bias columns.

    Not the first one, none with a very bright pixel at the edge of the overscan, and none that
    is more than 100 electrons above or below the mean row.
    """
    science = slice(0, len(bias) - VIRTUAL_ROWS)
    sound = _sound(read)
    width = read.columns - BIAS_COLUMNS
    used = sound[science]
    average = read.totals[science][used].mean() / width - bias[science][used].mean()
    sums = _row_sums(bias)
    pair = (sums[:-1] + sums[1:]) / (2 * BIAS_COLUMNS)
    excess = np.trunc(read.totals[1:] / width - pair - average)
    dark = ~(read.pixels[1:, EDGE_COLUMNS] > ROW_EDGE_LIMIT).any(axis=1)
    good = np.zeros(len(bias), np.bool_)
    good[1:] = (np.abs(excess) <= ROW_EXCESS_LIMIT) & dark & sound[1:]
    return good


def find_level(bias: Doubles, name: str) -> float:
    """Return the mean of the bias columns of the good rows [electrons].

    Pixels that differ from the mean by more than six mean deviations are left out, in six passes
    at least, and eleven at most while there are any.
    Sums run column by column, as in the program: equal to the bit.

    Raises
    ------
    DataError
        There are no good rows.
    """
    if bias.size == 0:
        raise DataError(f"no row of amplifier {name} is good enough to find the bias level")
    values = bias.ravel(order="F")
    least, most = LEVEL_PASSES
    for done in range(1, most + 1):
        offset = np.abs(values - ordered_sum(values) / values.size)
        kept = values[~(offset > LEVEL_DEVIATIONS * (ordered_sum(offset) / values.size))]
        lost, values = values.size - kept.size, kept
        if done >= least and not lost:
            break
    return ordered_sum(values) / values.size


def row_stripes(bias: Sequence[Doubles], good: Sequence[Booleans]) -> tuple[Doubles, Booleans]:
    """Return the stripe of each row, and whether two amplifiers or more were good there.

    The mean over amplifiers of the mean of their bias columns; without those where the columns
    scatter by 15 electrons or more.
    """
    total, count = np.zeros(len(bias[0])), np.zeros(len(bias[0]))
    for columns, usable in zip(bias, good, strict=True):
        mean = _row_sums(columns) / BIAS_COLUMNS
        scatter = _row_sums((columns - mean[:, np.newaxis]) ** 2)
        calm = usable & (np.sqrt(scatter / (BIAS_COLUMNS - 1)) < NOISE_LIMIT)
        total += np.where(calm, mean, 0.0)
        count += calm
    found: Booleans = count >= LEAST_AMPLIFIERS
    return np.where(found, total / np.maximum(count, 1), 0.0), found


def _count_rows(rows: Mapping[str, AmplifierRows]) -> int:
    counts = {len(one.totals) for one in rows.values()}
    if set(rows) != set(AMPLIFIERS) or len(counts) != 1 or min(counts) <= VIRTUAL_ROWS:
        raise UnsupportedMode(
            "stripes are found in full frames of four amplifiers",
            expected=f"A B C D with more than {VIRTUAL_ROWS} rows",
            found=f"{' '.join(sorted(rows))} with {sorted(counts)} rows",
        )
    return counts.pop()


def _as_read(rows: AmplifierRows, name: str) -> AmplifierRows:
    """Return the rows in the order of the readout."""
    order = slice(None, None, -1 if name in FROM_TOP else 1)
    return AmplifierRows(rows.pixels[order], rows.totals[order], rows.columns)


def _sound(read: AmplifierRows) -> Booleans:
    finite: Booleans = np.isfinite(read.pixels).all(axis=1) & np.isfinite(read.totals)
    return finite


def _sigma(offsets: Doubles, keep: Booleans) -> Any:
    squares = np.where(keep, offsets * offsets, 0.0).sum(axis=0)
    return np.sqrt(squares / np.maximum(keep.sum(axis=0) - 1, 1))


def _row_sums(values: Doubles) -> Any:
    """Return the sum of each row, added from left to right as a C loop does."""
    return sum(values.T)


@compiled("void", "f4[:,:]", "i8", "i8", "out f8[:]")
def _row_totals(sci: Float, first: int, end: int, totals: Doubles) -> None:
    """Sum columns of each row in eight interleaved lanes, which are added in order."""
    lanes = np.empty(8)
    for y in range(sci.shape[0]):
        lanes[:] = 0.0
        whole = first + (end - first) // 8 * 8
        for x in range(first, whole, 8):
            for k in range(8):
                lanes[k] += sci[y, x + k]
        for x in range(whole, end):
            lanes[x - whole] += sci[y, x]
        total = 0.0
        for k in range(8):
            total += lanes[k]
        totals[y] = total


@compiled("void", "f4[:,:]", "i8[:]", "i8[:]", "f8[:]", "f8[:]", "f8[:]", "out f4[:,:]")
def _subtract(
    sci: Float,
    order: Integers,
    early: Integers,
    rows: Doubles,
    phases: Doubles,
    levels: Doubles,
    out: Float,
) -> None:
    """Subtract; for the columns read early the line begins at the row before."""
    last = rows.size - 2
    for y in range(sci.shape[0]):
        row = order[y]
        low = min(row, last)
        lower, upper = rows[low], rows[low + 1]
        for x in range(sci.shape[1]):
            stripe = stripe_at(row + phases[x], low, lower, upper)
            out[y, x] = subtract_stripe(sci[y, x], levels[x], stripe)
        low = min(max(row - 1, 0), last)
        for x in early:
            stripe = stripe_at(row + phases[x], low, rows[low], rows[low + 1])
            out[y, x] = subtract_stripe(sci[y, x], levels[x], stripe)
