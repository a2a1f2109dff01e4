"""From pixel values to grey levels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from calib.preview.limits import Limits, Pixels

Grey = npt.NDArray[np.uint8]

# How strongly faint light is lifted: fitscut --asinh-scale has the same shape. 10 keeps a
# nebula and the stars in it (visual check on HRC and WFC images).
ASINH_FACTOR = 10.0

_WHITE = 255


def stretch_asinh(data: Pixels, limits: Limits) -> Grey:
    """Map values to grey levels by ``255 asinh(10 x) / asinh(10)``, x from low 0 to high 1.

    Parameters
    ----------
    data
        Shape (ny, nx), any unit. NaN is painted black; infinities as the nearer limit.
    limits
        Values outside are clipped.

    Returns
    -------
    ndarray of uint8
        Shape (ny, nx).
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        scaled = np.subtract(data, limits.low, dtype=np.float32)
        scaled /= np.float32(limits.high - limits.low)
    np.fmax(scaled, 0.0, out=scaled)  # unlike clip, takes the number where the other is NaN
    np.fmin(scaled, 1.0, out=scaled)
    scaled *= np.float32(ASINH_FACTOR)
    np.arcsinh(scaled, out=scaled)
    scaled *= np.float32(_WHITE / np.arcsinh(ASINH_FACTOR))
    return np.rint(scaled, out=scaled).astype(np.uint8)
