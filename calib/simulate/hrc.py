"""What the synthetic HRC reads of a pointing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from calib.simulate.detector import ADC_LIMIT, BIAS_LEVEL, FULL_WELL, GAIN, READ_NOISE, Detector
from calib.simulate.frame import Frame
from calib.simulate.pointing import LATER_DARK_FROM, Pointing
from calib.simulate.scene import bleed, cosmic_rays
from calib.simulate.sky import render_pointing


def read_hrc(pointing: Pointing, detector: Detector) -> Frame:
    """Return the raw frame of the chip; the target lies in the middle of what sees the sky."""
    geometry = detector.geometry
    dx, dy = pointing.offset
    return Frame(
        counts=expose(pointing, detector),
        chip=1,
        offsets=geometry.offsets(raw=True),
        target=(geometry.trim_x + geometry.nx / 2.0 - dx, geometry.ny / 2.0 - dy),
    )


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
    light = render_pointing(pointing, detector.geometry.shape) * detector.flat(pointing.filter)
    for column, first, length in detector.dead_columns:
        light[first : first + length, column] = 0
    dark = detector.later_dark if pointing.start >= LATER_DARK_FROM else detector.dark
    charge: npt.NDArray[np.float64] = light * pointing.seconds + dark * pointing.dark_seconds
    return charge
