"""Errors of a CCD image in DN: Poisson noise of the signal and read noise.

Sources: STIS Data Handbook 3.4.5; calstis donoise.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from calib.image import Image


def initialise_error_of_dn(image: Image, bias: float, gain: float, read_noise: float) -> Image:
    """Fill ERR with sqrt(max((SCI - bias) * gain, 0) + read_noise²) / gain.

    Parameters
    ----------
    image
        In DN. Flagged pixels are computed too; a NaN signal gets the read noise alone.
    bias
        Level that is still in the signal [DN]; 0 where it is subtracted.
    gain
        Electrons per DN; positive.
    read_noise
        Electrons.
    """
    signal = (image.sci - np.float32(bias)) * np.float32(gain)
    noise = np.float32(read_noise)
    electrons = np.where(signal > 0, signal + noise * noise, noise * noise)
    err = np.sqrt(electrons.astype(np.float64)) / np.float64(np.float32(gain))
    return dataclasses.replace(image, err=err.astype(np.float32))
