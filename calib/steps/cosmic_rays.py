"""Cosmic rays: exposures of one field are compared, what differs is left out (CRCORR, RPTCORR).

Each pixel of each exposure is compared with what the others say, in several passes with
falling limits; the rest is averaged with the exposure times as weights. Sources: ACS Data
Handbook 3.4.8; calacs acsrej.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from calib.arithmetic.rejection import differs, hit_limit, spill_limit
from calib.compiled import Planes, Stack, compiled, new_planes
from calib.dq import AcsDq
from calib.errors import DataError
from calib.image import Flags, Float, Image
from calib.steps.first_guess import take_median, take_minimum
from calib.steps.sky import measure_skies

# Working marks of a pass, kept in the copy of the flags as the program does: they share
# their bits with flags of the input (:func:`excluding_bits`).
HIT, SPILL, EXCLUDED = 8, 2, 4
REJECTED = int(AcsDq.CR_REJECTED)
LOST = int(AcsDq.DATA_LOST)
MASK_COLUMNS = 8  # :func:`masked_columns`


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
        Sum over all exposures [electrons]: average rate times total time, plus the skies.
    rejected
        Which pixels of each exposure were left out as cosmic rays, shape (images, ny, nx).
    skies
        Sky level of each exposure [electrons].
    seconds
        Total exposure time.
    """

    image: Image
    rejected: npt.NDArray[np.bool_]
    skies: tuple[float, ...]
    seconds: float


def combine_exposures(
    images: Sequence[Image],
    seconds: Sequence[float],
    rejection: Rejection,
    *,
    use_excluded: bool = False,
) -> Combined:
    """Combine exposures of one field, leaving out cosmic rays.

    Parameters
    ----------
    images
        At least two, in electrons, of one shape, with errors; before dark and flat. Flagged
        pixels (`rejection.bad`, and :func:`excluding_bits`) are left out. A NaN value is
        never a cosmic ray and makes the result NaN.
    seconds
        Exposure times, all positive.
    rejection
        Parameters.
    use_excluded
        Average flagged pixels too, as calacs does for bias and dark frames.

    Returns
    -------
    Combined
        Where no exposure is left, the value is the sky alone and the error 0. Flags are
        those of all exposures together, without 2; 8192 stands where every one was rejected.

    Raises
    ------
    DataError
        There are fewer than two images, shapes differ, a time is not positive, or there
        is no good pixel for the sky.
    """
    _check(images, seconds)
    times = np.array(seconds, np.float32)
    measured = rejection.sky == "mode"
    skies = measure_skies(images, rejection.bad) if measured else (0.0,) * len(images)
    rates = _rates(images, skies, times)
    guess = take_median if rejection.first_guess == "med" else take_minimum
    out, sums = new_planes(images[0].shape), np.empty((2, *images[0].shape), np.float32)
    out.sci[...] = guess(rates, rejection.bad)
    masks = np.array([rejection.bad, excluding_bits(use_excluded=use_excluded)], np.int32)
    for sigma in rejection.sigmas:
        rates = rates._replace(dq=np.array([image.dq for image in images], np.int16))
        _reject(rates, times, _limits(rejection, sigma), masks, out, sums)
    total, image = _sum_up(out, sums[1], times, skies)
    return Combined(image, np.isin(rates.dq, (HIT, SPILL)), skies, total)


def excluding_bits(*, use_excluded: bool) -> int:
    """Return the bits that leave a pixel out of the average: a trap.

    The marks of a hit (8), a neighbour (2) and an excluded pixel (4) live in the copy of the
    input's flags, so a pixel that came with 2, 4 or 8 is left out even where BADINPDQ does
    not name these flags. In bias and dark frames 4 does not count.
    """
    return HIT | SPILL | (0 if use_excluded else EXCLUDED)


def masked_columns(width: int) -> int:
    """Return how many columns of an exposure's flags CRMASK changes: a trap.

    The program writes whole bytes of eight columns; the rest of a width that is no
    multiple of 8 stays unmarked.
    """
    return width // MASK_COLUMNS * MASK_COLUMNS


def mark_rejected(image: Image, rejected: npt.NDArray[np.bool_], columns: int) -> Flags:
    """Return the flags of an exposure with 8192 where it was rejected, and nowhere else.

    Parameters
    ----------
    rejected
        Shape of the image.
    columns
        Only the first so many columns are changed.
    """
    flags = image.dq.copy()
    part = (slice(None), slice(0, columns))
    flags[part] = (flags[part] & ~np.int16(REJECTED)) | (rejected[part] * np.int16(REJECTED))
    return flags


def spoil_first_error(err: Float) -> Float:
    """Return the errors with -1 in the first pixel: a trap.

    The program marks the combined image so; statistics leave the pixel out, as ERR > 0
    fails, and the error of the product there is that of dark and flat with 1.
    """
    spoilt = err.copy()
    spoilt[0, 0] = -1
    return spoilt


def _check(images: Sequence[Image], seconds: Sequence[float]) -> None:
    if len(images) < 2:  # noqa: PLR2004 - there is nothing to compare one exposure with
        raise DataError("too few exposures to reject cosmic rays", expected=2, found=len(images))
    if len(shapes := {image.shape for image in images}) > 1:
        raise DataError("exposures to be combined differ in size", found=sorted(shapes))
    if not all(np.isfinite(time) and time > 0 for time in seconds):
        raise DataError("EXPTIME is not usable", expected="seconds > 0", found=list(seconds))


def _rates(images: Sequence[Image], skies: Sequence[float], times: Float) -> Stack:
    rates = [
        (image.sci - np.float32(sky)) / time
        for image, sky, time in zip(images, skies, times, strict=True)
    ]
    errors = [image.err for image in images]
    flags = [image.dq for image in images]
    return Stack(np.array(rates, "f4"), np.array(errors, "f4"), np.array(flags, "i2"))


