"""The synthetic cameras: their true bias, dark current, flat field and defects.

Exposures and references are made from the same truth, so calibrating an exposure with its
references gives back the sky. Numbers are about those of the real detectors (ACS Instrument
Handbook, sections 4.2 to 4.4); the HRC is read by amplifier C at gain 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from calib.simulate.golden_pixels import sink_pixels

Pixels = npt.NDArray[np.float32]

# Of the HRC.
GAIN = 2.216  # electrons per DN
READ_NOISE = 4.74  # electrons
BIAS_LEVEL = 1140.0  # DN, as in the real raws of April 2002
FULL_WELL = 155000.0  # electrons

ADC_LIMIT = 65535  # DN


@dataclass(frozen=True)
class Camera:
    """What is the same for every chip of a camera.

    Attributes
    ----------
    name
        DETECTOR in headers.
    filters
        What stands in FILTER1 and FILTER2 for each filter that references are made for, from
        red to blue.
    dark_rate
        Electrons per second, of a pixel that is not hot.
    hot_share
        Share of all pixels that are hot; as many become hot later.
    overhead
        Time beside the exposure time during which dark current counts, as headers say it (s).
    plate_scale
        Arcsec per pixel, mean of both axes.
    cd_matrix
        Plate scale and orientation near those of a real exposure, in degrees per pixel.
    """

    name: str
    filters: Mapping[str, tuple[str, str]]
    dark_rate: float
    hot_share: float
    overhead: float
    plate_scale: float
    cd_matrix: tuple[float, float, float, float]


HRC = Camera(
    name="HRC",
    filters={
        "F606W": ("F606W", "CLEAR2S"),
        "F555W": ("F555W", "CLEAR2S"),
        "F330W": ("CLEAR1S", "F330W"),
    },
    dark_rate=0.0025,
    hot_share=1e-3,
    overhead=2.0,  # while the shutter closes and the chip waits for its readout
    plate_scale=0.0272,
    cd_matrix=(-7.36e-06, 1.84e-06, 2.87e-06, 6.65e-06),
)
WFC = Camera(
    name="WFC",
    filters={"F814W": ("CLEAR1L", "F814W"), "F606W": ("F606W", "CLEAR2L")},
    dark_rate=0.004,
    hot_share=2e-3,
    overhead=2.5,  # as the golden raws have it
    plate_scale=0.05,
    cd_matrix=(-1.33e-05, 2.5e-06, 3.9e-06, 1.33e-05),
)
SBC = Camera(
    name="SBC",
    filters={"F125LP": ("F125LP", "N/A"), "F140LP": ("F140LP", "N/A")},
    dark_rate=1.2e-5,
    hot_share=0.0,
    overhead=0.0,
    plate_scale=0.032,
    cd_matrix=(-9.1e-06, 1.1e-06, 1.4e-06, 8.3e-06),
)
CAMERAS = {camera.name: camera for camera in (HRC, WFC, SBC)}


@dataclass(frozen=True)
class Geometry:
    """Size of a chip and of its overscans.

    Attributes
    ----------
    nx, ny
        Columns and rows that see the sky.
    trim_x
        Columns of overscan on each side.
    trim_y
        Rows of virtual overscan at the top.
    trim_low
        Rows of it at the bottom: those of the WFC's chip 1, which is read upwards.
    """

    nx: int
    ny: int
    trim_x: int = 19
    trim_y: int = 20
    trim_low: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns that see the sky."""
        return self.ny, self.nx

    @property
    def raw_shape(self) -> tuple[int, int]:
        """Rows and columns as read out."""
        return self.ny + self.trim_low + self.trim_y, self.nx + 2 * self.trim_x

    @property
    def window(self) -> tuple[slice, slice]:
        """Where the sky lies in a raw image."""
        return (
            slice(self.trim_low, self.trim_low + self.ny),
            slice(self.trim_x, self.trim_x + self.nx),
        )

    def offsets(self, *, raw: bool) -> tuple[float, float]:
        """Return LTV1 and LTV2 of a raw or trimmed image of the whole chip."""
        return (float(self.trim_x), float(self.trim_low)) if raw else (0.0, 0.0)


