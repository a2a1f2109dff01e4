"""Paint curves: error bands, points, flagged parts, on a canvas of twice the size.

Pillow draws lines without smoothing; a picture drawn larger and averaged down is smooth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image, ImageDraw

from calib.preview.axes import Axis
from calib.preview.limits import Limits
from calib.preview.spectrum import Curve, Mask, Values
from calib.preview.spectrum_limits import AIRGLOW

Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)
# Two blues and their bands: neighbours are told apart where orders of an echelle overlap. Grey
# and blue differ in brightness too, for eyes and printers that see no colour.
LINES: tuple[Colour, Colour] = ((11, 79, 138), (42, 140, 190))
_BANDS: tuple[Colour, Colour] = ((196, 216, 233), (208, 230, 240))
FLAGGED: Colour = (176, 176, 176)
_ZERO: Colour = (120, 120, 120)
_AIRGLOW: Colour = (255, 246, 214)

# Wider than a pixel by half, at a scale of two: wherever it falls, it fills one pixel.
_THICKER = 1

# A band is painted in pieces: the time of a polygon grows with points times rows.
_PIECE = 128


def paint_curves(
    curves: Sequence[Curve],
    limits: tuple[Limits, Limits],
    size: tuple[int, int],
    *,
    scale: int = 2,
    first: int = 0,
    flagged: bool = True,
) -> Image.Image:
    """Paint curves into a picture without a frame.

    Bands of one error lie below, flagged points are grey, good ones blue; lines stop where a
    value is missing. Points are joined in the order of their wavelengths. Light of the Earth's
    atmosphere has a yellow ground.

    Parameters
    ----------
    curves
        What is outside the limits is cut off.
    limits
        Of wavelengths, in Angstrom for the yellow ground to be right, and of fluxes.
    size
        Width and height in pixels.
    scale
        How much larger the canvas is.
    first
        Number of the first curve: even and odd ones have different blues.
    flagged
        Whether flagged points are shown.

    Returns
    -------
    PIL.Image.Image
        Mode RGB.
    """
    width, height = size[0] * scale, size[1] * scale
    canvas = Image.new("RGB", (width, height), WHITE)
    draw = ImageDraw.Draw(canvas)
    axes = Axis(limits[0], 0, width), Axis(limits[1], height, 0)
    _ground(draw, axes, height)
    drawn = [_Drawn(curve, axes) for curve in curves]
    for number, each in enumerate(drawn, start=first):
        each.band(draw, _BANDS[number % 2])
    zero = float(axes[1].place(np.zeros(1))[0])
    draw.line([(0, zero), (width, zero)], _ZERO, max(1, scale // 2))
    for each in drawn if flagged else ():
        each.flagged(draw, scale)
    for number, each in enumerate(drawn, start=first):
        each.line(draw, LINES[number % 2], scale)
    return canvas.reduce(scale)


def _ground(draw: ImageDraw.ImageDraw, axes: tuple[Axis, Axis], height: int) -> None:
    for window in AIRGLOW:
        if window[1] > axes[0].limits.low and window[0] < axes[0].limits.high:
            left, right = axes[0].place(np.array(window))
            draw.rectangle((left, 0, right, height), fill=_AIRGLOW)


class _Drawn:
    """A curve in pixels of the canvas, in the order of wavelengths.

    Attributes
    ----------
    x, y
        Shape (n,); only points that have a place, within the limits and one beyond.
    low, high
        Of the error band; equal to `y` where there is no error.
    good
        Points without a flag.
    """

    def __init__(self, curve: Curve, axes: tuple[Axis, Axis]) -> None:
        order = np.argsort(curve.wavelength, kind="stable")
        inside = _near(curve.wavelength[order], axes[0].limits)
        chosen = order[inside]
        known = np.isfinite(curve.error) & (curve.error > 0)
        error = np.where(known, curve.error, 0.0)[chosen]
        flux = np.where(curve.seen, curve.flux, np.nan)[chosen]
        self.x = axes[0].place(curve.wavelength[chosen])
        self.y, self.low, self.high = (axes[1].place(v) for v in (flux, flux - error, flux + error))
        self.seen, self.good = curve.seen[chosen], curve.good[chosen]

    def band(self, draw: ImageDraw.ImageDraw, colour: Colour) -> None:
        """Paint one error up and down around the good points."""
        for start, stop in _runs(self.good):
            for piece in range(start, stop - 1, _PIECE):
                part = slice(piece, min(piece + _PIECE + 1, stop))
                upper = _pairs(self.x[part], self.high[part])
                draw.polygon(upper + _pairs(self.x[part], self.low[part])[::-1], fill=colour)

    def flagged(self, draw: ImageDraw.ImageDraw, scale: int) -> None:
        """Join flagged points with each other and with their neighbours."""
        joined = self.seen[:-1] & self.seen[1:] & ~(self.good[:-1] & self.good[1:])
        for start, stop in _runs(joined):
            draw.line(
                _pairs(self.x[start : stop + 1], self.y[start : stop + 1]),
                FLAGGED,
                scale + _THICKER,
            )
        self._dots(draw, self.seen & ~self.good, FLAGGED, scale)

    def line(self, draw: ImageDraw.ImageDraw, colour: Colour, scale: int) -> None:
        """Join good points."""
        for start, stop in _runs(self.good):
            if stop - start > 1:
                draw.line(_pairs(self.x[start:stop], self.y[start:stop]), colour, scale + _THICKER)
        self._dots(draw, self.good, colour, scale)

    def _dots(self, draw: ImageDraw.ImageDraw, mask: Mask, colour: Colour, scale: int) -> None:
        """Show points that stand alone, which no line shows."""
        for start, stop in _runs(mask):
            if stop - start == 1:
                x, y = float(self.x[start]), float(self.y[start])
                draw.ellipse((x - scale, y - scale, x + scale, y + scale), fill=colour)


def _near(wavelength: Values, limits: Limits) -> slice:
    """Find the points within limits, and the neighbours that lines come from."""
    count = int(np.count_nonzero(~np.isnan(wavelength)))  # NaN is sorted to the end
    first, last = np.searchsorted(wavelength[:count], limits, side="left")
    return slice(max(0, int(first) - 1), min(count, int(last) + 1))


def _runs(mask: Mask) -> Iterator[tuple[int, int]]:
    """Yield the first index and the one after the last of every stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _pairs(x: Values, y: Values) -> list[tuple[float, float]]:
    return list(zip(x.tolist(), y.tolist(), strict=True))
