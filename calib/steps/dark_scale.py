"""By what the dark of the STIS CCD is multiplied, beside the exposure time.

Sources: STIS Data Handbook 3.4.6; STIS ISR 2001-03 (housing temperature); calstis dodark.
"""

from __future__ import annotations

import numpy as np

from calib.image import Image

REFERENCE_TEMPERATURE = 18.0  # °C; where the dark has no REF_TEMP (calstis CCD_REF_TEMP)
SLOPE = 0.07  # per °C; where the dark has no DRK_VS_T (calstis)


def housing_factor(
    temperature: float, reference: float = REFERENCE_TEMPERATURE, slope: float = SLOPE
) -> float:
    """Return 1 + slope * (temperature - reference).

    Parameters
    ----------
    temperature
        Of the housing of the CCD [°C] (OCCDHTAV). 0 and less: not known, as with the first
        electronics, and the factor is 1.
    reference, slope
        REF_TEMP and DRK_VS_T of the dark.
    """
    return 1.0 if temperature <= 0 else 1.0 + slope * (temperature - reference)


def median_unflagged(dark: Image, factor: float) -> float:
    """Return the median of the pixels without any flag, times a factor; 0 without such pixels.

    NaN in an unflagged pixel makes it NaN.
    """
    values = dark.sci[dark.dq == 0]
    return float(np.median(values) * np.float32(factor)) if values.size else 0.0
