"""Raw exposures of the synthetic HRC, as the archive would deliver them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
from astropy.io import fits

from calib.fitsfile import write_atomically
from calib.simulate.constant import constant_image
from calib.simulate.detector import (
    ADC_LIMIT,
    BIAS_LEVEL,
    FILTERS,
    FULL_WELL,
    GAIN,
    READ_NOISE,
    Detector,
    Geometry,
)
from calib.simulate.raw_header import image_cards, primary_cards
from calib.simulate.scene import bleed, cosmic_rays, render_sky

# Exposures of one visit share their field.
PER_VISIT = 4

# From here on the later dark is true; its reference arrives with the second context. Two of
# the three real raws of April 2002 that rules are often tried on were taken after it.
LATER_DARK_FROM = datetime(2002, 4, 13, 18, 0)  # noqa: DTZ001 - HST headers are UT, unmarked

# The dark current also counts while the shutter closes and the chip waits for its readout.
OVERHEAD = 2.0


@dataclass(frozen=True)
class Pointing:
    """What to expose.

    Attributes
    ----------
    rootname
        Name of the exposure, lower case.
    filter
        One of :data:`calib.simulate.detector.FILTERS`.
    start
        Universal time at which the shutter opens.
    seconds
        Exposure time.
    field
        Which piece of sky.
    seed
        Decides the noise and cosmic rays of this exposure.
    """

    rootname: str
    filter: str
    start: datetime
    seconds: float
    field: int
    seed: int

    @property
    def dark_seconds(self) -> float:
        """Time during which dark current counts."""
        return self.seconds + OVERHEAD


def plan_pointings(count: int, seed: int) -> list[Pointing]:
    """Return exposures, four to a visit, of which every fourth was taken the day before.

    So a dark delivered for use after 18:00 of 13 April 2002 changes three out of four.
    """
    first = datetime(2002, 4, 13, 18, 30)  # noqa: DTZ001 - HST headers are UT, unmarked
    names = list(FILTERS)
    pointings = []
    for number in range(count):
        early = timedelta(days=1) if number % PER_VISIT == PER_VISIT - 1 else timedelta()
        pointings.append(
            Pointing(
                rootname=_rootname(number),
                filter=names[number % PER_VISIT % len(names)],
                start=first + number * timedelta(minutes=25) - early,
                seconds=360.0,
                field=seed + number // PER_VISIT,
                seed=seed * 100003 + number,
            )
        )
    return pointings


def write_raw(folder: Path, pointing: Pointing, detector: Detector) -> Path:
    """Write the raw file of an exposure: u16 SCI, constant ERR and DQ without pixels.

    The same pointing and detector give the same bytes.
    """
    path = folder / f"{pointing.rootname}_raw.fits"
    pixels = expose(pointing, detector)
    geometry = detector.geometry
    primary = fits.PrimaryHDU(header=fits.Header(primary_cards(pointing)))
    hdus = [primary, _science(pixels, pointing, geometry)]
    hdus += [_constant(name, pointing, geometry) for name in ("ERR", "DQ")]
    write_atomically(fits.HDUList(hdus), path)
    return path


def expose(pointing: Pointing, detector: Detector) -> npt.NDArray[np.uint16]:
    """Return the raw image in DN: sky, dark, cosmic rays, full well, bias and read noise.

    Charge is counted in electrons with photon noise; the bias level has a slope along y, a
    drift along x and the fixed pattern; what exceeds the converter is 65535.
    """
    rng = np.random.default_rng([pointing.seed, 2])
    geometry = detector.geometry
    electrons = rng.poisson(expected_electrons(pointing, detector)).astype(np.float64)
    electrons += cosmic_rays(geometry.shape, pointing.seconds, rng)
    ny, nx = geometry.raw_shape
    image = rng.normal(0, READ_NOISE, (ny, nx))
    image[geometry.window] += bleed(electrons, FULL_WELL)
    level = BIAS_LEVEL + np.linspace(0, 1.5, ny)[:, None] + np.linspace(0, 1.0, nx)[None, :]
    counts = np.rint(image / GAIN + level + detector.bias)
    return np.clip(counts, 0, ADC_LIMIT).astype(np.uint16)


def expected_electrons(pointing: Pointing, detector: Detector) -> npt.NDArray[np.float64]:
    """Return the mean charge of each pixel that sees the sky, before noise and defects."""
    blueness = list(FILTERS).index(pointing.filter)
    sky = render_sky(detector.geometry.shape, seed=pointing.field, blueness=blueness)
    light = sky * detector.flat(pointing.filter)
    for column, first, length in detector.dead_columns:
        light[first : first + length, column] = 0
    dark = detector.later_dark if pointing.start >= LATER_DARK_FROM else detector.dark
    charge: npt.NDArray[np.float64] = light * pointing.seconds + dark * pointing.dark_seconds
    return charge


def _science(
    pixels: npt.NDArray[np.uint16], pointing: Pointing, geometry: Geometry
) -> fits.ImageHDU:
    hdu = fits.ImageHDU(pixels, name="SCI")
    hdu.header.extend(image_cards("SCI", pointing, geometry), update=True)
    hdu.header["DATAMIN"] = float(pixels.min())
    hdu.header["DATAMAX"] = float(pixels.max())
    return hdu


def _constant(name: str, pointing: Pointing, geometry: Geometry) -> fits.ImageHDU:
    """Return an extension whose pixels are all zero."""
    hdu = constant_image(name, 0.0, geometry.raw_shape)
    hdu.header.extend(image_cards(name, pointing, geometry), update=True)
    return hdu


def _rootname(number: int) -> str:
    """Return ``jsim01aaq``, ``jsim01abq``, ...: programme "sim", four exposures to a visit."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    visit, place = divmod(number, PER_VISIT)
    tens, units = divmod(visit + 1, 36)
    digits = "0123456789" + letters
    return f"jsim{digits[tens % 36]}{digits[units]}{letters[tens // 36]}{letters[place]}q"
