"""Cosmic-ray rejection of a block of rows of one exposure, and the average of several.

Rows depend on those before them only through the neighbours of cosmic rays, which the caller
carries from block to block, so blocks of any size give the same bits.

Source: calacs acsrej.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from calib.arithmetic.rejection import agrees, count_rate, differs, hit_limit, spill_limit
from calib.compiled import Planes, compiled
from calib.dq import AcsDq
from calib.image import Flags, Float

Marks = npt.NDArray[np.bool_]

# States of a pixel in a pass; as in the program they share their bits with the flags of the
# input (:func:`calib.steps.cosmic_rays.excluding_bits`).
HIT, SPILL, EXCLUDED = 8, 2, 4
REJECTED = int(AcsDq.CR_REJECTED)
LOST = int(AcsDq.DATA_LOST)

# The first two numbers of a pass are :attr:`calib.steps.count_rates.CountRates.scale`, then
# come sigma², scale noise, threshold² (negative: none), radius² and the rows it reaches.
SKY, SECONDS, SIGMA, NOISE, SHARE, RADIUS, REACH = range(7)
WORD = 8  # candidates are looked through so many at a time


@compiled("void", "planes", "f4[:]", "i4", "f4[:,:]", "out b1[:,:]", "out i2[:,:]")
def mark_rows(
    image: Planes, limits: Float, bad: int, average: Float, spilled: Marks, states: Flags
) -> None:
    """Find the state of each pixel of a block in one pass.

    Parameters
    ----------
    image, average
        The block and, as far as there are any, the rows ahead that neighbours reach. The
        average is that of the pass before.
    limits
        Numbers of the pass.
    bad
        Mask of flags whose pixels are not used.
    spilled
        Neighbours of hits on lines before them: of the block, marked by the caller where
        blocks before reached into it, and of as many rows ahead.
    states
        Becomes HIT, SPILL, EXCLUDED or the flags; its shape is that of the block.
    """
    rows, columns = states.shape
    words = np.zeros(columns // WORD + 1, np.int64)
    candidates = words.view(np.bool_)
    for y in range(rows):
        _enter_row(image.dq[y], spilled[y], bad, states[y])
        _test_row(image.sci[y], image.err[y], average[y], limits, candidates)
        for place in range(words.size):
            if words[place] == 0:
                continue
            for x in range(place * WORD, min(place * WORD + WORD, columns)):
                if candidates[x] and states[y, x] != EXCLUDED:
                    states[y, x] = HIT
                    _mark_neighbours(image, y, x, limits, average, spilled, states)


@compiled("void", "i2[:]", "b1[:]", "i4", "out i2[:]")
def _enter_row(dq: Flags, spilled: Marks, bad: int, states: Flags) -> None:
    """Set the states of a row: a flag of BADINPDQ excludes, but not one that is just 2."""
    for x in range(states.size):
        state = SPILL if spilled[x] else dq[x]
        states[x] = EXCLUDED if (state & bad) != 0 and state != SPILL else state


@compiled("void", "f4[:]", "f4[:]", "f4[:]", "f4[:]", "out b1[:]")
def _test_row(sci: Float, err: Float, average: Float, limits: Float, candidates: Marks) -> None:
    """Find what differs from the average, whatever its state."""
    sky, time, sigma, noise = limits[SKY], limits[SECONDS], limits[SIGMA], limits[NOISE]
    for x in range(sci.size):
        rate = count_rate(sci[x], sky, time)
        limit = hit_limit(err[x], average[x], time, sigma, noise)
        candidates[x] = differs(rate, average[x], limit)


@compiled("void", "planes", "i8", "i8", "f4[:]", "f4[:,:]", "out b1[:,:]", "out i2[:,:]")
def _mark_neighbours(
    image: Planes,
    y0: int,
    x0: int,
    limits: Float,
    average: Float,
    spilled: Marks,
    states: Flags,
) -> None:
    """Mark neighbours of a hit as touched by it: a trap, lines before it are out of reach.

    They have been averaged already. A mark replaces the flags of the input, so a neighbour on
    a later line loses them in the combined image too.
    """
    ny, nx = image.sci.shape
    reach = int(limits[REACH])
    for y in range(y0, min(y0 + reach, ny - 1) + 1):
        for x in range(max(x0 - reach, 0), min(x0 + reach, nx - 1) + 1):
            if np.float32((y - y0) ** 2 + (x - x0) ** 2) > limits[RADIUS]:
                continue
            rate = count_rate(image.sci[y, x], limits[SKY], limits[SECONDS])
            limit = spill_limit(image.err[y, x], limits[SECONDS], limits[SIGMA], limits[SHARE])
            if agrees(rate, average[y, x], limit):
                continue
            if y > y0:
                spilled[y, x] |= image.dq[y, x] != HIT
            elif states[y, x] != HIT:
                states[y, x] = SPILL


@compiled("void", "planes", "f4[:]", "i4", "i2[:,:]", "out f4[:,:]", "out f4[:,:]")
def add_rows(
    image: Planes, limits: Float, excluding: int, states: Flags, sums: Float, seconds: Float
) -> None:
    """Add rate times time, and time, of the pixels whose states have none of the bits."""
    rows, columns = states.shape
    sky, time = limits[SKY], limits[SECONDS]
    for y in range(rows):
        for x in range(columns):
            kept = (states[y, x] & excluding) == 0
            counts = count_rate(image.sci[y, x], sky, time) * time
            sums[y, x] = sums[y, x] + counts if kept else sums[y, x]
        for x in range(columns):
            kept = (states[y, x] & excluding) == 0
            seconds[y, x] = seconds[y, x] + time if kept else seconds[y, x]


@compiled("void", "f4[:,:]", "i4", "i2[:,:]", "out f4[:,:]")
def add_variances(err: Float, excluding: int, states: Flags, variances: Float) -> None:
    """Add the squared errors of the pixels whose states have none of the bits."""
    rows, columns = states.shape
    for y in range(rows):
        for x in range(columns):
            kept = (states[y, x] & excluding) == 0
            variance = variances[y, x] + err[y, x] * err[y, x]
            variances[y, x] = variance if kept else variances[y, x]


@compiled("i8", "i2[:,:]", "b1[:,:]", "i2[:,:]", "out i2[:,:]", "out i2[:,:]")
def merge_flags(dq: Flags, spilled: Marks, states: Flags, merged: Flags, marked: Flags) -> int:
    """Merge the flags of an exposure into those of all, and mark its cosmic rays.

    Parameters
    ----------
    dq
        Flags of the input.
    spilled, states
        As the last pass left them (:func:`mark_rows`).
    merged
        Flags of all exposures; 8192 is taken away where this one is good.
    marked
        Becomes `dq` with 8192 where the exposure was rejected, and nowhere else.

    Returns
    -------
    int
        How many pixels were rejected.
    """
    rows, columns = states.shape
    count = 0
    for y in range(rows):
        for x in range(columns):
            rejected = states[y, x] == HIT or states[y, x] == SPILL
            told = 0 if spilled[y, x] else dq[y, x] & ~(REJECTED | LOST)
            merged[y, x] = (merged[y, x] | told) & (-1 if rejected else ~REJECTED)
            marked[y, x] = (dq[y, x] & ~REJECTED) | (REJECTED if rejected else 0)
            count += rejected
    return count


@compiled("void", "f4[:,:]", "f4[:,:]", "out f4[:,:]")
def update_average(sums: Float, seconds: Float, average: Float) -> None:
    """Set the average rate where any exposure is left; elsewhere that of the pass before stays."""
    rows, columns = sums.shape
    for y in range(rows):
        for x in range(columns):
            kept = seconds[y, x] > 0
            average[y, x] = sums[y, x] / seconds[y, x] if kept else average[y, x]


@compiled("void", "f4[:,:]", "f4[:,:]", "f4[:]", "out f4[:,:]")
def finish_signal(sums: Float, seconds: Float, totals: Float, sci: Float) -> None:
    """Set average rate times total time plus sky; the sky alone where no exposure is left.

    `totals` are the total time and the total sky.
    """
    rows, columns = sums.shape
    for y in range(rows):
        for x in range(columns):
            rate = sums[y, x] / seconds[y, x] if seconds[y, x] > 0 else np.float32(0)
            sci[y, x] = rate * totals[0] + totals[1]


@compiled("void", "f4[:,:]", "f4[:,:]", "f4[:]", "out f4[:,:]")
def finish_error(variances: Float, seconds: Float, totals: Float, err: Float) -> None:
    """Set the error of the sum, 0 where no exposure is left; the root is taken in 64 bits."""
    rows, columns = variances.shape
    for y in range(rows):
        for x in range(columns):
            share = totals[0] / seconds[y, x] if seconds[y, x] > 0 else np.float32(0)
            err[y, x] = np.float64(share) * np.sqrt(np.float64(variances[y, x]))
