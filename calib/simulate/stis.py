"""The synthetic CCD of STIS, and what it reads: the exposures of a split, in one raw file.

Exposures and references (:mod:`calib.simulate.stis_references`) are made from the same truth,
so calibrating an exposure with its references gives back the sky. Numbers are about those of
the real detector (STIS Instrument Handbook, chapter 7): 1024 x 1024 pixels, of which any rows,
binned or not, can be read by amplifier A, B, C or D.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits

from calib.fitsfile import write_atomically
from calib.simulate.constant import constant_image
from calib.simulate.scene import cosmic_rays

Pixels = npt.NDArray[np.float64]

SIDE = 1024
SERIAL, VIRTUAL = 19, 20  # columns of overscan at each side, rows of it at the far end
BINNED_WIDTH = {1: 1054, 2: 1064, 4: 1084}  # columns read of a binned frame, before binning
GAINS = {1: 1.0, 2: 2.02, 4: 4.016, 8: 8.1}  # electrons per DN by CCDGAIN
READ_NOISE = {1: 5.6, 2: 5.9, 4: 8.0, 8: 12.0}  # electrons
BIAS_LEVEL = 1510.0  # DN
SATURATE = 65000.0  # DN
ADC_LIMIT = 65535
REFERENCE_TEMPERATURE, DARK_SLOPE = 18.0, 0.07  # °C, per °C
SLOPE, DRIFT = 2e-3, 1e-3  # DN per row and per column of the bias level
PIXEL = 0.05078 / 3600  # degrees

SWITCHES = {
    **dict.fromkeys(("DQICORR", "BLEVCORR", "BIASCORR", "DARKCORR", "FLATCORR"), "PERFORM"),
    **dict.fromkeys(("PHOTCORR", "CRCORR"), "PERFORM"),
    **dict.fromkeys(("ATODCORR", "RPTCORR", "EXPSCORR", "SHADCORR", "GEOCORR"), "OMIT"),
}


@dataclass(frozen=True)
class StisDetector:
    """The true detector; equal seeds give equal ones."""

    seed: int = 0

    @cached_property
    def bias(self) -> Pixels:
        """Fixed pattern in DN."""
        return self._random(1).normal(0, 0.3, SIDE) + self._random(2).normal(0, 0.1, (SIDE, SIDE))

    @cached_property
    def dark(self) -> Pixels:
        """Electrons per second at the reference temperature, with hot pixels."""
        dark = np.full((SIDE, SIDE), 0.004)
        rng = self._random(3)
        hot = rng.random(dark.shape) < 1e-3  # noqa: PLR2004 - share of hot pixels
        return np.where(hot, dark + rng.gamma(1.0, 0.5, dark.shape), dark)

    @cached_property
    def flat(self) -> Pixels:
        """Relative sensitivity from pixel to pixel."""
        return self._random(4).normal(1, 0.01, (SIDE, SIDE))

    @cached_property
    def coarse_flat(self) -> Pixels:
        """Sensitivity on a scale of 64 pixels, of 16 x 16 parts of the detector."""
        y, x = np.mgrid[:16, :16] / 16
        smooth: Pixels = 1 + 0.05 * np.sin(2 * x) * np.cos(y)
        return smooth

    def _random(self, number: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, number])


@dataclass(frozen=True)
class StisExposure:
    """A split exposure.

    Attributes
    ----------
    rootname
        Lower case.
    seconds
        Exposure time of each image set.
    gain, amplifier
        CCDGAIN and CCDAMP.
    rows
        First row and number of rows of a subarray; None: full frame with all overscan.
    bins
        Detector pixels per image pixel along x and y.
    start
        MJD.
    temperature
        Of the housing [°C].
    sky
        Electrons per second and detector pixel.
    cosmic
        Whether there are cosmic rays.
    cards
        Other values for the primary header.
    """

    rootname: str = "obzz01010"
    seconds: Sequence[float] = (100.0,)
    gain: int = 1
    amplifier: str = "D"
    rows: tuple[int, int] | None = None
    bins: tuple[int, int] = (1, 1)
    start: float = 58000.0
    temperature: float = 20.0
    sky: float = 3.0
    cosmic: bool = False
    cards: dict[str, Any] = field(default_factory=dict)

    @property
    def frame(self) -> tuple[int, int, int, int]:
        """First row and column and numbers of rows and columns, unbinned, from the science corner.

        Negative where overscan comes first. A subarray lacks one column at each edge.
        """
        if self.rows is not None:
            return self.rows[0], 1 - SERIAL, self.rows[1], SIDE + 2 * (SERIAL - 1)
        below = VIRTUAL if self.amplifier in "CD" else 0
        width = SIDE + 2 * SERIAL if self.bins == (1, 1) else BINNED_WIDTH[self.bins[0]]
        left = width - SIDE - SERIAL if self.amplifier in "BD" else SERIAL
        return -below, -left, SIDE + VIRTUAL, width


def sky_of(exposure: StisExposure) -> Pixels:
    """Return electrons per second of each detector pixel: a sloping sky and some stars."""
    y, x = np.mgrid[:SIDE, :SIDE]
    light = exposure.sky * (1 + 0.2 * x / SIDE)
    rng = np.random.default_rng(12)
    for _ in range(40):
        cy, cx, flux = (float(rng.uniform(*ends)) for ends in ((20, SIDE - 20),) * 2 + ((5, 60),))
        part = slice(int(cy) - 8, int(cy) + 9), slice(int(cx) - 8, int(cx) + 9)
        light[part] += flux * np.exp(-(np.hypot(y[part] - cy, x[part] - cx) ** 2) / 4)
    return np.asarray(light)


def expected_electrons(exposure: StisExposure, detector: StisDetector, seconds: float) -> Pixels:
    """Return the mean charge of each detector pixel, before noise and cosmic rays."""
    coarse = _enlarge(detector.coarse_flat)
    factor = 1 + DARK_SLOPE * (exposure.temperature - REFERENCE_TEMPERATURE)
    charge: Pixels = sky_of(exposure) * detector.flat * coarse + detector.dark * factor
    return charge * seconds


def _enlarge(coarse: Pixels) -> Pixels:
    """Interpolate between the centres of the parts, and go on in a straight line at the edges."""
    step = SIDE // coarse.shape[0]
    place = (np.arange(SIDE) - (step - 1) / 2) / step
    low = np.clip(place.astype(int), 0, coarse.shape[0] - 2)
    share = place - low
    rows = coarse[low] * (1 - share)[:, None] + coarse[low + 1] * share[:, None]
    fine: Pixels = rows[:, low] * (1 - share) + rows[:, low + 1] * share
    return fine


def read_frame(
    exposure: StisExposure, detector: StisDetector, number: int
) -> npt.NDArray[np.uint16]:
    """Return the raw frame of one image set in DN, binned."""
    rng = np.random.default_rng([detector.seed, 100 + number])
    seconds = exposure.seconds[number]
    charge = rng.poisson(expected_electrons(exposure, detector, seconds)).astype(np.float64)
    if exposure.cosmic:
        charge += cosmic_rays(charge.shape, seconds, rng)
    y0, x0, ny, nx = exposure.frame
    whole = np.zeros((ny, nx))
    science = charge + detector.bias * GAINS[exposure.gain]
    first, end = max(y0, 0), min(y0 + ny, SIDE)
    whole[first - y0 : end - y0, -x0 : SIDE - x0] = science[first:end]
    by_x, by_y = exposure.bins
    binned = whole[: ny // by_y * by_y, : nx // by_x * by_x]
    binned = binned.reshape(ny // by_y, by_y, nx // by_x, by_x).sum(axis=(1, 3))
    binned += rng.normal(0, READ_NOISE[exposure.gain], binned.shape)
    rows, columns = np.indices(binned.shape, sparse=True)
    level = BIAS_LEVEL + SLOPE * rows + DRIFT * columns
    counts = np.rint(binned / GAINS[exposure.gain] + level)
    samples: npt.NDArray[np.uint16] = np.clip(counts, 0, ADC_LIMIT).astype(np.uint16)
    return samples


def write_raw(folder: Path, exposure: StisExposure, detector: StisDetector) -> Path:
    """Write the raw file: for each image set u16 SCI, and constant ERR and DQ without pixels."""
    path = folder / f"{exposure.rootname}_raw.fits"
    hdus: list[Any] = [fits.PrimaryHDU(header=fits.Header(primary_cards(exposure, path.name)))]
    for number in range(len(exposure.seconds)):
        frame = read_frame(exposure, detector, number)
        cards = science_cards(exposure, number)
        science = fits.ImageHDU(frame, name="SCI", ver=number + 1)
        science.header.update(cards)
        hdus.append(science)
        for name in ("ERR", "DQ"):
            constant = constant_image(name, 0, frame.shape)
            constant.header.update({"EXTVER": number + 1, **_mapping(exposure)})
            hdus.append(constant)
    write_atomically(fits.HDUList(hdus), path)
    return path


def primary_cards(exposure: StisExposure, name: str) -> dict[str, Any]:
    """Return the primary header."""
    return {
        "TELESCOP": "HST",
        "INSTRUME": "STIS",
        "DETECTOR": "CCD",
        "ROOTNAME": exposure.rootname,
        "FILENAME": name,
        "FILETYPE": "SCI",
        "NEXTEND": 3 * len(exposure.seconds),
        "TARGNAME": "FIELD",
        "OBSTYPE": "IMAGING",
        "OBSMODE": "ACCUM",
        "OPT_ELEM": "MIRVIS",
        "APERTURE": "50CCD",
        "APER_FOV": "50x50",
        "SUBARRAY": exposure.rows is not None,
        "CRSPLIT": len(exposure.seconds),
        "CCDAMP": exposure.amplifier,
        "CCDGAIN": exposure.gain,
        "CCDOFFST": 3,
        "BINAXIS1": exposure.bins[0],
        "BINAXIS2": exposure.bins[1],
        "TEXPTIME": float(sum(exposure.seconds)),
        "TEXPSTRT": exposure.start,
        "STATFLAG": True,
        "CAL_VER": "",
        "PHOTMODE": "",
        **SWITCHES,
        **exposure.cards,
    }


def science_cards(exposure: StisExposure, number: int) -> dict[str, Any]:
    """Return the header of a SCI extension: times are here, not in the primary header."""
    seconds = exposure.seconds[number]
    start = exposure.start + number * 0.01
    return {
        "EXPNAME": exposure.rootname,
        "BUNIT": "COUNTS",
        "EXPTIME": float(seconds),
        "EXPSTART": start,
        "EXPEND": start + seconds / 86400,
        "NCOMBINE": 1,
        "OCCDHTAV": exposure.temperature,
        "SDQFLAGS": 31743,
        "CRPIX1": 512.0,
        "CRPIX2": 512.0,
        "CD1_1": PIXEL * exposure.bins[0],
        "CD1_2": 0.0,
        "CD2_1": 0.0,
        "CD2_2": PIXEL * exposure.bins[1],
        **_mapping(exposure),
    }


def _mapping(exposure: StisExposure) -> dict[str, float]:
    """Return LTV and LTM; those of a binned image map the centres of pixels."""
    y0, x0, _, _ = exposure.frame
    (by_x, by_y) = exposure.bins
    x, y = ((-first - 0.5) / by + 0.5 for first, by in ((x0, by_x), (y0, by_y)))
    return {"LTV1": x, "LTV2": y, "LTM1_1": 1 / by_x, "LTM2_2": 1 / by_y}
