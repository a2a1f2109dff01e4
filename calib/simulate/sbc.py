"""What the synthetic SBC counts of a pointing: photons, without bias, read noise, cosmic rays."""

from __future__ import annotations

import numpy as np

from calib.simulate.detector import Detector
from calib.simulate.frame import Frame
from calib.simulate.pointing import Pointing
from calib.simulate.sky import render_pointing

# Dead time of the whole detector after a photon (s), as the golden MLINTAB has it.
DEAD_TIME = 3e-7

# Rows of a broken anode, as shares of the height: 599 to 605 of 1024
# (ACS Instrument Handbook, section 4.4).
DEAD_ROWS = (599 / 1024, 606 / 1024)


def read_sbc(pointing: Pointing, detector: Detector) -> Frame:
    """Return the raw frame in counts; GLOBRATE is their number per second."""
    rng = np.random.default_rng([pointing.seed, 6])
    ny, nx = detector.geometry.shape
    light = render_pointing(pointing, (ny, nx)) * detector.flat(pointing.filter)
    light[dead_rows(ny)] = 0
    counted = light * np.exp(-DEAD_TIME * light.sum())
    mean = counted * pointing.seconds + detector.dark * pointing.dark_seconds
    counts = rng.poisson(mean).astype(np.uint16)
    return Frame(
        counts=counts,
        chip=1,
        offsets=(0.0, 0.0),
        target=(nx / 2.0 - pointing.offset[0], ny / 2.0 - pointing.offset[1]),
        cards={"GLOBRATE": float(counts.sum() / pointing.seconds)},
    )


def dead_rows(ny: int) -> slice:
    """Return the rows that see nothing."""
    first, last = (round(share * ny) for share in DEAD_ROWS)
    return slice(first, last)
