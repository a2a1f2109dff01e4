"""Charts as inline SVG: no script, no font or picture from elsewhere, readable on paper."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from calib.campaigns.report import Bin, RungUse
from calib.ledger.cost_summaries import StageSummary

# Pixels: the page is 760 wide, and a chart leaves room for its words.
WIDTH = 720
HEIGHT = 220
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 14, 34

# The golden angle, as a share of a turn: dots beside each other never lie in rows.
_SPREAD = 0.618034

_ROW = 26  # height of a row of the chart of stages
_NAME = 110  # width of its names


# Bars that a chart has room for at least: one alone is no wall, and its time is told by the axis.
_FEWEST = 12


@dataclass(frozen=True)
class _Scale:
    """Maps values onto pixels, in even steps or by their logarithms."""

    low: float
    high: float
    start: float
    end: float
    by_log: bool = False

    def at(self, value: float) -> float:
        low, high = self._seen(self.low), self._seen(self.high)
        share = (self._seen(value) - low) / (high - low) if high > low else 0.0
        return round(self.start + share * (self.end - self.start), 1)

    def _seen(self, value: float) -> float:
        return math.log10(max(value, self.low)) if self.by_log else value


def throughput_chart(bins: Sequence[Bin], seconds: float) -> str:
    """Draw how many attempts ended in each bin of time: those that failed above the others."""
    most = max((each.finished + each.failed for each in bins), default=0)
    ticks = _even_ticks(most)
    up = _Scale(0, ticks[-1], HEIGHT - BOTTOM, TOP)
    across = _Scale(0, max(len(bins), _FEWEST), LEFT, WIDTH - RIGHT)
    parts = [*_rules(up, [(tick, f"{tick:,.0f}") for tick in ticks])]
    for place, each in enumerate(bins):
        x, width = across.at(place), across.at(1) - across.at(0) - 1
        top, middle = up.at(each.finished + each.failed), up.at(each.finished)
        parts.append(_bar("good", x, middle, width, up.at(0) - middle))
        parts.append(_bar("bad", x, top, width, middle - top))
    for place in _labelled(len(bins)):
        anchor = "start" if place == 0 else "end" if place == len(bins) - 1 else "middle"
        when = bins[place].begins_at[5:16].replace("T", " ")
        parts.append(_text(across.at(place + (anchor == "end")), HEIGHT - 12, when, anchor))
    said = f"Attempts that ended, per {span_text(seconds)} (UTC): finished, and failed above them"
    return _svg(said, HEIGHT, parts)


def _labelled(number: int) -> list[int]:
    """Return the bins whose time is told: words of fewer would lie upon each other."""
    return sorted({0, number // 2, number - 1}) if number >= _FEWEST else [0][:number]


def memory_chart(rungs: Sequence[RungUse]) -> str:
    """Draw the peak memory of attempts above the rung that they were granted, by logarithm."""
    seen = [peak for rung in rungs for peak in rung.peaks]
    seen += [rung.memory for rung in rungs if rung.memory]
    low, high = (min(seen), max(seen)) if seen else (10**8, 10**9)
    decades = range(math.floor(math.log10(max(low, 1))), math.ceil(math.log10(max(high, 1))) + 1)
    values = [10.0**decade for decade in decades]
    up = _Scale(values[0], values[-1], HEIGHT - BOTTOM, TOP, by_log=True)
    across = _Scale(0, max(len(rungs), 1), LEFT, WIDTH - RIGHT)
    parts = [*_rules(up, [(value, memory_text(value)) for value in values])]
    for place, rung in enumerate(rungs):
        parts += _dots(rung, across.at(place), across.at(place + 1), up)
        name = "not limited" if rung.memory is None else memory_text(rung.memory)
        said = f"{name}: {rung.attempts:,} attempts"
        parts.append(_text(across.at(place + 0.5), HEIGHT - 12, said, "middle"))
    return _svg(
        "Peak memory of attempts (dots) beside what they were granted (lines)", HEIGHT, parts
    )


def stage_chart(stages: Sequence[StageSummary]) -> str:
    """Draw what a run of each stage takes: the median as a bar, a line to the 95 % quantile."""
    timed = [each for each in stages if each.wall is not None]
    most = max((each.wall.high for each in timed if each.wall), default=1.0)
    along = _Scale(0, most, _NAME, WIDTH - 150)
    parts: list[str] = []
    for row, each in enumerate(timed):
        middle = TOP + _ROW * row + _ROW / 2
        parts += _stage_row(each, middle, along)
    height = TOP + _ROW * len(timed) + 6
    said = "Wall time of a run of each stage: median (bar), 95 % (line), longest (number)"
    return _svg(said, height, parts)


def histogram_chart(
    counts: Sequence[int], limit: float, said: str, *, ends: tuple[int, int] = (0, 0)
) -> str:
    """Draw how often numbers occur from `-limit` to `limit`, by logarithm.

    Parameters
    ----------
    counts
        Of bins of one width.
    limit
        Where the last bin ends.
    said
        What the chart shows, in words.
    ends
        How many numbers lie below and above.
    """
    top = 10.0 ** math.ceil(math.log10(max(2, *counts)))
    # Half a pixel is the foot of the bars: a bin of one pixel shows.
    up = _Scale(0.5, top, HEIGHT - BOTTOM, TOP, by_log=True)
    across = _Scale(0, len(counts), LEFT, WIDTH - RIGHT)
    decades = [10.0**power for power in range(round(math.log10(top)) + 1)]
    parts = [*_rules(up, [(value, f"{value:,.0f}") for value in decades])]
    for place, count in enumerate(counts):
        x, width = across.at(place), across.at(1) - across.at(0) - 1
        kind = "low" if place < len(counts) // 2 else "high"
        parts.append(_bar(kind, x, up.at(count), width, up.at(0.5) - up.at(count)) if count else "")
    for part, value, anchor in ((0.0, -limit, "start"), (0.5, 0.0, "middle"), (1.0, limit, "end")):
        words = f"{value:+.3g}" if value else "0"
        parts.append(_text(across.at(part * len(counts)), HEIGHT - 16, words, anchor))
    beside = ((LEFT, ends[0], "below", "start"), (WIDTH - RIGHT, ends[1], "above", "end"))
    for edge, number, where, anchor in beside:
        words = f"{number:,} {where}" if number else ""
        parts.append(_text(edge, HEIGHT - 3, words, anchor))
    return _svg(said, HEIGHT, parts)


def memory_text(size: float) -> str:
    """Return a number of bytes for an axis: ``2 GB``, ``100 MB``."""
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= unit:
            return f"{size / unit:.3g} {name}"
    return f"{size:.0f} B"


def span_text(seconds: float) -> str:
    """Return a time for people: ``0.52 ms``, ``520 ms``, ``12 s``, ``8 min``, ``3.5 h``."""
    for unit, name in ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min")):
        if seconds >= 1.5 * unit:
            return f"{_three_digits(seconds / unit)} {name}"
    if round(seconds, 3) >= 1 or seconds == 0:
        return f"{seconds:.3g} s"
    return "< 0.01 ms" if seconds < 1e-5 else f"{_three_digits(1_000 * seconds)} ms"  # noqa: PLR2004 - just below


def _three_digits(value: float) -> str:
    """Return a number with three digits, and never as 1e+03."""
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"  # noqa: PLR2004 - is 1,000


def _stage_row(each: StageSummary, middle: float, along: _Scale) -> Iterator[str]:
    if each.wall is None:
        return
    start, median, high = (along.at(value) for value in (0, each.wall.median, each.wall.high))
    yield _text(_NAME - 8, middle + 4, each.stage, "end")
    yield _bar("good", start, middle - 7, max(median - start, 1), 14)
    yield f'<path class="line" d="M{median} {middle}H{high}M{high} {middle - 5}v10"/>'
    said = f"{span_text(each.wall.median)}, {span_text(each.wall.most)}"
    yield _text(high + 8, middle + 4, said, "start")


def _dots(rung: RungUse, left: float, right: float, up: _Scale) -> Iterator[str]:
    room = right - left
    for number, peak in enumerate(rung.peaks):
        x = round(left + room * (0.15 + 0.7 * (number * _SPREAD % 1)), 1)
        yield f'<circle class="dot" cx="{x}" cy="{up.at(peak)}" r="2"/>'
    if rung.memory:
        y = up.at(rung.memory)
        yield f'<path class="rung" d="M{left + 6} {y}H{right - 6}"/>'


def _rules(up: _Scale, ticks: Sequence[tuple[float, str]]) -> Iterator[str]:
    """Draw a horizontal rule with its number for each tick."""
    for value, said in ticks:
        y = up.at(value)
        yield f'<path class="rule" d="M{LEFT} {y}H{WIDTH - RIGHT}"/>'
        yield _text(LEFT - 6, y + 4, said, "end")


def _even_ticks(most: float) -> list[float]:
    """Return some three to six round numbers from 0 to at least `most`."""
    rough = max(most, 1) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = max(1.0, next(f * power for f in (1, 2, 5, 10) if f * power >= rough))
    return [step * number for number in range(math.ceil(max(most, 1) / step) + 1)]


def _bar(kind: str, x: float, y: float, width: float, height: float) -> str:
    sizes = f'x="{x}" y="{y}" width="{max(width, 0.5):.1f}" height="{max(height, 0):.1f}"'
    return f'<rect class="{kind}" {sizes}/>' if height > 0 else ""


def _text(x: float, y: float, said: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(said)}</text>'


def _svg(title: str, height: float, parts: Sequence[str]) -> str:
    head = f'<svg role="img" viewBox="0 0 {WIDTH} {height:.0f}" aria-label="{escape(title)}">'
    return f"<figure><figcaption>{escape(title)}</figcaption>{head}{''.join(parts)}</svg></figure>"
