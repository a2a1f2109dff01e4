"""Pixels of the golden cases: random numbers in a fixed order.

The order of draws decides the bytes, so it is part of what these functions do: the golden
products were made from exactly these numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[Any]
Random = np.random.Generator

# Half the side of the box that holds a star's light.
_STAMP = 7

BRIGHTEST = 3e5  # electrons; three stars of a CCD's scene have it, and saturate
FULL_WELL = 84000.0  # electrons
HOT_SHARE = 2e-3  # of all pixels of a dark


def scene(
    rng: Random,
    shape: tuple[int, int],
    *,
    stars: int,
    sky: float,
    brightest: float = BRIGHTEST,
) -> Pixels:
    """Return the mean electrons of each pixel: Gaussian stars on an even sky.

    Fluxes follow a power law up to the brightest, which three stars have.
    """
    ny, nx = shape
    out = np.full(shape, sky, np.float64)
    count = max(8, stars)
    fluxes = np.minimum(300.0 * (1 - rng.random(count)) ** -1.0, brightest)
    fluxes[:3] = brightest
    xs, ys = rng.random(count) * nx, rng.random(count) * ny
    for x, y, flux in zip(xs, ys, fluxes, strict=True):
        _add_star(out, (x, y), flux, sigma=1.1 + 0.2 * rng.random())
    return out


def _add_star(out: Pixels, place: tuple[float, float], flux: float, *, sigma: float) -> None:
    (x, y), (ny, nx) = place, out.shape
    left, low = int(x) - _STAMP, int(y) - _STAMP
    grid = np.arange(-_STAMP, _STAMP + 1)
    along_x = np.exp(-0.5 * ((grid + int(x) - x) / sigma) ** 2)
    along_y = np.exp(-0.5 * ((grid + int(y) - y) / sigma) ** 2)
    light = flux * np.outer(along_y, along_x) / (2 * np.pi * sigma * sigma)
    rows = slice(max(0, low), min(ny, low + 2 * _STAMP + 1))
    columns = slice(max(0, left), min(nx, left + 2 * _STAMP + 1))
    out[rows, columns] += light[
        rows.start - low : rows.stop - low, columns.start - left : columns.stop - left
    ]


def add_cosmic_rays(rng: Random, out: Pixels, count: int) -> None:
    """Add straight tracks of one to seven pixels in place."""
    ny, nx = out.shape
    for _ in range(count):
        x, y = rng.integers(0, nx), rng.integers(0, ny)
        length = int(rng.integers(1, 8))
        dx, dy = rng.integers(-1, 2), rng.integers(-1, 2)
        charge = rng.gamma(1.5, 900.0)
        for step in range(length):
            column, row = x + dx * step, y + dy * step
            if 0 <= column < nx and 0 <= row < ny:
                out[row, column] += charge


def expose(rng: Random, mean: Pixels, cosmic_rays: int) -> Pixels:
    """Return electrons with photon noise and cosmic rays, clipped at full well."""
    out = rng.poisson(np.maximum(mean, 0)).astype(np.float64)
    add_cosmic_rays(rng, out, cosmic_rays)
    return np.minimum(out, FULL_WELL)


def to_counts(values: Pixels) -> npt.NDArray[np.uint16]:
    """Return raw counts: whole numbers from 0 to 65535."""
    return np.clip(np.rint(values), 0, 65535).astype(np.uint16)


def flat_field(rng: Random, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Return a smooth flat with noise of 0.6 % and five zeros, where no one may divide."""
    ny, nx = shape
    y, x = np.mgrid[0:ny, 0:nx]
    smooth = 1.0 + 0.05 * np.sin(x / nx * 3.0) * np.cos(y / ny * 2.0)
    flat: npt.NDArray[np.float32] = (smooth + rng.normal(0, 0.006, shape)).astype(np.float32)
    for _ in range(5):
        flat[rng.integers(0, ny), rng.integers(0, nx)] = 0.0
    return flat


def hot_pixels(rng: Random, shape: tuple[int, int]) -> Pixels:
    """Return dark current (electrons/s) of hot pixels, zero elsewhere."""
    return np.where(rng.random(shape) < HOT_SHARE, rng.gamma(1.0, 0.2, shape), 0)


def positive_noise(rng: Random, shape: tuple[int, int], mean: float, sigma: float) -> Pixels:
    """Return the absolute values of normal numbers, for errors."""
    return np.abs(rng.normal(mean, sigma, shape))


def sparse_flags(
    rng: Random, shape: tuple[int, int], count: int, bits: Sequence[int]
) -> npt.NDArray[np.int16]:
    """Return flags with some bits at some places."""
    flags = np.zeros(shape, np.int16)
    values = rng.choice(bits, count)  # drawn before the places
    flags[rng.integers(0, shape[0], count), rng.integers(0, shape[1], count)] = values
    return flags


def sink_pixels(rng: Random, shape: tuple[int, int], chip: int) -> Pixels:
    """Return a sink-pixel map: each sink with its neighbour before and its tail behind.

    Tails run away from the serial register: upwards on chip 2, downwards on chip 1.
    """
    ny, nx = shape
    out = np.zeros(shape)
    rows, columns = rng.integers(4, ny - 12, 40), rng.integers(0, nx, 40)
    step = 1 if chip == 2 else -1  # noqa: PLR2004 - chip number
    for row, column in zip(rows, columns, strict=True):
        out[row, column] = -25.0
        if 0 <= row - step < ny:
            out[row - step, column] = -1.0
        for distance in range(1, 8):
            if 0 <= row + distance * step < ny:
                out[row + distance * step, column] = 3000.0 / distance
    return out


def bad_pixel_rows(
    rng: Random, shape: tuple[int, int], chips: Sequence[int]
) -> list[dict[str, Any]]:
    """Return rows of a bad-pixel table: twelve columns and twelve row pieces for each chip."""
    ny, nx = shape
    rows = []
    for chip in chips:
        for axis in (2, 1):
            high, long, bits = (
                (max(2, ny // 2), max(2, ny // 3), [4, 16, 128])
                if axis == 2  # noqa: PLR2004 - FITS axis
                else (ny, 6, [16, 32, 64, 512])
            )
            rows += [
                {
                    "CCDCHIP": chip,
                    "PIX1": int(rng.integers(1, nx)),
                    "PIX2": int(rng.integers(1, high)),
                    "LENGTH": int(rng.integers(1, long)),
                    "AXIS": axis,
                    "VALUE": int(rng.choice(bits)),
                }
                for _ in range(12)
            ]
    return rows
