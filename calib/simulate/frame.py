"""A raw frame of one chip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Frame:
    """Counts of one chip and where they lie.

    Attributes
    ----------
    counts
        DN, or photons of the SBC; overscans included.
    chip
        CCDCHIP.
    offsets
        LTV1 and LTV2: where the first pixel of the chip lies in the frame.
    target
        Pixel of the frame, from one, that is on the target; it may lie outside.
    cards
        What the SCI header has besides.
    """

    counts: npt.NDArray[np.uint16]
    chip: int
    offsets: tuple[float, float]
    target: tuple[float, float]
    cards: Mapping[str, float] = field(default_factory=dict)
