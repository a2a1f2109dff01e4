"""How much of a spectrum a picture shows: the ranges of its axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from calib.preview.limits import Limits
from calib.preview.spectrum import Curve, Mask, Values

# Light of the Earth's upper atmosphere in every far-ultraviolet exposure: Lyman alpha, and the
# oxygen triplet at 1302, 1305 and 1306 Angstrom (COS Instrument Handbook, section 7.4), each as
# wide as light that fills the aperture makes it. Angstrom.
AIRGLOW = ((1212.0, 1219.0), (1300.0, 1308.0))

# Where the sensitivity ends, noise is many times as large as anywhere else: points of such errors
# vote only if they are many errors away from zero, as the peaks of lines are.
_LARGE_ERROR = 5.0
_CERTAIN = 5.0

# A running median over so many points removes spikes of one or two and leaves lines.
_WINDOW = 5

# Shares left out at either end: of the smoothed points, which keeps lines of a thousandth of the
# spectrum, and of the points themselves, which keeps the noise within the frame.
_SMOOTHED = (0.1, 99.9)
_RAW = (1.0, 99.0)

_MARGIN = 0.08  # of the range, so that no line runs along the frame


def find_wavelengths(curves: Sequence[Curve]) -> Limits:
    """Find the range of wavelengths: of the good points, of all where there is none.

    Returns
    -------
    Limits
        Unit of the file. One wavelength alone is in the middle of a range of two units, or of
        two millionths of it; (0, 1) where no point has a wavelength.
    """
    for masks in ([curve.good for curve in curves], [curve.seen for curve in curves]):
        values = np.concatenate(
            [curve.wavelength[mask] for curve, mask in zip(curves, masks, strict=True)]
        )
        if values.size:
            return _apart(float(values.min()), float(values.max()))
    values = np.concatenate([curve.wavelength for curve in curves])
    values = values[np.isfinite(values)]
    return _apart(float(values.min()), float(values.max())) if values.size else Limits(0, 1)


def find_fluxes(curves: Sequence[Curve], wavelengths: Limits) -> Limits:
    """Find the range of fluxes, which holds zero.

    Flagged and not finite points, light of the atmosphere, spikes, and the noise at the ends of a
    detector do not count, unless there is nothing else.

    Parameters
    ----------
    wavelengths
        Points outside do not count.

    Returns
    -------
    Limits
        Unit of the file; (0, 1), with a margin, where there is no point or all are zero.
    """
    chosen = [_reliable(curve, wavelengths) for curve in curves]
    if not any(flux.size for flux in chosen):
        chosen = [curve.flux[curve.seen & _within(curve, wavelengths)] for curve in curves]
    shares = ((np.concatenate(chosen or [np.zeros(0)]), _RAW), (_smoothed(chosen), _SMOOTHED))
    ends = [np.percentile(values, share) for values, share in shares if values.size]
    low, high = np.transpose(ends) if ends else np.zeros((2, 1))
    low, high = min(float(low.min()), 0.0), max(float(high.max()), 0.0)
    if high <= low:
        high = 1.0
    margin = _MARGIN * (high - low)
    return Limits(low - margin, high + margin)


def _apart(low: float, high: float) -> Limits:
    around = max(1.0, 1e-6 * abs(low))
    return Limits(low, high) if high > low else Limits(low - around, high + around)


def _within(curve: Curve, wavelengths: Limits) -> Mask:
    with np.errstate(invalid="ignore"):
        inside: Mask = (curve.wavelength >= wavelengths.low) & (
            curve.wavelength <= wavelengths.high
        )
    return inside


def _reliable(curve: Curve, wavelengths: Limits) -> Values:
    """Return the fluxes of the points that can be relied on."""
    good = curve.good & _within(curve, wavelengths)
    in_space = good & ~airglow(curve.wavelength)
    chosen = in_space if in_space.any() else good
    flux, error = curve.flux[chosen], curve.error[chosen]
    known = np.isfinite(error) & (error > 0)
    if known.any():
        large = _LARGE_ERROR * np.median(error[known])
        with np.errstate(invalid="ignore"):
            doubtful = known & (error > large) & (np.abs(flux) < _CERTAIN * error)
        flux = flux[~doubtful]
    return flux


def shows_airglow(wavelengths: Limits) -> bool:
    """Tell whether a range of wavelengths, in Angstrom, holds light of the atmosphere."""
    return any(low < wavelengths.high and high > wavelengths.low for low, high in AIRGLOW)


def airglow(wavelength: Values) -> Mask:
    """Mark wavelengths, in Angstrom, at which the atmosphere shines; never NaN."""
    mask = np.zeros(wavelength.shape, bool)
    with np.errstate(invalid="ignore"):
        for low, high in AIRGLOW:
            mask |= (wavelength >= low) & (wavelength <= high)
    return mask


def _smoothed(parts: Sequence[Values]) -> Values:
    """Return the running medians of each part; a short part as it is."""
    medians = [
        part
        if part.size < _WINDOW
        else np.asarray(np.median(sliding_window_view(part, _WINDOW), axis=1))
        for part in parts
    ]
    return np.concatenate(medians or [np.zeros(0)])
