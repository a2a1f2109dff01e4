"""Arrange a spectrum in panels with frames, numbers and words."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from calib.preview.axes import Axis, common_power, round_ticks, tick_labels
from calib.preview.limits import Limits
from calib.preview.plot import WHITE, Colour, paint_curves
from calib.preview.spectrum import Curve, Spectrum
from calib.preview.spectrum_limits import find_fluxes, find_wavelengths, shows_airglow

_BLACK: Colour = (0, 0, 0)
_DIM: Colour = (90, 90, 90)

# Pixels: a page as wide as a screen; more panels are less high.
_WIDTH = 1200
_LEFT, _RIGHT, _TOP, _BOTTOM, _BETWEEN = 76, 24, 66, 58, 50
_HEIGHTS = {1: 460, 2: 280, 3: 220, 4: 190}
_MOST = max(_HEIGHTS)
_TITLE, _TEXT, _TICK = 22, 16, 6

# The orders of an echelle are spread over this many panels where there are many.
_MANY_ORDERS = 6


@dataclass(frozen=True)
class Panel:
    """Curves on one pair of axes.

    Attributes
    ----------
    label
        Segment, orders or exposure; may be empty.
    curves
        What is drawn.
    wavelengths, fluxes
        Limits of the axes.
    """

    label: str
    curves: tuple[Curve, ...]
    wavelengths: Limits
    fluxes: Limits


def plan_panels(spectrum: Spectrum) -> tuple[Panel, ...]:
    """Give each segment or exposure a panel, and an echelle four ranges of wavelengths.

    Of more than four exposures, four at even distances are shown. Panels rise in wavelength.
    """
    if spectrum.is_echelle:
        return _echelle_panels(spectrum.curves)
    groups = [(_label(curve, spectrum), curve) for curve in spectrum.curves]
    chosen = np.linspace(0, len(groups) - 1, min(len(groups), _MOST)).round().astype(int)
    panels = []
    for label, curve in (groups[number] for number in chosen):
        wavelengths = find_wavelengths([curve])
        panels.append(Panel(label, (curve,), wavelengths, find_fluxes([curve], wavelengths)))
    return tuple(sorted(panels, key=lambda panel: panel.wavelengths.low))


def draw_panels(spectrum: Spectrum, panels: Sequence[Panel]) -> tuple[Image.Image, list[Any]]:
    """Draw the page of a spectrum.

    Returns
    -------
    page
        Mode RGB.
    boxes
        Of each panel: left, top, right and bottom edge of its frame, in pixels.
    """
    height = _HEIGHTS[len(panels)]
    total = _TOP + len(panels) * height + (len(panels) - 1) * _BETWEEN + _BOTTOM
    page = Image.new("RGB", (_WIDTH, total), WHITE)
    draw = ImageDraw.Draw(page)
    boxes = []
    for number, panel in enumerate(panels):
        top = _TOP + number * (height + _BETWEEN)
        box = (_LEFT, top, _WIDTH - _RIGHT, top + height)
        boxes.append(box)
        _draw_panel(page, panel, box, _named(spectrum.quantity, panel.fluxes, spectrum.units[1]))
    _title(draw, spectrum, panels)
    below = (_LEFT + _WIDTH - _RIGHT) / 2, total - 8
    words = _with_unit("Wavelength", spectrum.units[0])
    draw.text(below, words, _BLACK, _font(_TEXT), anchor="md")
    return page, boxes


def draw_small(panels: Sequence[Panel], side: int) -> Image.Image:
    """Draw all curves in one square, without words and flagged points."""
    curves = [curve for panel in panels for curve in panel.curves]
    wavelengths = find_wavelengths(curves)
    limits = wavelengths, find_fluxes(curves, wavelengths)
    picture = paint_curves(curves, limits, (side, side), scale=4, flagged=False)
    ImageDraw.Draw(picture).rectangle((0, 0, side - 1, side - 1), outline=_DIM)
    return picture


def _echelle_panels(curves: Sequence[Curve]) -> tuple[Panel, ...]:
    whole = find_wavelengths(curves)
    orders = len({curve.order for curve in curves})
    edges = np.linspace(*whole, (_MOST if orders >= _MANY_ORDERS else 1) + 1).tolist()
    panels = []
    for low, high in itertools.pairwise(edges):
        part = Limits(low, high)
        inside = tuple(c for c in curves if _overlaps(c, part))
        numbers = sorted({c.order for c in inside})
        label = f"orders {numbers[0]}-{numbers[-1]}" if numbers else "no order"
        panels.append(Panel(label, inside, part, find_fluxes(inside, part)))
    return tuple(panels)


def _overlaps(curve: Curve, part: Limits) -> bool:
    own = curve.wavelength[curve.seen]
    return bool(own.size) and bool(own.min() <= part.high and own.max() >= part.low)


def _label(curve: Curve, spectrum: Spectrum) -> str:
    exposures = {each.exposure for each in spectrum.curves}
    words = [curve.segment]
    if len(exposures) > 1:
        words.append(f"exposure {curve.exposure} of {max(exposures)}")
    return "  ".join(word for word in words if word)


def _draw_panel(
    page: Image.Image, panel: Panel, box: tuple[int, int, int, int], quantity: str
) -> None:
    left, top, right, bottom = box
    first = panel.curves[0].order if panel.curves else 0
    limits = panel.wavelengths, panel.fluxes
    page.paste(paint_curves(panel.curves, limits, (right - left, bottom - top), first=first), box)
    draw = ImageDraw.Draw(page)
    draw.rectangle((left - 1, top - 1, right, bottom), outline=_BLACK)
    draw.text((left, top - 6), quantity, _BLACK, _font(_TEXT), anchor="ld")
    draw.text((right, top - 6), panel.label, _BLACK, _font(_TEXT), anchor="rd")
    _ticks_below(draw, Axis(panel.wavelengths, left, right), bottom)
    _ticks_beside(draw, Axis(panel.fluxes, bottom, top), left)


def _ticks_below(draw: ImageDraw.ImageDraw, axis: Axis, bottom: int) -> None:
    ticks = round_ticks(axis.limits, 8)
    for tick, text in zip(ticks, tick_labels(ticks), strict=True):
        x = float(axis.place(np.array(tick)))
        draw.line([(x, bottom), (x, bottom - _TICK)], _BLACK)
        draw.text((x, bottom + 5), text, _BLACK, _font(_TEXT), anchor="ma")


def _ticks_beside(draw: ImageDraw.ImageDraw, axis: Axis, left: int) -> None:
    ticks = round_ticks(axis.limits, 4)
    for tick, text in zip(ticks, tick_labels(ticks, common_power(axis.limits)), strict=True):
        y = float(axis.place(np.array(tick)))
        draw.line([(left, y), (left + _TICK, y)], _BLACK)
        draw.text((left - 7, y), text, _BLACK, _font(_TEXT), anchor="rm")


def _named(quantity: str, limits: Limits, unit: str) -> str:
    power = common_power(limits)
    return _with_unit(quantity.capitalize(), f"1e{power} {unit}".strip() if power else unit)


def _with_unit(word: str, unit: str) -> str:
    return f"{word} ({unit})" if unit else word


def _title(draw: ImageDraw.ImageDraw, spectrum: Spectrum, panels: Sequence[Panel]) -> None:
    """Say what was observed, with what, and what the colours mean."""
    header = spectrum.header
    what = _words(header, ("TARGNAME", "ROOTNAME"))
    how = _words(header, ("INSTRUME", "DETECTOR", "OPT_ELEM", "CENWAVE", "APERTURE"))
    draw.text((_LEFT, 12), what, _BLACK, _font(_TITLE), anchor="la")
    draw.text((_WIDTH - _RIGHT, 15), how, _BLACK, _font(_TEXT), anchor="ra")
    draw.text((_WIDTH / 2, _TOP - 6), _legend(panels), _DIM, _font(_TEXT), anchor="md")


def _legend(panels: Sequence[Panel]) -> str:
    """Explain the colours that are there."""
    curves = [curve for panel in panels for curve in panel.curves]
    words = []
    if any((curve.seen & ~curve.good).any() for curve in curves):
        words.append("grey: flagged")
    if any(shows_airglow(panel.wavelengths) for panel in panels):
        words.append("yellow: airglow")
    return "   ".join(words)


def _words(header: Any, keywords: Sequence[str]) -> str:
    words = [str(header.get(keyword, "")).strip() for keyword in keywords]
    return "   ".join(word for word in words if word)


@functools.cache
def _font(size: int) -> Any:
    """Return the typeface that Pillow brings along: the same on every computer."""
    return ImageFont.load_default(size)
