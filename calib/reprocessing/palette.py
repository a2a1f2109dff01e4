"""The colours of a picture of differences, which a page shows beside it without drawing any."""

from __future__ import annotations

from itertools import pairwise

# Blue over white to red, the extremes of equal weight, told apart by the colour-blind: five
# anchors of RdBu of ColorBrewer 2.0.
_ANCHORS = ((33, 102, 172), (146, 197, 222), (247, 247, 247), (244, 165, 130), (178, 24, 43))

# Pixels without a difference: NaN before or after.
_UNKNOWN = (110, 110, 110)

_COLOURS = 255  # a palette of PNG has 256 places, and one is for pixels not known
_STOPS = (0, 63, 127, 190, 254)  # places of the anchors, nearly


def palette() -> list[int]:
    """Return red, green and blue of 256 colours, one after the other."""
    known = (part for place in range(_COLOURS) for part in _colour(place))
    return [*known, *_UNKNOWN]


def stops() -> dict[str, str]:
    """Return some of the colours as style sheets write them, by their place (``50%``)."""
    last = _COLOURS - 1
    return {f"{round(100 * at / last)}%": "rgb({},{},{})".format(*_colour(at)) for at in _STOPS}


def _colour(place: int) -> tuple[int, ...]:
    """Return the colour between two anchors at a place of the palette."""
    between = list(pairwise(_ANCHORS))
    at = place * len(between) / (_COLOURS - 1)
    number = min(int(at), len(between) - 1)
    share = at - number
    ends = zip(*between[number], strict=True)
    return tuple(round(low + share * (high - low)) for low, high in ends)
