"""The synthetic HRC: its true bias, dark current, flat field and defects.

Exposures and references are made from the same truth, so calibrating an exposure with its
references gives back the sky. Numbers are about those of the HRC's amplifier C at gain 2
(ACS Instrument Handbook, sections 4.2 and 4.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.float32]

GAIN = 2.216  # electrons per DN
READ_NOISE = 4.74  # electrons
BIAS_LEVEL = 1140.0  # DN, as in the real raws of April 2002
FULL_WELL = 155000.0  # electrons
ADC_LIMIT = 65535  # DN
DARK_RATE = 0.0025  # electrons per second

# Steps to the blue of each filter that references are made for, in wheel order.
FILTERS = {
    "F606W": ("F606W", "CLEAR2S"),
    "F555W": ("F555W", "CLEAR2S"),
    "F330W": ("CLEAR1S", "F330W"),
}


@dataclass(frozen=True)
class Geometry:
    """Size of the chip and of its overscans.

    Attributes
    ----------
    nx, ny
        Columns and rows that see the sky.
    trim_x
        Columns of overscan on each side.
    trim_y
        Rows of virtual overscan at the top.
    """

    nx: int
    ny: int
    trim_x: int = 19
    trim_y: int = 20

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns that see the sky."""
        return self.ny, self.nx

    @property
    def raw_shape(self) -> tuple[int, int]:
        """Rows and columns as read out."""
        return self.ny + self.trim_y, self.nx + 2 * self.trim_x

    @property
    def window(self) -> tuple[slice, slice]:
        """Where the sky lies in a raw image."""
        return slice(0, self.ny), slice(self.trim_x, self.trim_x + self.nx)


FULL_FRAME = Geometry(1024, 1024)
SMALL_FRAME = Geometry(128, 128)
MIDDLE_FRAME = Geometry(512, 512)


@dataclass(frozen=True)
class Detector:
    """The true detector of a simulation; equal seeds give equal detectors."""

    geometry: Geometry
    seed: int

    @cached_property
    def bias(self) -> Pixels:
        """Fixed pattern in DN, raw shape: columns and a slow wave, mean near zero."""
        ny, nx = self.geometry.raw_shape
        rng = self._random("bias")
        columns = rng.normal(0, 0.25, nx) + 1.2 * np.sin(np.arange(nx) / 90.0)
        pattern = columns[None, :] + rng.normal(0, 0.15, (ny, nx))
        return pattern.astype(np.float32)

    @cached_property
    def dark(self) -> Pixels:
        """Dark current in electrons/s, at first."""
        return self._dark_current("dark", hot=1e-3)

    @cached_property
    def later_dark(self) -> Pixels:
        """Dark current after more pixels have become hot."""
        return self.dark + self._new_hot_pixels("later dark", hot=1e-3)

    def flat(self, name: str) -> Pixels:
        """Return the relative sensitivity of the pixels in a filter: mean 1, dust rings."""
        ny, nx = self.geometry.shape
        y, x = np.mgrid[0:ny, 0:nx] / np.float32(max(ny, nx))
        tilt = 0.04 * (1 + 0.3 * list(FILTERS).index(name))
        flat = 1 + tilt * np.sin(3 * x) * np.cos(2 * y) - tilt * x
        flat += self._random("pixels").normal(0, 0.006, self.geometry.shape)
        rng = self._random("dust")
        for _ in range(max(3, ny * nx // 60000)):
            r = np.hypot(y - rng.random(), x - rng.random())
            size = rng.uniform(0.006, 0.02)
            flat *= 1 - rng.uniform(0.03, 0.12) * np.exp(-(((r - size) / (0.35 * size)) ** 2))
        relative: Pixels = (flat / flat.mean()).astype(np.float32)
        return relative

    @cached_property
    def dead_columns(self) -> list[tuple[int, int, int]]:
        """Return (column, first row, number of rows), zero-based, of columns that see nothing."""
        ny, nx = self.geometry.shape
        rng = self._random("columns")
        return [
            (int(rng.integers(5, nx - 5)), int(rng.integers(0, ny // 2)), int(ny // 3))
            for _ in range(2)
        ]

    def _dark_current(self, name: str, *, hot: float) -> Pixels:
        smooth = np.full(self.geometry.shape, DARK_RATE, np.float32)
        return smooth + self._new_hot_pixels(name, hot=hot)

    def _new_hot_pixels(self, name: str, *, hot: float) -> Pixels:
        rng = self._random(name)
        where = rng.random(self.geometry.shape) < hot
        rate = 0.1 + rng.gamma(1.0, 0.9, where.shape)
        return np.where(where, rate, 0).astype(np.float32)

    def _random(self, name: str) -> np.random.Generator:
        """Return a generator of its own for each property, so that their order is free."""
        return np.random.default_rng([self.seed, *name.encode()])
