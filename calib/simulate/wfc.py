"""What the synthetic WFC reads of a pointing: both chips, or the quadrant of one amplifier.

The bias level of the golden frames (after the repair of 2009) is kept; JWROTYPE is CLAMP, the
rarer way of reading, since the other one's bias shift is defined for 2068 rows only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from calib.simulate.detector import ADC_LIMIT, Detector, Geometry
from calib.simulate.frame import Frame
from calib.simulate.golden_raws import BIAS_LEVEL
from calib.simulate.golden_tables import GAIN, READ_NOISE
from calib.simulate.pointing import SERVICED, Pointing
from calib.simulate.scene import bleed, cosmic_rays
from calib.simulate.sky import render_pointing

# The amplifiers of each chip, left and right.
AMPLIFIERS = {2: ("C", "D"), 1: ("A", "B")}

FULL_WELL = 84000.0  # electrons, as the golden frames have it

# Rows between the chips as a share of a chip's columns: 50 of 4096 (ACS Instrument Handbook,
# section 7.3).
GAP = 50 / 4096

# Noise that all pixels read at one time share (electrons): the stripes
# (ACS Instrument Handbook, section 4.2.1).
STRIPES = 0.9

# Time between the rows, in pixels (hence that of the bias shift's stream, 3.212 ms at 22 us).
PAUSE = 146

# By how many electrons the level rose along columns before the repair.
SLOPE = 1.5

# Seconds of dark current that raw headers leave out: after SM4, with and without post-flash
# (OVRHFLS and OVRHUFLS of CCDTAB).
LEFT_OUT = {True: 3.5, False: 0.5}

# The deepest a sink pixel takes (electrons).
SINK_DEPTH = 25.0

Electrons = npt.NDArray[np.float64]


def read_wfc(pointing: Pointing, chips: Sequence[Detector]) -> list[Frame]:
    """Return the raw frames: chip 2 and chip 1, or a quadrant.

    Both chips see one sky with the gap between them, and the target in the middle of it; a
    quadrant has the target in its own middle.
    """
    if pointing.quadrant:
        return [_read_quadrant(pointing, chips)]
    lower, upper = chips
    ny, nx = lower.geometry.shape
    gap = round(GAP * nx)
    light = render_pointing(pointing, (2 * ny + gap, nx))
    frames = []
    for detector, seen in ((lower, light[:ny]), (upper, light[ny + gap :])):
        geometry = detector.geometry
        middle = ny + gap / 2 if detector is lower else -gap / 2
        place = (geometry.trim_x + nx / 2 - pointing.offset[0], geometry.trim_low + middle)
        frames.append(
            Frame(
                counts=read_out(pointing, detector, seen),
                chip=detector.chip,
                offsets=geometry.offsets(raw=True),
                target=(place[0], place[1] - pointing.offset[1]),
            )
        )
    return frames


def _read_quadrant(pointing: Pointing, chips: Sequence[Detector]) -> Frame:
    """Return half a chip with its overscan on the side of the amplifier and beyond the rows."""
    detector = next(one for one in chips if pointing.quadrant in AMPLIFIERS[one.chip])
    geometry = detector.geometry
    ny, half = geometry.ny, geometry.nx // 2
    left = pointing.quadrant in "AC"
    seen = np.zeros(geometry.shape)
    seen[:, :half] = seen[:, half:] = render_pointing(pointing, (ny, half))
    first = 0 if left else geometry.trim_x + half
    counts = read_out(pointing, detector, seen)[:, first : first + half + geometry.trim_x]
    x, y = geometry.offsets(raw=True)
    target = (half / 2 + (x if left else 0.0), ny / 2 + geometry.trim_low)
    return Frame(counts, detector.chip, (x - first, y), target)


def read_out(pointing: Pointing, detector: Detector, light: Electrons) -> npt.NDArray[np.uint16]:
    """Return the raw image of a chip in DN: sky, dark, post-flash, full well, bias, read noise.

    Parameters
    ----------
    light
        Electrons/s of the pixels that see the sky, before the flat.
    """
    rng = np.random.default_rng([pointing.seed, 4, detector.chip])
    geometry = detector.geometry
    electrons = rng.poisson(expected_electrons(pointing, detector, light)).astype(np.float64)
    electrons += cosmic_rays(geometry.shape, pointing.seconds, rng)
    image = rng.normal(0, 1, geometry.raw_shape) * per_column(READ_NOISE, geometry, detector.chip)
    image[geometry.window] += bleed(electrons, FULL_WELL)
    image += wandering_level(pointing, geometry)
    gain, level = (per_column(of, geometry, detector.chip) for of in (GAIN, BIAS_LEVEL))
    counts = np.rint(image / gain + level + detector.bias)
    return np.clip(counts, 0, ADC_LIMIT).astype(np.uint16)


def expected_electrons(pointing: Pointing, detector: Detector, light: Electrons) -> Electrons:
    """Return the mean charge of each pixel that sees the sky, before noise and defects."""
    seen = light * detector.flat(pointing.filter)
    for column, first, length in detector.dead_columns:
        seen[first : first + length, column] = 0
    late = pointing.start >= SERVICED
    dark = detector.later_dark if late else detector.dark
    seconds = pointing.dark_seconds + (LEFT_OUT[pointing.flash > 0] if late else 0.0)
    charge: Electrons = seen * pointing.seconds + dark * seconds + detector.flash * pointing.flash
    sunk = detector.sinks[detector.geometry.window] <= -SINK_DEPTH
    charge[sunk] = np.maximum(charge[sunk] - SINK_DEPTH, 0)
    return charge


def wandering_level(pointing: Pointing, geometry: Geometry) -> Electrons:
    """Return what the bias level has besides (electrons), to be added to a raw image.

    Since SM4 it wanders with time, the same for all four amplifiers, which read from the
    corners to the middle: the stripes. Before, the level rose along columns.
    """
    ny, nx = geometry.raw_shape
    if pointing.start < SERVICED:
        return np.linspace(0, SLOPE, ny)[:, None]
    knots = np.random.default_rng([pointing.seed, 5]).normal(0, STRIPES, ny + 1)
    half = nx // 2
    time = np.arange(ny)[:, None] + np.arange(half) / (half + PAUSE)
    quadrant: Electrons = np.interp(time.ravel(), np.arange(ny + 1), knots).reshape(ny, half)
    both = np.hstack([quadrant, quadrant[:, ::-1]])
    return both[::-1] if geometry.trim_low else both


def per_column(of: dict[str, float], geometry: Geometry, chip: int) -> Electrons:
    """Return a property of the amplifier that reads each raw column."""
    left, right = AMPLIFIERS[chip]
    nx = geometry.raw_shape[1]
    return np.where(np.arange(nx) < nx // 2, of[left], of[right])
