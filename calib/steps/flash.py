"""Post-flash: subtract the flash image scaled by the flash duration (FLSHCORR).

Sources: ACS Data Handbook 3.4.10; calacs doflash.
"""

from __future__ import annotations

import numpy as np

from calib.image import Image
from calib.steps.dark import Subtracted, subtract_dark
from calib.steps.totals import Totals


def subtract_flash(image: Image, flash: Image, seconds: float, serious: int) -> Subtracted:
    """Subtract a flash rate times a flash duration; row-wise.

    Parameters
    ----------
    image
        In electrons, overscan removed. Flagged pixels are corrected too; NaN stays NaN.
    flash
        Flash rate [electrons/s] with its error, same shape; its flags are added.
    seconds
        FLASHDUR.
    serious
        Mask of flags (SDQFLAGS) for the mean.

    Returns
    -------
    Subtracted
        The image, and the sums of the scaled flash over good pixels; MEANFLSH is their
        :func:`mean_by_rows`.

    Raises
    ------
    DataError
        Shapes differ.
    """
    return subtract_dark(image, flash, seconds, serious)


def mean_by_rows(totals: Totals, width: int) -> float:
    """Return the mean over good pixels the way calacs takes MEANFLSH.

    Row means weighted by the fraction of good pixels, summed in 32 bits; the plain mean
    would differ in the sixth digit. 0 where no pixel is good.

    Parameters
    ----------
    width
        Columns of the image.
    """
    sums, counts = totals
    means = np.divide(sums, counts, out=np.zeros(len(counts)), where=counts > 0)
    weights = counts.astype(np.float32) / np.float32(width)
    weighted = np.add.accumulate(means.astype(np.float32) * weights)
    weight = np.add.accumulate(weights)
    return float(weighted[-1] / weight[-1]) if weight[-1] > 0 else 0.0