def _limits(rejection: Rejection, sigma: float) -> Float:
    """Return sigma², scale noise, threshold (negative: none) and radius² in 32 bits."""
    single = np.array([sigma, rejection.scale_noise, rejection.threshold, rejection.radius], "f4")
    single[0] *= single[0]
    single[3] *= single[3]
    return single


def _sum_up(
    out: Planes, weight: Float, times: Float, skies: Sequence[float]
) -> tuple[float, Image]:
    """Turn averages into sums over the total time, and variances into errors."""
    total = running_total(times)
    kept = weight > 0
    sky = max(running_total(np.array(skies, np.float32)), np.float32(0))
    sci = np.where(kept, out.sci, np.float32(0)) * total + sky
    share = np.divide(total, weight, out=np.zeros_like(weight), where=kept)
    err = (share.astype(np.float64) * np.sqrt(out.err.astype(np.float64))).astype(np.float32)
    return float(total), Image(sci, err, out.dq, unit="ELECTRONS")


def running_total(values: Float) -> np.float32:
    """Return the sum in 32 bits, in the order of the exposures."""
    return np.float32(np.cumsum(values, dtype=np.float32)[-1])


@compiled("void", "out stack", "f4[:]", "f4[:]", "i4[:]", "out planes", "out f4[:,:,:]")
def _reject(
    rates: Stack,
    seconds: Float,
    limits: Float,
    masks: npt.NDArray[np.int32],
    out: Planes,
    sums: Float,
) -> None:
    """Do one pass: mark hits line by line, average the rest at once.

    `out.sci` holds the averages so far; lines ahead still have those of the pass before.
    `sums` has the sums of rate times time and of times, shape (2, ny, nx).
    """
    images, ny, nx = rates.sci.shape
    for y in range(ny):
        for x in range(nx):
            sums[0, y, x], sums[1, y, x] = 0, 0
            out.err[y, x], out.dq[y, x] = 0, REJECTED
        for n in range(images):
            _exclude_line(rates, n, y, masks[0], out)
            _mark_line(rates, n, y, seconds[n], limits, out.sci)
            _add_line(rates, n, y, seconds[n], masks[1], out, sums)
        for x in range(nx):
            if sums[1, y, x] > 0:
                out.sci[y, x] = sums[0, y, x] / sums[1, y, x]


@compiled("void", "out stack", "i8", "i8", "i4", "out planes")
def _exclude_line(rates: Stack, n: int, y: int, bad: int, out: Planes) -> None:
    """Collect the flags of a line, and mark flagged pixels; one that is just 2 is not."""
    for x in range(rates.sci.shape[2]):
        state = rates.dq[n, y, x]
        out.dq[y, x] |= state & ~(REJECTED | LOST)
        if (state & bad) != 0 and state != SPILL:
            rates.dq[n, y, x] = EXCLUDED


@compiled("void", "out stack", "i8", "i8", "f4", "f4[:]", "out f4[:,:]")
def _mark_line(rates: Stack, n: int, y: int, seconds: float, limits: Float, average: Float) -> None:
    """Mark the hits of a line of one image, and their neighbours."""
    for x in range(rates.sci.shape[2]):
        limit = hit_limit(rates.err[n, y, x], average[y, x], seconds, limits[0], limits[1])
        if not differs(rates.sci[n, y, x], average[y, x], limit):
            continue
        if rates.dq[n, y, x] != EXCLUDED:
            rates.dq[n, y, x] = HIT
            _mark_neighbours(rates, n, np.array([y, x]), seconds, limits, average)


@compiled("void", "out stack", "i8", "i8[:]", "f4", "f4[:]", "out f4[:,:]")
def _mark_neighbours(
    rates: Stack,
    n: int,
    centre: npt.NDArray[np.int64],
    seconds: float,
    limits: Float,
    average: Float,
) -> None:
    """Mark neighbours of a hit as touched by it: a trap, lines before it are out of reach.

    They have been averaged already. A mark replaces the flags of the input, so a neighbour on
    a later line loses them in the combined image too.
    """
    _, ny, nx = rates.sci.shape
    y0, x0, reach = centre[0], centre[1], int(np.ceil(np.sqrt(limits[3])))
    for y in range(y0, min(y0 + reach, ny - 1) + 1):
        for x in range(max(x0 - reach, 0), min(x0 + reach, nx - 1) + 1):
            distance = np.float32((y - y0) ** 2 + (x - x0) ** 2)
            if distance > limits[3] or rates.dq[n, y, x] == HIT:
                continue
            limit = spill_limit(rates.err[n, y, x], seconds, limits[0], limits[2])
            if limits[2] <= 0 or differs(rates.sci[n, y, x], average[y, x], limit):
                rates.dq[n, y, x] = SPILL


@compiled("void", "out stack", "i8", "i8", "f4", "i4", "out planes", "out f4[:,:,:]")
def _add_line(
    rates: Stack,
    n: int,
    y: int,
    seconds: float,
    excluding: int,
    out: Planes,
    sums: Float,
) -> None:
    """Add a line to the sums, and take 8192 away where it is good."""
    for x in range(rates.sci.shape[2]):
        state, error = rates.dq[n, y, x], rates.err[n, y, x]
        if (state & excluding) == 0:
            sums[0, y, x] = sums[0, y, x] + rates.sci[n, y, x] * seconds
            sums[1, y, x] = sums[1, y, x] + seconds
            out.err[y, x] = out.err[y, x] + error * error
        if state not in (HIT, SPILL):
            out.dq[y, x] &= ~REJECTED
