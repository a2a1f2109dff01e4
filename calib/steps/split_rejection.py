"""Cosmic rays in the exposures of a STIS CR-SPLIT (CRCORR), in DN.

Like :mod:`calib.steps.cosmic_rays`, but the noise is that of the average of the other
exposures, not the error of the pixel itself: a cosmic ray does not raise its own limit.
Sources: STIS Data Handbook 3.4.4; calstis crrej (crrej_init, crrej_loop, crrej_sky).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from calib.dq import StisDq
from calib.errors import DataError
from calib.image import Flags, Float, Image
from calib.steps.cosmic_rays import Combined, Rejection, weigh
from calib.steps.sky import Histogram, find_mode

LOWEST = -1000  # DN: the histogram of the sky begins here at the latest (crrej_sky MINVAL)
REJECTED = np.int16(StisDq.CR_REJECTED)

Marks = npt.NDArray[np.bool_]


class CountNoise(NamedTuple):
    """What makes the noise: electrons per DN, and read noise in electrons."""

    gain: float
    read_noise: float

    def variance(self, counts: Float) -> Float:
        """Return (read noise / gain)² + counts / gain in DN²; counts below 0 add nothing."""
        readout = np.float32((self.read_noise / self.gain) ** 2)
        shot = np.maximum(counts, np.float32(0)) / np.float32(self.gain)
        return (shot + readout).astype(np.float32)


class _Exposure(NamedTuple):
    image: Image
    sky: np.float32
    seconds: np.float32

    @property
    def rate(self) -> Float:
        return (self.image.sci - self.sky) / self.seconds

    def counts(self, rate: Float) -> Float:
        """Return what the exposure counts at a rate, sky and all."""
        return rate * self.seconds + self.sky


def reject_split(
    images: Sequence[Image], seconds: Sequence[float], noise: CountNoise, rejection: Rejection
) -> Combined:
    """Combine the exposures of a split, leaving out cosmic rays.

    Parameters
    ----------
    images
        2 to 120, in DN, of one shape, with bias level and bias subtracted. Pixels with a flag
        of `rejection.bad` are not used. NaN is no cosmic ray by itself and makes the result
        NaN, but beside a hit it is left out.
    seconds
        Exposure times; positive, or all 0 (biases).
    noise
        Of all of them.
    rejection
        Parameters.

    Returns
    -------
    Combined
        Sum over all exposures [DN]: average rate times total time, plus the skies. Where no
        exposure is left, the value is the sky alone and the error 0; 8192 stands where every
        one was rejected. Flags are those of all exposures together.

    Raises
    ------
    DataError
        As :func:`calib.steps.cosmic_rays.weigh`; shapes differ, or there is no good pixel for
        the sky.

    Notes
    -----
    A flagged pixel beside a hit is rejected with it, but is no hit itself; in the program it
    can become one where it comes later on the same or a later row.
    """
    times = weigh(seconds)
    if len(shapes := {image.shape for image in images}) > 1:
        raise DataError("exposures to be combined differ in size", found=sorted(shapes))
    measured = rejection.sky == "mode"
    skies = tuple(measure_sky(image) if measured else 0.0 for image in images)
    exposures = [
        _Exposure(image, np.float32(sky), time)
        for image, sky, time in zip(images, skies, times, strict=True)
    ]
    average, variance = _first_guess(exposures, noise, rejection)
    marks: list[Marks] = []
    for sigma in rejection.sigmas:
        marks = [_reject(e, average, variance, sigma, noise, rejection) for e in exposures]
        average, used = _average(exposures, marks, average, rejection.bad)
        variance = None
    return _combine(exposures, marks, (average, used), noise, rejection)


def measure_sky(image: Image) -> float:
    """Return the mode of the pixels without any flag [DN], from a histogram with bins of 1 DN.

    Raises
    ------
    DataError
        There is no such pixel. NaN and infinite values do not count.
    """
    values = image.sci[(image.dq == 0) & np.isfinite(image.sci)]
    if values.size == 0:
        raise DataError("an image has no good pixel to measure the sky in")
    lowest = min(float(values.min()), 0.0)
    start = LOWEST if lowest < LOWEST else int(lowest) - 1
    mean = float(values.mean(dtype=np.float64))
    end = int(mean + 1) * 2 if mean > 0 else 1
    bins = values.astype(np.int64) - start
    inside = bins[(bins >= 0) & (bins <= end - start)]
    counts = np.bincount(inside, minlength=end - start + 1).astype(np.int32)
    return find_mode(counts, Histogram(counts.size, start, 1.0))


def _first_guess(
    exposures: Sequence[_Exposure], noise: CountNoise, rejection: Rejection
) -> tuple[Float, Float | None]:
    """Return median or smallest rate, flagged or not; with the latter the variance of it."""
    rates = np.stack([exposure.rate for exposure in exposures])
    if rejection.first_guess == "med":
        return np.median(rates, axis=0).astype(np.float32), None
    variances = np.stack(
        [
            (noise.variance(e.image.sci) + _extra(e.image.sci - e.sky, rejection)) / e.seconds**2
            for e in exposures
        ]
    )
    place = rates.argmin(axis=0)[None]
    smallest, variance = (np.take_along_axis(a, place, 0)[0] for a in (rates, variances))
    return smallest, variance


def _extra(counts: Float, rejection: Rejection) -> Float:
    """Return the variance of what moved between the exposures (SCALENSE)."""
    return (np.float32(rejection.scale_noise) * np.maximum(counts, np.float32(0))) ** 2


def _reject(
    exposure: _Exposure,
    average: Float,
    variance: Float | None,
    sigma: float,
    noise: CountNoise,
    rejection: Rejection,
) -> Marks:
    """Return hits and their neighbours in one pass."""
    if variance is None:
        counts = exposure.counts(average)
        of_spill = noise.variance(counts) / exposure.seconds**2
        of_hit = of_spill + _extra(counts - exposure.sky, rejection) / exposure.seconds**2
    else:
        of_hit = of_spill = variance
    square = np.float32(sigma) ** 2
    distance = (exposure.rate - average) ** 2
    hits = (distance > square * of_hit) & ((exposure.image.dq & rejection.bad) == 0)
    share = rejection.threshold**2 if rejection.threshold > 0 else -1.0
    touched = ~(distance <= np.float32(share) * square * of_spill)
    marked: Marks = hits | (spread(hits, rejection.radius) & touched)
    return marked


def spread(hits: Marks, radius: float) -> Marks:
    """Return the hits and all pixels up to a distance from them."""
    reach = int(radius + 1e-5)  # as the program rounds it
    ny, nx = hits.shape
    padded = np.pad(hits, reach)
    found = hits.copy()
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            if dx * dx + dy * dy <= radius * radius:
                found |= padded[reach + dy : reach + dy + ny, reach + dx : reach + dx + nx]
    return found


def _average(
    exposures: Sequence[_Exposure], marks: Sequence[Marks], before: Float, bad: int
) -> tuple[Float, Float]:
    """Return the average rate, that of before where nothing is left, and the seconds used."""
    total, used = np.zeros_like(before), np.zeros_like(before)
    for exposure, marked in zip(exposures, marks, strict=True):
        good = _is_used(exposure, marked, bad)
        total += np.where(good, exposure.rate * exposure.seconds, np.float32(0))
        used += np.where(good, exposure.seconds, np.float32(0))
    return np.divide(total, used, out=before.copy(), where=used > 0), used


def _is_used(exposure: _Exposure, marked: Marks, bad: int) -> Marks:
    used: Marks = ~marked & ((exposure.image.dq & bad) == 0)
    return used


def _combine(
    exposures: Sequence[_Exposure],
    marks: Sequence[Marks],
    last: tuple[Float, Float],
    noise: CountNoise,
    rejection: Rejection,
) -> Combined:
    """Return sum, error and flags of what the last pass left.

    The variance counts SCALENSE times the counts with the sky, the limits without it: a trap.
    """
    average, used = last
    variance = np.zeros_like(average)
    for exposure, marked in zip(exposures, marks, strict=True):
        own = noise.variance(exposure.image.sci) + _extra(exposure.image.sci, rejection)
        variance += np.where(_is_used(exposure, marked, rejection.bad), own, np.float32(0))
    seconds = np.float32(sum(float(exposure.seconds) for exposure in exposures))
    sky = np.float32(sum(float(exposure.sky) for exposure in exposures))
    left = used > 0
    sci = np.where(left, average, np.float32(0)) * seconds + sky
    err = np.divide(np.sqrt(variance), used, out=np.zeros_like(used), where=left) * seconds
    flags = tuple(
        np.where(m, e.image.dq | REJECTED, e.image.dq & ~REJECTED)
        for e, m in zip(exposures, marks, strict=True)
    )
    image = Image(sci.astype(np.float32), err, _join(flags), exposures[0].image.unit)
    rejected = sum(int(marked.sum()) for marked in marks)
    skies = tuple(float(exposure.sky) for exposure in exposures)
    return Combined(image, flags, rejected, skies, float(sky), float(seconds))


def _join(flags: Sequence[Flags]) -> Flags:
    """Return all flags together; 8192 only where every exposure has it."""
    rejected = np.bitwise_and.reduce(flags) & REJECTED
    joined: Flags = (np.bitwise_or.reduce(flags) & ~REJECTED) | rejected
    return joined
