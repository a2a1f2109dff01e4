"""A sky that looks like one: stars with diffraction spikes, a spiral galaxy, faint galaxies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.float64]

# Moffat core about as sharp as the telescope on a 0.025 arcsec pixel, and a wide halo.
CORE_WIDTH = 1.5
CORE_POWER = 2.5
HALO_WIDTH = 12.0
HALO_SHARE = 0.06

# Stars brighter than this (electrons/s) show their spikes.
SPIKE_RATE = 400.0
SPIKE_SHARE = 0.05

# Cosmic rays per pixel and second: about 4 % of the pixels in a 2000 s exposure
# (ACS Instrument Handbook, section 4.3.4).
COSMIC_RAY_RATE = 3e-6


@dataclass(frozen=True)
class Star:
    """A point source.

    Attributes
    ----------
    x, y
        Zero-based pixel coordinates.
    rate
        Electrons per second in the reference filter.
    colour
        Factor by which the rate falls for each filter bluer.
    """

    x: float
    y: float
    rate: float
    colour: float


def render_sky(
    shape: tuple[int, int], *, seed: int, blueness: int = 0, sky: float = 0.06
) -> Pixels:
    """Return the light that reaches each pixel.

    Parameters
    ----------
    shape
        Rows and columns.
    seed
        Equal seeds give equal skies.
    blueness
        Number of filter steps to the blue: red stars and galaxies fade.
    sky
        Background in electrons/s/pixel.

    Returns
    -------
    ndarray
        Electrons per second per pixel, float64, shape as given, all positive.
    """
    rng = np.random.default_rng([seed, 1])
    image = np.full(shape, sky)
    _add_spiral(image, rng, fade=0.8**blueness)
    add_faint_galaxies(image, rng, fade=0.7**blueness)
    for star in _draw_stars(shape, rng):
        add_star(image, star, star.rate * star.colour**blueness)
    return image


def cosmic_rays(shape: tuple[int, int], seconds: float, rng: np.random.Generator) -> Pixels:
    """Return the electrons that cosmic rays leave: straight tracks of random length."""
    ny, nx = shape
    hits = np.zeros(shape)
    count = max(6, int(rng.poisson(COSMIC_RAY_RATE * ny * nx * seconds)))
    for _ in range(count):
        length = 1 + int(rng.exponential(4.0))
        angle = rng.uniform(0, 2 * np.pi)
        steps = np.arange(length)
        y = (rng.uniform(0, ny) + steps * np.sin(angle)).astype(int)
        x = (rng.uniform(0, nx) + steps * np.cos(angle)).astype(int)
        inside = (y >= 0) & (y < ny) & (x >= 0) & (x < nx)
        np.add.at(hits, (y[inside], x[inside]), rng.gamma(2.0, 700.0))
    return hits


def bleed(electrons: Pixels, full_well: float) -> Pixels:
    """Return the charge after pixels beyond full well have spilled along their columns.

    Half of the excess goes up and half down until it is gone; what leaves the chip is lost.
    """
    out = electrons.copy()
    for column in np.flatnonzero((out > full_well).any(axis=0)):
        excess = np.maximum(out[:, column] - full_well, 0.0)
        out[:, column] -= excess
        _spill(out[:, column], excess / 2, full_well)
        _spill(out[::-1, column], excess[::-1] / 2, full_well)
    return out


def _spill(column: Pixels, excess: Pixels, full_well: float) -> None:
    carried = 0.0
    for row in range(column.size):
        carried += excess[row]
        taken = min(carried, max(full_well - column[row], 0.0))
        column[row] += taken
        carried -= taken


def _draw_stars(shape: tuple[int, int], rng: np.random.Generator) -> list[Star]:
    """Draw stars by a power law of brightness; two of them saturate in a few minutes."""
    ny, nx = shape
    count = max(14, ny * nx // 3500)
    rates = 1.5 * (1 - rng.random(count)) ** -1.0
    rates = np.minimum(rates, 900.0)
    rates[:2] = 14000.0, 6500.0
    x, y = rng.uniform(0, nx, count), rng.uniform(0, ny, count)
    x[:2], y[:2] = (0.22 * nx, 0.71 * nx), (0.7 * ny, 0.17 * ny)
    colours = rng.uniform(0.4, 1.05, count)
    return [Star(*values) for values in zip(x, y, rates, colours, strict=True)]


def add_star(image: Pixels, star: Star, rate: float) -> None:
    """Add a star of a rate (electrons/s) in place; bright ones have four spikes."""
    half = 90 if rate > SPIKE_RATE else 14
    ny, nx = image.shape
    rows = np.arange(max(0, int(star.y) - half), min(ny, int(star.y) + half + 1))
    columns = np.arange(max(0, int(star.x) - half), min(nx, int(star.x) + half + 1))
    dy, dx = np.meshgrid(rows - star.y, columns - star.x, indexing="ij")
    spikes = 0.021 * min(ny, nx) if rate > SPIKE_RATE else 0.0
    image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] += rate * _psf(dx, dy, spikes)


def _psf(dx: Pixels, dy: Pixels, spikes: float) -> Pixels:
    """Return the share of a star's light in each pixel, by distance from its centre.

    `spikes` is the length in pixels over which the four spikes fade; 0 for none.
    """
    r2 = dx * dx + dy * dy
    core = (1 + r2 / CORE_WIDTH**2) ** -CORE_POWER
    core *= (CORE_POWER - 1) / (np.pi * CORE_WIDTH**2)
    halo = np.exp(-np.sqrt(r2) / HALO_WIDTH) / (2 * np.pi * HALO_WIDTH**2)
    share = (1 - HALO_SHARE) * core + HALO_SHARE * halo
    if spikes:
        along, across = np.abs(dx + dy) / np.sqrt(2), np.abs(dx - dy) / np.sqrt(2)
        for a, b in ((along, across), (across, along)):
            share += SPIKE_SHARE * np.exp(-a / spikes) * np.exp(-0.5 * (b / 0.8) ** 2) / 90.0
    return share


def _add_spiral(image: Pixels, rng: np.random.Generator, *, fade: float) -> None:
    """Add an inclined two-armed spiral: bulge, disc, arms, and knots along the arms."""
    ny, nx = image.shape
    scale = 0.085 * min(ny, nx)
    angle, flat = 0.6, 0.62
    y, x = np.mgrid[0:ny, 0:nx]
    dx, dy = x - 0.56 * nx, y - 0.52 * ny
    u = dx * np.cos(angle) + dy * np.sin(angle)
    v = (dy * np.cos(angle) - dx * np.sin(angle)) / flat
    r = np.hypot(u, v) / scale
    winding = 2 * (np.arctan2(v, u) - 2.6 * np.log(r + 0.15))
    arms = 1 + 0.75 * np.cos(winding) * np.clip(r / 0.8, 0, 1)
    knots = _smooth(rng.gamma(0.08, 1.0, image.shape)) * np.clip(arms - 1.1, 0, None)
    disc = 0.9 * np.exp(-r) * (arms + 2.5 * knots)
    bulge = 6.0 * np.exp(-((r / 0.055) ** 0.55))
    image += fade * (disc + bulge)


def add_faint_galaxies(image: Pixels, rng: np.random.Generator, *, fade: float) -> None:
    """Add exponential discs of a few pixels in place; `fade` multiplies their light."""
    ny, nx = image.shape
    for _ in range(max(3, ny * nx // 40000)):
        x0, y0 = rng.uniform(0, nx), rng.uniform(0, ny)
        radius, flat = rng.uniform(1.5, 5.0), rng.uniform(0.35, 1.0)
        angle, peak = rng.uniform(0, np.pi), rng.gamma(1.2, 0.35)
        half = int(8 * radius)
        rows = slice(max(0, int(y0) - half), min(ny, int(y0) + half))
        columns = slice(max(0, int(x0) - half), min(nx, int(x0) + half))
        y, x = np.mgrid[rows, columns]
        u = (x - x0) * np.cos(angle) + (y - y0) * np.sin(angle)
        v = ((y - y0) * np.cos(angle) - (x - x0) * np.sin(angle)) / flat
        image[rows, columns] += fade * peak * np.exp(-np.hypot(u, v) / radius)


def _smooth(noise: Pixels) -> Pixels:
    """Spread each pixel over its neighbours, to make grains of a few pixels."""
    for axis in (0, 1):
        noise = 0.5 * noise + 0.25 * (np.roll(noise, 1, axis) + np.roll(noise, -1, axis))
    return noise * 4
