"""Cosmic rays: exposures of one field are compared, what differs is left out (CRCORR, RPTCORR).

Each pixel of each exposure is compared with what the others say, in several passes with
falling limits; the rest is averaged with the exposure times as weights. A pass needs the
average of the pass before a few lines ahead and nothing else, so all passes move over the
image together, some rows apart, while these are in the cache. Sources: ACS Data Handbook
3.4.8; calacs acsrej.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from calib.compiled import new_planes, planes
from calib.errors import DataError
from calib.image import Flags, Float, Image
from calib.steps.count_rates import CountRates
from calib.steps.first_guess import take_median, take_minimum
from calib.steps.rejection_rows import (
    EXCLUDED,
    HIT,
    REJECTED,
    SPILL,
    add_rows,
    add_variances,
    finish_error,
    finish_signal,
    mark_rows,
    merge_flags,
    update_average,
)
from calib.steps.sky import measure_skies

ROWS = 16  # of a block: those of all passes and of a few exposures fit into the cache
FEWEST, MOST = 2, 120  # exposures; MAX_FILES of calacs
MASK_COLUMNS = 8  # :func:`keep_last_columns`


@dataclass(frozen=True)
class Rejection:
    """How cosmic rays are told from noise: a row of CRREJTAB.

    Attributes
    ----------
    sigmas
        Limit of each pass, in units of the noise.
    radius
        Neighbours of a hit up to this distance [pixels] are tested too.
    threshold
        Their limit, in units of that of a hit; 0 or less rejects all of them.
    scale_noise
        Noise in units of the signal, for what moved between the exposures (SCALENSE / 100).
    bad
        Mask of flags whose pixels are not used (BADINPDQ).
    first_guess
        ``min`` or ``med``.
    sky
        ``mode`` or ``none``.
    """

    sigmas: tuple[float, ...]
    radius: float
    threshold: float
    scale_noise: float
    bad: int
    first_guess: Literal["min", "med"] = "min"
    sky: Literal["mode", "none"] = "mode"


class Combined(NamedTuple):
    """What several exposures become.

    Attributes
    ----------
    image
        Sum over all exposures [electrons]: average rate times total time, plus the sky.
    flags
        Flags of each exposure with 8192 where it was rejected, and nowhere else.
    rejected
        How many pixels of all exposures were left out as cosmic rays or their neighbours.
    skies
        Sky level of each exposure [electrons].
    sky
        Their sum, at least 0.
    seconds
        Total exposure time, or the number of exposures where all times are 0.
    """

    image: Image
    flags: tuple[Flags, ...]
    rejected: int
    skies: tuple[float, ...]
    sky: float
    seconds: float


def combine_exposures(
    images: Sequence[Image],
    seconds: Sequence[float],
    rejection: Rejection,
    *,
    use_excluded: bool = False,
    keep_first_error: bool = True,
) -> Combined:
    """Combine exposures of one field, leaving out cosmic rays.

    Parameters
    ----------
    images
        2 to 120, in electrons, of one shape, with errors; before dark and flat. Flagged
        pixels (`rejection.bad`, and :func:`excluding_bits`) are left out. A NaN value is
        no cosmic ray by itself and makes the result NaN, but beside a hit it is left out.
    seconds
        Exposure times, not negative. Those of 0 are left out (but see
        :func:`calib.steps.first_guess.take_minimum`), unless all are: they weigh 1 then.
    rejection
        Parameters.
    use_excluded
        Average flagged pixels too, and let flag 4 count for nothing, as calacs does for bias
        and dark frames.
    keep_first_error
        Leave the error of the first pixel (:func:`spoil_first_error`).

    Returns
    -------
    Combined
        Where no exposure is left, the value is the sky alone and the error 0. Flags are
        those of all exposures together, without 2; 8192 stands where every one was rejected.

    Raises
    ------
    DataError
        As :func:`weigh`; shapes differ, or there is no good pixel for the sky.
    """
    times = weigh(seconds)
    if len(shapes := {image.shape for image in images}) > 1:
        raise DataError("exposures to be combined differ in size", found=sorted(shapes))
    measured = rejection.sky == "mode"
    skies = measure_skies(images, rejection.bad) if measured else (0.0,) * len(images)
    sky = max(running_total(np.array(skies, np.float32)), np.float32(0))
    exposures = [
        CountRates(planes(image), np.array([level, time], np.float32))
        for image, level, time in zip(images, skies, times, strict=True)
    ]
    totals = np.array([running_total(times), sky], np.float32)
    masks = _Masks.of(rejection.bad, use_excluded=use_excluded)
    work = _Combination(exposures, rejection, masks)
    work.carry_out(totals)
    if not keep_first_error:
        spoil_first_error(work.out.err)
    image = Image(*work.out, unit="ELECTRONS")
    return Combined(image, work.flags(), work.rejected, skies, float(sky), float(totals[0]))


def weigh(seconds: Sequence[float]) -> Float:
    """Return the weights of exposures: their times, or 1 where all of these are 0 (biases).

    Raises
    ------
    DataError
        There are fewer than 2 exposures or more than 120, a time is negative or not a number,
        or just one is positive.
    """
    if not FEWEST <= len(seconds) <= MOST:
        raise DataError(
            "too few or too many exposures to reject cosmic rays",
            expected=f"{FEWEST} to {MOST}",
            found=len(seconds),
        )
    times = np.array(seconds, np.float32)
    weights = times if times.any() else np.ones_like(times)
    if not (np.isfinite(times) & (times >= 0)).all() or (weights > 0).sum() < FEWEST:
        raise DataError(
            "EXPTIME is not usable",
            expected="seconds >= 0, and more than 0 in two exposures or in none",
            found=[float(time) for time in times],
        )
    return weights


def excluding_bits(*, use_excluded: bool) -> int:
    """Return the bits that leave a pixel out of the average: a trap.

    The marks of a hit (8), a neighbour (2) and an excluded pixel (4) live in the copy of the
    input's flags, so a pixel that came with 2, 4 or 8 is left out even where BADINPDQ does
    not name these flags. In bias and dark frames 4 does not count.
    """
    return HIT | SPILL | (0 if use_excluded else EXCLUDED)


def spoil_first_error(err: Float) -> None:
    """Set the first error of a combined image to -1, in place to spare a copy: a trap.

    The program marks the image so; statistics leave the pixel out, as ERR > 0 fails, and the
    error of the product there is that of dark and flat with 1.
    """
    err[0, 0] = -1


def keep_last_columns(marked: Flags, came: Flags) -> Flags:
    """Return marked flags with the last columns as they came: a trap.

    CRMASK is written in whole bytes of eight columns; the rest of a width that is no multiple
    of 8 is not changed.
    """
    columns = marked.shape[1] // MASK_COLUMNS * MASK_COLUMNS
    if columns == marked.shape[1]:
        return marked
    return np.concatenate([marked[:, :columns], came[:, columns:]], axis=1)


def running_total(values: Float) -> np.float32:
    """Return the sum in 32 bits, in the order of the exposures."""
    return np.float32(np.cumsum(values, dtype=np.float32)[-1])


class _Masks(NamedTuple):
    """Flags that guess and passes pass over, and states that are not averaged."""

    guess: int
    passes: int
    states: int

    @classmethod
    def of(cls, bad: int, *, use_excluded: bool) -> _Masks:
        """Return the masks of BADINPDQ; the first guess passes over 4 in any case."""
        passes = bad & ~EXCLUDED if use_excluded else bad
        return cls(bad, passes, excluding_bits(use_excluded=use_excluded))


class _Pass:
    """One pass: its limits, how many rows are done, and which neighbours of hits lie ahead."""

    def __init__(self, exposures: Sequence[CountRates], rejection: Rejection, sigma: float) -> None:
        squares = np.array([sigma, rejection.threshold, rejection.radius], np.float32) ** 2
        share = squares[1] if rejection.threshold > 0 else -1
        self.reach = math.ceil(rejection.radius)
        numbers = [squares[0], rejection.scale_noise, share, squares[2], self.reach]
        self.limits = [np.array([*exposure.scale, *numbers], "f4") for exposure in exposures]
        width = exposures[0].pixels.sci.shape[1]
        self.spilled = np.zeros((len(exposures), ROWS + self.reach, width), np.bool_)
        self.done = 0

    def move_on(self, rows: int) -> None:
        """Take so many rows as done."""
        self.spilled[:, : self.reach] = self.spilled[:, rows : rows + self.reach].copy()
        self.spilled[:, self.reach :] = False
        self.done += rows


class _Combination:
    """A combination in progress; `out.sci` holds the average rates of the passes so far."""

    def __init__(
        self, exposures: Sequence[CountRates], rejection: Rejection, masks: _Masks
    ) -> None:
        self.exposures = exposures
        self.used = [exposure for exposure in exposures if exposure.seconds > 0]
        self.passes = [_Pass(self.used, rejection, sigma) for sigma in rejection.sigmas]
        self.guess = take_median if rejection.first_guess == "med" else take_minimum
        self.masks = masks
        self.out = new_planes(exposures[0].pixels.sci.shape)
        self.out.dq.fill(REJECTED)
        self.marked = [np.empty_like(exposure.pixels.dq) for exposure in self.used]
        self.rejected = 0
        width = self.out.sci.shape[1]
        self._states = np.empty((ROWS, width), np.int16)
        self._sums = np.empty((3, ROWS, width), np.float32)

    def carry_out(self, totals: Float) -> None:
        """Take the first guess, and let the passes follow as far as the rows ahead allow."""
        ny = self.out.sci.shape[0]
        for start in range(0, ny, ROWS):
            stop = min(start + ROWS, ny)
            block = [exposure.rows(start, stop) for exposure in self.exposures]
            self.out.sci[start:stop] = self.guess(block, self.masks.guess)
            for one in self.passes:
                stop = ny if stop == ny else stop - one.reach
                while one.done < stop:
                    rows = min(ROWS, stop - one.done)
                    self._carry_out_block(one, rows, totals)
                    one.move_on(rows)

    def flags(self) -> tuple[Flags, ...]:
        """Return the flags of all exposures, marked; those of 0 seconds just lose 8192."""
        marked = iter(self.marked)
        return tuple(
            next(marked) if exposure.seconds > 0 else exposure.pixels.dq & np.int16(~REJECTED)
            for exposure in self.exposures
        )

    def _carry_out_block(self, one: _Pass, rows: int, totals: Float) -> None:
        block = slice(one.done, one.done + rows)
        sums, seconds, variances = (plane[:rows] for plane in self._sums)
        self._sums.fill(0)
        states = self._states[:rows]
        for n, exposure in enumerate(self.used):
            ahead = exposure.rows(block.start, block.stop + one.reach).pixels
            average = self.out.sci[block.start : block.stop + one.reach]
            mark_rows(ahead, one.limits[n], self.masks.passes, average, one.spilled[n], states)
            add_rows(ahead, one.limits[n], self.masks.states, states, sums, seconds)
            if one is self.passes[-1]:
                dq, err = exposure.pixels.dq[block], exposure.pixels.err[block]
                add_variances(err, self.masks.states, states, variances)
                self.rejected += merge_flags(
                    dq, one.spilled[n], states, self.out.dq[block], self.marked[n][block]
                )
        if one is self.passes[-1]:
            finish_signal(sums, seconds, totals, self.out.sci[block])
            finish_error(variances, seconds, totals, self.out.err[block])
        else:
            update_average(sums, seconds, self.out.sci[block])
