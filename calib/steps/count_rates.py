"""An exposure seen as sky-subtracted count rates, computed where they are needed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from calib.compiled import Planes
from calib.image import Float


class CountRates(NamedTuple):
    """An exposure, or a block of its rows; the rate of a pixel is (SCI - sky) / seconds.

    Attributes
    ----------
    pixels
        SCI and ERR in electrons, and flags.
    scale
        Sky [electrons] and exposure time, 32 bits.
    """

    pixels: Planes
    scale: Float

    @property
    def seconds(self) -> np.float32:
        """Exposure time; one of 0 has no rates."""
        return np.float32(self.scale[1])

    def rows(self, start: int, stop: int) -> CountRates:
        """Return a block of rows, nothing copied; `stop` may lie behind the last row."""
        sci, err, dq = self.pixels
        return CountRates(Planes(sci[start:stop], err[start:stop], dq[start:stop]), self.scale)
