"""Sum of repeated exposures without cosmic-ray rejection: MAMA images (RPTCORR).

A MAMA counts photons and is blind to cosmic rays. Sources: ACS Data Handbook 3.5.2; calacs
acssum.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from calib.errors import DataError
from calib.image import Image


def sum_exposures(images: Sequence[Image]) -> Image:
    """Add exposures pixel by pixel.

    SCI are added, ERR in quadrature, both in 32 bits and in the order of the exposures;
    flags are joined. NaN in one exposure makes the sum NaN; flagged pixels count like the
    others. Row by row: any block of rows gives the bits of the whole.

    Parameters
    ----------
    images
        Calibrated, of one shape, at least two.

    Raises
    ------
    DataError
        There are fewer than two images, or shapes differ.
    """
    if len(images) < 2:  # noqa: PLR2004 - one exposure is no sum
        raise DataError("too few exposures to add up", expected="at least 2", found=len(images))
    if len(shapes := {image.shape for image in images}) > 1:
        raise DataError("exposures to be added up differ in size", found=sorted(shapes))
    first, *others = images
    sci, variance, dq = first.sci.copy(), first.err * first.err, first.dq.copy()
    for other in others:
        sci += other.sci
        variance += other.err * other.err
        dq |= other.dq
    return dataclasses.replace(first, sci=sci, err=np.sqrt(variance), dq=dq)
