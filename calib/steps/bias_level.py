"""Bias level: a line fitted to the overscan columns, and its drift along the rows (BLEVCORR).

For HRC, WFC before Servicing Mission 4, and WFC subarrays without the later corrections. Each
amplifier has its own columns and line: each row of its overscan gives a median, a straight
line is fitted to them; the virtual overscan gives the slope along the rows. Sources: ACS Data
Handbook 3.4.4; calacs doblev, blevfit, blevdrift.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from calib.arithmetic.flags import is_good
from calib.arithmetic.signal import subtract_level
from calib.compiled import Planes, compiled, planes
from calib.errors import DataError
from calib.image import Float, Image
from calib.steps.line import Doubles, fit_line, ordered_sum
from calib.steps.readout import Amplifier, of_columns
from calib.steps.section import Region


class Overscan(NamedTuple):
    """What one amplifier of an image has to do with the overscan, counted from 0.

    Attributes
    ----------
    region
        Its science pixels.
    bias_sections
        First and last column of one or two bias sections, ends included; the first one
        anchors the drift.
    virtual_x, virtual_y
        First and last column and row of the virtual overscan, ends included; (-1, -1) or
        less where there is none.
    """

    region: Region
    bias_sections: tuple[tuple[int, int], ...]
    virtual_x: tuple[int, int] = (-1, -1)
    virtual_y: tuple[int, int] = (-1, -1)

    @property
    def has_virtual(self) -> bool:
        """Whether there is a virtual overscan, as calacs tells it."""
        (x0, x1), (y0, y1) = self.virtual_x, self.virtual_y
        return (y0 > 0 or y1 > 0) and x1 > x0 and y1 > y0


@dataclass(frozen=True)
class BiasLevelParameters:
    """How the line is fitted.

    Attributes
    ----------
    clip_sigma
        Row medians above mean + this times sigma are left out (calacs cleanBiasFit: 3).
    noise_clip
        Then those above the new mean + this times the read noise (3).
    truncate_thresholds
        Cut the two limits to whole electrons, as calacs does (:func:`whole_threshold`).
    match_rows
        Evaluate the line at the row it was fitted to. calacs does not
        (:func:`row_shift`); without rows trimmed at the bottom both agree.
    """

    clip_sigma: float = 3.0
    noise_clip: float = 3.0
    truncate_thresholds: bool = True
    match_rows: bool = False


class BiasLevel(NamedTuple):
    """What was found in the overscan of one amplifier.

    Attributes
    ----------
    region
        Its science pixels, from which the level is to be subtracted.
    slope, intercept
        Level [electrons] at row y: intercept + slope * (y - middle_row).
    middle_row
        Row at which the line has the value of the intercept.
    drift, zero_column
        Change per column [electrons], and the column at which it is 0.
    has_drift
        Whether the virtual overscan gave a slope.
    mean
        Mean level [electrons] (BIASLEVx).
    is_default
        Whether no line could be fitted, and the level is that of the CCD table.
    """

    region: Region
    slope: float
    intercept: float
    middle_row: float
    drift: float = 0.0
    zero_column: float = 0.0
    has_drift: bool = False
    mean: float = 0.0
    is_default: bool = False


def fit_bias_levels(
    image: Image,
    overscans: Sequence[Overscan],
    amplifiers: Sequence[Amplifier],
    serious: int,
    parameters: BiasLevelParameters = BiasLevelParameters(),
) -> tuple[BiasLevel, ...]:
    """Fit the bias level of each amplifier of an image.

    Parameters
    ----------
    image
        In electrons, the whole image with overscan. Pixels with a serious flag, and those
        that are NaN or infinite, are left out of the medians.
    overscans, amplifiers
        Where their bias columns, virtual overscan and science pixels lie; their read noise,
        and the level where no line can be fitted. Left to right.
    serious
        Mask of flags that make a pixel bad (SDQFLAGS).

    Returns
    -------
    tuple of BiasLevel
        :func:`subtract_bias_levels` applies them.

    Raises
    ------
    DataError
        Science pixels or virtual overscan do not lie in the image.
    """
    for overscan in overscans:
        _check_place(overscan, image.shape)
    return tuple(
        _fit(image, overscan, amplifier, serious, parameters)
        for overscan, amplifier in zip(overscans, amplifiers, strict=True)
    )


def _fit(
    image: Image,
    overscan: Overscan,
    amplifier: Amplifier,
    serious: int,
    parameters: BiasLevelParameters,
) -> BiasLevel:
    rows, good = row_medians(image, overscan, serious)
    keep = reject_outliers(rows, good, amplifier.read_noise, parameters)
    line = fit_line(np.arange(rows.size) - rows.size // 2, rows, keep)
    slope, intercept = (0.0, amplifier.default_level) if line is None else line
    drift, has_drift = fit_drift(image, overscan, serious)
    first = overscan.bias_sections[0]
    level = BiasLevel(
        region=overscan.region,
        slope=slope,
        intercept=intercept,
        middle_row=rows.size // 2 + row_shift(overscan.region, parameters),
        drift=drift,
        zero_column=(first[0] + first[1]) / 2.0,
        has_drift=has_drift,
        is_default=line is None,
    )
    return level._replace(mean=_mean_level(level))


def _check_place(overscan: Overscan, shape: tuple[int, int]) -> None:
    """Refuse what would be read outside of the image."""
    (ny, nx), (y0, y1, x0, x1) = shape, overscan.region
    (left, right), (low, high) = overscan.virtual_x, overscan.virtual_y
    virtual = not overscan.has_virtual or (left >= 0 and right < nx and low >= 0 and high < ny)
    if not (virtual and 0 <= y0 < y1 <= ny and 0 <= x0 <= x1 <= nx):
        raise DataError(
            "the overscan does not lie in the image", expected=f"{nx} x {ny} pixels", found=overscan
        )


def mean_level(levels: Sequence[BiasLevel]) -> float:
    """Return the mean of the amplifiers' mean levels [electrons] (MEANBLEV)."""
    return sum(level.mean for level in levels) / len(levels)