FULL_FRAME = Geometry(1024, 1024)
SMALL_FRAME = Geometry(128, 128)
MIDDLE_FRAME = Geometry(512, 512)


@dataclass(frozen=True)
class Detector:
    """The true detector of a simulation, or one chip of it; equal seeds give equal detectors."""

    geometry: Geometry
    seed: int
    camera: Camera = HRC
    chip: int = 1

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
        return self._dark_current("dark")

    @cached_property
    def later_dark(self) -> Pixels:
        """Dark current after more pixels have become hot."""
        return self.dark + self._new_hot_pixels("later dark")

    def flat(self, name: str) -> Pixels:
        """Return the relative sensitivity of the pixels in a filter: mean 1, dust rings."""
        if name not in self._flats:
            self._flats[name] = self._draw_flat(name)
        return self._flats[name]

    @cached_property
    def _flats(self) -> dict[str, Pixels]:
        return {}

    def _draw_flat(self, name: str) -> Pixels:
        ny, nx = self.geometry.shape
        y, x = np.mgrid[0:ny, 0:nx] / np.float32(max(ny, nx))
        tilt = 0.04 * (1 + 0.3 * list(self.camera.filters).index(name))
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

    @cached_property
    def flash(self) -> Pixels:
        """Electrons per second of the post-flash lamp; brighter in the middle."""
        ny, nx = self.geometry.shape
        across = 10.0 + 2 * np.sin(np.pi * np.arange(nx) / nx)
        return (across + self._random("flash").normal(0, 0.02, (ny, nx))).astype(np.float32)

    @cached_property
    def sinks(self) -> Pixels:
        """Sink pixels as SNKCFILE has them, raw shape: depth, neighbour before, tail behind."""
        rng = self._random("sinks")
        return sink_pixels(rng, self.geometry.raw_shape, self.chip).astype(np.float32)

    def _dark_current(self, name: str) -> Pixels:
        smooth = np.full(self.geometry.shape, self.camera.dark_rate, np.float32)
        return smooth + self._new_hot_pixels(name)

    def _new_hot_pixels(self, name: str) -> Pixels:
        rng = self._random(name)
        where = rng.random(self.geometry.shape) < self.camera.hot_share
        rate = 0.1 + rng.gamma(1.0, 0.9, where.shape)
        return np.where(where, rate, 0).astype(np.float32)

    def _random(self, name: str) -> np.random.Generator:
        """Return a generator of its own for each property, so that their order is free."""
        chip = "" if self.camera == HRC else f"{self.camera.name} {self.chip} "
        return np.random.default_rng([self.seed, *f"{chip}{name}".encode()])


# The chips of each camera on board, in order of EXTVER.
Detectors = Mapping[str, Sequence[Detector]]


def make_detectors(frame: Geometry, seed: int, cameras: Sequence[str] = ("HRC",)) -> Detectors:
    """Return the cameras of an observatory; the same frame and seed give the same ones.

    Parameters
    ----------
    frame
        Of the HRC. The SBC has as many pixels; each chip of the WFC has half as many columns more
        and three quarters of the rows, twice as wide as high like the real ones.
    cameras
        Names.
    """
    wide = Geometry(frame.nx * 3 // 2, frame.ny * 3 // 4, trim_x=24, trim_y=20)
    upper = replace(wide, trim_y=0, trim_low=20)
    bare = replace(frame, trim_x=0, trim_y=0)
    chips = {
        "HRC": (Detector(frame, seed),),
        "WFC": (Detector(wide, seed, WFC, chip=2), Detector(upper, seed, WFC, chip=1)),
        "SBC": (Detector(bare, seed, SBC),),
    }
    return {name: chips[name] for name in cameras}
