"""Targets of a made-up programme: a cluster, a nebula, a spiral, a group, an aurora."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from calib.simulate.scene import Pixels, Star, add_faint_galaxies, add_star

SKY = 0.06  # electrons/s/pixel
FAR_UV_SKY = 4e-4  # counts/s/pixel, airglow through F125LP
GIANT_RATE = 60.0  # electrons/s; brighter stars of the cluster are red giants

Shape = tuple[int, int]
Random = np.random.Generator


@dataclass(frozen=True)
class Target:
    """Something to point at.

    Attributes
    ----------
    ra, dec
        Degrees.
    draw
        Adds the target's light to an image, in place; the number is that of filter steps to
        the blue.
    sky
        Background in electrons/s/pixel.
    """

    ra: float
    dec: float
    draw: Callable[[Pixels, Random, int], None]
    sky: float = SKY


@dataclass(frozen=True)
class Disc:
    """Where a galaxy lies in an image and how it is inclined.

    Attributes
    ----------
    x, y
        Centre, as fractions of the image.
    scale
        Scale length, as a fraction of the shorter side.
    angle
        Of the major axis from x (radians).
    axis_ratio
        Minor by major axis.
    """

    x: float
    y: float
    scale: float
    angle: float
    axis_ratio: float

    def coordinates(self, shape: Shape) -> tuple[Pixels, Pixels]:
        """Return coordinates along the major and minor axis, in scale lengths, deprojected."""
        ny, nx = shape
        y, x = np.mgrid[0:ny, 0:nx]
        dx, dy = x - self.x * nx, y - self.y * ny
        size = self.scale * min(ny, nx)
        u = dx * np.cos(self.angle) + dy * np.sin(self.angle)
        v = (dy * np.cos(self.angle) - dx * np.sin(self.angle)) / self.axis_ratio
        return u / size, v / size


def render_target(name: str, shape: Shape, *, seed: int, blueness: int = 0) -> Pixels:
    """Return the light of a target that reaches each pixel.

    Parameters
    ----------
    name
        One of :data:`TARGETS`.
    shape
        Rows and columns.
    seed
        Equal seeds give equal skies.
    blueness
        Number of filter steps to the blue.

    Returns
    -------
    ndarray
        Electrons per second per pixel, float64, shape as given, all positive.
    """
    target = TARGETS[name]
    image = np.full(shape, target.sky)
    target.draw(image, np.random.default_rng([seed, 3]), blueness)
    return image


def _draw_cluster(image: Pixels, rng: Random, blueness: int) -> None:
    """Draw a globular cluster: a Plummer profile, red giants, a few blue stars.

    The projected number within radius R of a Plummer sphere of radius a is R2 / (R2 + a2).
    """
    ny, nx = image.shape
    count = ny * nx // 90
    share = rng.random(count) * 0.97
    radius = 0.15 * min(ny, nx) * np.sqrt(share / (1 - share))
    angle = rng.uniform(0, 2 * np.pi, count)
    x, y = 0.5 * nx + radius * np.cos(angle), 0.5 * ny + radius * np.sin(angle)
    rates = np.minimum(2.0 * (1 - rng.random(count)) ** -0.85, 1500.0)
    red = np.where(rates > GIANT_RATE, rng.uniform(0.3, 0.55, count), rng.uniform(0.6, 0.9, count))
    colours = np.where(rng.random(count) < 0.02, 1.2, red)  # noqa: PLR2004 - share of blue stars
    _add_stars(image, x, y, rates * colours**blueness)


def _draw_nebula(image: Pixels, rng: Random, blueness: int) -> None:
    """Draw a cloud lit by a young cluster, with dark lanes before it."""
    ny, nx = image.shape
    y, x = np.mgrid[0:ny, 0:nx] / min(ny, nx)
    distance = np.hypot(y - 0.58, x - 0.42)
    gas = np.exp(0.9 * _clouds(rng, image.shape, 1.55)) / (0.12 + distance) ** 1.4
    dust = np.exp(1.3 * _clouds(rng, image.shape, 1.45)) * (0.35 + 1.1 * (x + 0.6 - y))
    image += 0.11 * 0.75**blueness * gas * np.exp(-0.55 * np.clip(dust, 0, 12))
    count = max(12, ny * nx // 1400)
    near = rng.random(count) < 0.4  # noqa: PLR2004 - share of stars in the cluster
    spread = np.where(near, 0.07, 0.6)
    across = (rng.normal(0, 1, (2, count)) * spread * min(ny, nx)).T
    place = np.where(near[:, None], across, rng.uniform(-0.6, 0.6, (count, 2)) * min(ny, nx))
    rates = np.minimum(3.0 * (1 - rng.random(count)) ** -1.05, 2500.0)
    colours = np.where(near, 1.1, rng.uniform(0.4, 0.9, count))
    centre = 0.42 * min(ny, nx), 0.58 * min(ny, nx)
    _add_stars(image, centre[0] + place[:, 0], centre[1] + place[:, 1], rates * colours**blueness)


def _draw_spiral(image: Pixels, rng: Random, blueness: int) -> None:
    """Draw a two-armed spiral that fills the frame, with dust lanes and star clusters."""
    disc = Disc(x=0.5, y=0.5, scale=0.15, angle=0.45, axis_ratio=0.72)
    u, v = disc.coordinates(image.shape)
    radius = np.hypot(u, v)
    winding = 2 * (np.arctan2(v, u) - 3.1 * np.log(radius + 0.12))
    wobble = 0.5 * _clouds(rng, image.shape, 1.6)
    inside = np.clip(radius / 0.7, 0, 1)
    arms = np.exp(1.6 * (np.cos(winding + wobble) - 1) * inside)
    lanes = np.exp(1.0 * _clouds(rng, image.shape, 1.3)) * inside
    lanes *= 0.25 + 0.9 * np.exp(3.0 * (np.cos(winding + wobble + 0.9) - 1))
    texture = np.exp(0.35 * _clouds(rng, image.shape, 1.0))
    light = 2.2 * np.exp(-radius) * (0.18 + arms) * texture * 0.85**blueness
    bulge = 9.0 * np.exp(-3.4 * radius**0.5) * 6.0 * 0.45**blueness
    image += (light + bulge) * np.exp(-0.55 * np.clip(lanes, 0, 6))
    _add_clusters(image, rng, np.exp(-radius) * arms**3 * inside, blueness)
    _add_field_stars(image, rng, blueness)


def _draw_group(image: Pixels, rng: Random, blueness: int) -> None:
    """Draw an elliptical, an edge-on disc, a small spiral, and arcs of what lies behind."""
    red, blue = 0.5**blueness, 0.85**blueness
    u, v = Disc(0.36, 0.56, 0.10, 0.5, 0.78).coordinates(image.shape)
    radius = np.hypot(u, v)
    image += red * 260.0 * np.exp(-7.67 * (radius + 0.004) ** 0.25)  # de Vaucouleurs
    u, v = Disc(0.76, 0.30, 0.055, 2.2, 0.13).coordinates(image.shape)
    lane = 1 - 0.75 * np.exp(-((v / 0.35) ** 2)) * np.exp(-((u / 2.2) ** 2))
    image += red * 4.0 * np.exp(-np.hypot(u, v)) * lane
    u, v = Disc(0.76, 0.80, 0.042, 1.1, 0.8).coordinates(image.shape)
    radius = np.hypot(u, v)
    winding = 2 * (np.arctan2(v, u) - 2.4 * np.log(radius + 0.15))
    arms = np.exp(1.4 * (np.cos(winding) - 1) * np.clip(radius, 0, 1))
    image += blue * 3.0 * np.exp(-radius) * (0.2 + arms) + red * 6.0 * np.exp(-5 * radius)
    u, v = Disc(0.36, 0.56, 0.27, 0.0, 1.0).coordinates(image.shape)
    for centre, length in ((0.9, 0.28), (3.6, 0.18), (5.4, 0.10)):
        turn = np.angle(np.exp(1j * (np.arctan2(v, u) - centre)))
        ring = np.exp(-(((np.hypot(u, v) - 1) / 0.025) ** 2))
        image += blue * 0.5 * ring * np.exp(-((turn / length) ** 2))
    for _ in range(3):
        add_faint_galaxies(image, rng, fade=blue)
    _add_field_stars(image, rng, blueness)


def _draw_aurora(image: Pixels, rng: Random, blueness: int) -> None:
    """Draw the northern aurora of a giant planet, in the far UV light of its hydrogen.

    An oval, brightest on the dawn side; patches inside; the footprint of a moon with its tail
    outside. What reflects sunlight is the planet, which ends at its limb.
    """
    ny, nx = image.shape
    side = min(ny, nx)
    y, x = np.mgrid[0:ny, 0:nx] / side
    x, y = x - 0.5 * nx / side, y - 0.5 * ny / side
    depth = 1 - ((x - 0.03) ** 2 + ((y + 0.42) / 0.94) ** 2) / 0.68**2
    lit = _step(depth / 0.004)
    bands = 1 + 0.15 * np.sin(26 * (y - 0.25 * x**2)) * np.clip(1 - 2.5 * (y + 0.2), 0, 1)
    disc = 0.011 * np.sqrt(np.clip(depth, 0, 1) + 0.02) * bands
    u, v = Disc(0.52, 0.62, 0.26, 0.12, 0.34).coordinates(image.shape)
    emission = _emit(np.hypot(u, v), np.arctan2(v, u), _clouds(rng, image.shape, 1.6))
    image += lit * (0.8**blueness * disc + 0.55**blueness * emission)
    _add_far_uv_stars(image, rng, blueness)


def _emit(radius: Pixels, angle: Pixels, clouds: Pixels) -> Pixels:
    """Return the light of an aurora by distance (the oval is at 1) and angle from its pole."""
    width = 0.035 + 0.02 * np.cos(angle - 2.6)
    oval = np.exp(-(((radius - 1 - 0.02 * clouds) / width) ** 2))
    oval *= 0.35 + 0.65 * np.cos((angle - 2.9) / 2) ** 4
    patches = np.exp(-((radius / 0.75) ** 6)) * np.exp(1.3 * clouds - 1.6)
    behind = np.angle(np.exp(1j * (angle + 1.2)))
    trail = np.exp(-(((radius - 1.28) / 0.022) ** 2)) * _step(behind / 0.01)
    trail *= np.exp(-np.clip(behind, 0, None) / 0.22)
    glow = np.exp(-(((radius - 1) / 0.28) ** 2))
    emission: Pixels = 0.20 * oval + 0.05 * patches + 0.10 * trail + 0.012 * glow
    return emission


def _step(x: Pixels) -> Pixels:
    """Return a smooth step from 0 to 1 at zero; arguments are cut where it is flat."""
    step: Pixels = 1 / (1 + np.exp(-np.clip(x, -50, 50)))
    return step


def _add_far_uv_stars(image: Pixels, rng: Random, blueness: int) -> None:
    """Add the few stars that are hot enough to be seen in the far UV."""
    ny, nx = image.shape
    x, y = rng.uniform(0, nx, 3), rng.uniform(0.88 * ny, ny, 3)
    _add_stars(image, x, y, np.array([1.6, 0.7, 0.3]) * 0.9**blueness)


def _add_clusters(image: Pixels, rng: Random, density: Pixels, blueness: int) -> None:
    """Add young star clusters, drawn by a density over the image; they stay bright in the blue."""
    count = max(20, image.size // 1000)
    share = np.cumsum(density.ravel())
    places = np.searchsorted(share, rng.random(count) * share[-1])
    y, x = np.divmod(places, image.shape[1])
    rates = np.minimum(5.0 * (1 - rng.random(count)) ** -0.8, 120.0)
    _add_stars(image, x + 0.5, y + 0.5, rates * 0.95**blueness)


def _add_field_stars(image: Pixels, rng: Random, blueness: int) -> None:
    """Add stars of our own Galaxy before a target; one of them is bright."""
    ny, nx = image.shape
    count = max(6, image.size // 16000)
    rates = np.minimum(4.0 * (1 - rng.random(count)) ** -1.1, 300.0)
    rates[0] = 2500.0
    x, y = rng.uniform(0, nx, count), rng.uniform(0, ny, count)
    x[0], y[0] = 0.16 * nx, 0.16 * ny
    _add_stars(image, x, y, rates * rng.uniform(0.4, 0.9, count) ** blueness)


def _add_stars(image: Pixels, xs: Pixels, ys: Pixels, rates: Pixels) -> None:
    """Add the stars that fall into the image."""
    ny, nx = image.shape
    for x, y, rate in zip(xs, ys, rates, strict=True):
        if 0 <= x < nx and 0 <= y < ny:
            add_star(image, Star(float(x), float(y), float(rate), colour=1.0), float(rate))


def _clouds(rng: Random, shape: Shape, slope: float) -> Pixels:
    """Return noise whose amplitude falls with frequency by a power: mean 0, deviation 1."""
    ny, nx = shape
    frequency = np.hypot(np.fft.fftfreq(ny)[:, None], np.fft.rfftfreq(nx)[None, :])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.normal(0, 1, shape)) * frequency**-slope
    noise = np.fft.irfft2(spectrum, s=shape)
    clouds: Pixels = (noise - noise.mean()) / noise.std()
    return clouds


TARGETS = {
    "SIM-CLUSTER": Target(6.0224, -72.0815, _draw_cluster),
    "SIM-NEBULA": Target(83.8221, -5.3911, _draw_nebula),
    "SIM-SPIRAL": Target(202.4696, 47.1952, _draw_spiral),
    "SIM-GROUP": Target(339.0100, 33.9600, _draw_group),
    "SIM-AURORA": Target(84.1120, 22.9350, _draw_aurora, FAR_UV_SKY),
}