def row_shift(region: Region, parameters: BiasLevelParameters) -> int:
    """Return by how many rows the line is moved when it is evaluated: a trap of calacs.

    The program fits against row numbers of the trimmed image and evaluates at those of the
    raw one, so the line is too far down by the rows trimmed at the bottom. Kept, because
    archived data have it; `match_rows` gives the right value.
    """
    return region.y0 if parameters.match_rows else 0


def whole_threshold(limit: float) -> float:
    """Return a limit as calacs compares it: cut to an integer, without its sign.

    C's integer `abs` is called with a floating-point number. The limit is low by up to one
    electron, so a few more rows are rejected.
    """
    return float(abs(int(limit)))


def reject_outliers(
    values: Doubles, good: npt.NDArray[np.bool_], noise: float, parameters: BiasLevelParameters
) -> npt.NDArray[np.bool_]:
    """Return which row medians enter the fit: cosmic rays and bleeding lie above.

    Sigma is at most the square root of the mean (that of Poisson noise), clipping is one
    sided and done twice: by sigma, then by the read noise. Empty rows are not good.
    """
    if good.sum() < 2:  # noqa: PLR2004 - no scatter of one value
        return good.copy()
    cut = whole_threshold if parameters.truncate_thresholds else float
    keep = good.copy()
    mean, sigma = _mean_and_sigma(values, keep)
    if mean >= 0:
        sigma = min(sigma, math.sqrt(mean))
    keep &= ~(values > cut(parameters.clip_sigma * sigma + mean))
    if not keep.any():
        return keep
    mean, _ = _mean_and_sigma(values, keep)
    clip = float(np.float32(parameters.noise_clip) * np.float32(noise))
    keep &= ~(values > cut(clip + mean))
    return keep


def row_medians(
    image: Image, overscan: Overscan, serious: int
) -> tuple[Doubles, npt.NDArray[np.bool_]]:
    """Return the median of the bias columns for each science row, and where it exists."""
    region = overscan.region
    columns = _columns(overscan.bias_sections, image.shape[1])
    values = np.zeros(region.y1 - region.y0)
    good = np.zeros(values.size, np.bool_)
    _row_medians(planes(image), columns, region.y0, serious, values, good)
    return values, good


