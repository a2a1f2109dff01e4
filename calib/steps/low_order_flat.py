"""Low-order flat field (LFLTFILE of FLATCORR). Source: calacs doflat.

No archived exposure names one. Dividing by an enlarged one is
:func:`calib.steps.flat.divide_flat` after :func:`calib.steps.enlargement.match_reference`.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from calib.dq import AcsDq
from calib.image import Image


def divide_empty_flat(image: Image) -> Image:
    """Flag every pixel with 512 and change no value: a trap.

    The program enlarges the low-order flat, but divides by another line, which it never
    fills: all zeros. Kept, so that what it would make is made here.
    """
    return dataclasses.replace(image, dq=image.dq | np.int16(AcsDq.BAD_REFERENCE))