def fit_drift(image: Image, overscan: Overscan, serious: int) -> tuple[float, bool]:
    """Return the slope along the rows from the virtual overscan, and whether there is one.

    A trap: OSCNTAB has one virtual overscan for a chip. Where two amplifiers share it, both get
    the same slope, and the step between their levels is part of it, as in calacs.
    """
    if not overscan.has_virtual:
        return 0.0, False
    (x0, x1), (y0, y1) = overscan.virtual_x, overscan.virtual_y
    values = np.zeros(x1 - x0 + 1)
    good = np.zeros(values.size, np.bool_)
    _column_medians(planes(image), x0, y0, y1, serious, values, good)
    line = fit_line(np.arange(x0, x1 + 1) - (x0 + x1) // 2, values, good, singular=0.0)
    return (0.0, False) if line is None else (line[0], True)


def subtract_bias_levels(image: Image, levels: Sequence[BiasLevel], first_row: int = 0) -> Image:
    """Subtract fitted levels from the science pixels; overscan, errors and flags are kept.

    Each row by itself.

    Parameters
    ----------
    image
        Whole rows, in electrons; NaN stays NaN, flagged pixels are corrected too.
    levels
        Of :func:`fit_bias_levels`.
    first_row
        Row of the whole image that comes first here.
    """
    sci = np.array(image.sci, np.float32, order="C")
    for level in levels:
        y0, y1 = (min(max(y - first_row, 0), image.shape[0]) for y in level.region[:2])
        rows = np.arange(y0 + first_row, y1 + first_row, dtype=np.float64)
        columns = np.arange(level.region.x0, level.region.x1, dtype=np.float64)
        levels_of_rows = (rows - level.middle_row) * level.slope + level.intercept
        drifts = (columns - level.zero_column) * level.drift
        _subtract(planes(image), levels_of_rows, drifts, y0, level.region.x0, sci)
    return Image(sci, image.err, image.dq, image.unit)


def subtract_default_level(image: Image, level: Float) -> Image:
    """Subtract one level per column from every pixel, in 32 bits: images without overscan.

    Each row by itself.

    Parameters
    ----------
    level
        Bias of the CCD table times gain [electrons], shape (nx,)
        (:meth:`calib.steps.readout.Readout.per_column`).
    """
    return Image(image.sci - of_columns(level, image), image.err, image.dq, image.unit)


def _columns(sections: tuple[tuple[int, int], ...], nx: int) -> npt.NDArray[np.int64]:
    """Return the bias columns; sections that reach over the edge are cut."""
    return np.concatenate(
        [np.arange(max(first, 0), min(last, nx - 1) + 1) for first, last in sections]
    ).astype(np.int64)


def _mean_and_sigma(values: Doubles, keep: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Return mean and N-1 standard deviation, summed in order."""
    kept = values[keep]
    mean = ordered_sum(kept) / kept.size
    if kept.size < 2:  # noqa: PLR2004 - no scatter of one value
        return mean, 0.0
    return mean, math.sqrt(ordered_sum((kept - mean) ** 2) / (kept.size - 1))


def _mean_level(level: BiasLevel) -> float:
    """Return the mean over rows of level + drift at half the width of the amplifier's region.

    The drift is that of column nx/2 of the trimmed image, although columns are counted in
    the raw one: as calacs (DriftMean) writes it into MEANBLEV.
    """
    region = level.region
    rows = np.arange(region.y0, region.y1, dtype=np.float64)
    average_drift = ((region.x1 - region.x0) / 2.0 - level.zero_column) * level.drift
    levels = (rows - level.middle_row) * level.slope + level.intercept + average_drift
    return ordered_sum(levels) / rows.size


@compiled("f8", "out f8[:]", "i8")
def _median(values: Doubles, count: int) -> float:
    """Return the median of the first values, which get sorted (insertion: there are few)."""
    for i in range(1, count):
        value = values[i]
        j = i
        while j > 0 and values[j - 1] > value:
            values[j] = values[j - 1]
            j -= 1
        values[j] = value
    half = count // 2
    if count % 2 == 1:
        return float(values[half])
    return float((values[half - 1] + values[half]) / 2.0)


@compiled("void", "planes", "i8[:]", "i8", "i4", "out f8[:]", "out b1[:]")
def _row_medians(
    image: Planes,
    columns: npt.NDArray[np.int64],
    first: int,
    serious: int,
    values: Doubles,
    good: npt.NDArray[np.bool_],
) -> None:
    scratch = np.empty(columns.size)
    for j in range(values.size):
        count = 0
        for x in columns:
            usable = np.isfinite(image.sci[first + j, x])
            if usable and is_good(image.dq[first + j, x], serious):
                scratch[count] = image.sci[first + j, x]
                count += 1
        if count > 0:
            values[j] = _median(scratch, count)
            good[j] = True


@compiled("void", "planes", "i8", "i8", "i8", "i4", "out f8[:]", "out b1[:]")
def _column_medians(
    image: Planes,
    first: int,
    y0: int,
    y1: int,
    serious: int,
    values: Doubles,
    good: npt.NDArray[np.bool_],
) -> None:
    scratch = np.empty(y1 - y0 + 1)
    for i in range(values.size):
        count = 0
        for y in range(y0, y1 + 1):
            usable = np.isfinite(image.sci[y, first + i])
            if usable and is_good(image.dq[y, first + i], serious):
                scratch[count] = image.sci[y, first + i]
                count += 1
        if count > 0:
            values[i] = _median(scratch, count)
            good[i] = True


@compiled("void", "planes", "f8[:]", "f8[:]", "i8", "i8", "out f4[:,:]")
def _subtract(
    image: Planes, levels: Doubles, drifts: Doubles, y0: int, x0: int, sci: Float
) -> None:
    for j in range(levels.size):
        line = image.sci[y0 + j, x0 : x0 + drifts.size]
        made = sci[y0 + j, x0 : x0 + drifts.size]
        for i in range(drifts.size):
            made[i] = subtract_level(line[i], levels[j], drifts[i])
