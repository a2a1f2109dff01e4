"""A campaign's report as one HTML page that stands alone: to mail, to print, to keep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape

from calib.campaigns.charts import (
    memory_chart,
    memory_text,
    span_text,
    stage_chart,
    throughput_chart,
)
from calib.campaigns.report import CampaignReport
from calib.campaigns.report_words import (
    ladder_words,
    prediction_words,
    session_words,
    summary_words,
)
from calib.ledger.cost_summaries import Spread

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --paper: #fff; --faint: #d6dade;
  --soft: #60666c; --good: #2f7d4f; --bad: #b3372f; --mark: #1f5fa8; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7ea; --paper: #14171a;
  --faint: #3a4046; --soft: #a0a7ae; --good: #58b380; --bad: #e5776f; --mark: #7ab1ee; } }
@media print { :root { --ink: #000; --paper: #fff; --faint: #bbb; --soft: #444;
  --good: #2f7d4f; --bad: #b3372f; --mark: #1f5fa8; } figure, tr { break-inside: avoid; } }
* { box-sizing: border-box; }
body { margin: 2rem auto; padding: 0 1rem; max-width: 760px; color: var(--ink);
  background: var(--paper); font: 15px/1.45 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.6rem; } h2 { margin: 2rem 0 .4rem; font-size: 1.15rem; }
p { margin: .3rem 0; } .soft, figcaption { color: var(--soft); }
.wide { overflow-x: auto; } table { border-collapse: collapse; min-width: 50%; }
th, td { padding: .2rem .6rem .2rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--faint); overflow-wrap: break-word; }
th { color: var(--soft); font-weight: normal; white-space: nowrap; }
.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
figure { margin: .6rem 0; } svg { width: 100%; height: auto; display: block; }
svg text { font: 11px system-ui, sans-serif; fill: var(--soft); }
.good { fill: var(--good); } .bad { fill: var(--bad); }
.rule { stroke: var(--faint); } .line { stroke: var(--ink); fill: none; }
.rung { stroke: var(--mark); stroke-width: 2; } .dot { fill: var(--ink); fill-opacity: .45; }
code { font: 13px ui-monospace, monospace; }
"""

# A cell that is set to the right.
_NUMBERS = frozenset(
    (
        *("number", "code", "runs", "reused", "failed", "attempt", "attempts", "finished"),
        *("began here", "too small", "highest peak", "took", "peak memory of it"),
    )
)


def report_page(report: CampaignReport, steps: Sequence[str]) -> str:
    """Return a campaign's report as HTML.

    Parameters
    ----------
    report
        What it tells.
    steps
        Commands that go on from here, for the end of the page.
    """
    title = f"Campaign {report.name}"
    return (
        "<!doctype html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join([*_head(report, title), *_body(report), *_next(steps)])
        + "\n</body></html>\n"
    )


def _head(report: CampaignReport, title: str) -> Iterator[str]:
    yield f"<h1>{escape(title)}</h1>"
    yield f'<p class="soft">reported {escape(report.written_at)}</p>'
    yield from (f"<p>{escape(line)}</p>" for line in summary_words(report))


def _body(report: CampaignReport) -> Iterator[str]:
    if report.failures:
        yield "<h2>What failed</h2>"
        yield _failures(report)
    if report.retried:
        said = "attempts that failed and were tried again"
        rows = [(f"{r.number:,}", r.error_class or "", _text(r.code)) for r in report.retried]
        yield f"<h2>Retries</h2><p>{said}:</p>"
        yield _table(("number", "class", "code"), rows)
    if report.throughput:
        yield "<h2>Throughput</h2>"
        yield throughput_chart(report.throughput, report.bin_seconds)
    yield from _memory(report)
    if report.stages:
        yield "<h2>Stages</h2>"
        yield stage_chart(report.stages)
        yield _stages(report)
    yield from _slowest(report)
    if report.sessions:
        yield "<h2>Sessions</h2>"
        columns = ("began (UTC)", "host", "ended (UTC)", "outcome", "")
        yield _table(columns, [session_words(each) for each in report.sessions])


def _failures(report: CampaignReport) -> str:
    columns = ("number", "state", "class", "code", "examples", "reason of the first")
    return _table(
        columns,
        [
            (
                f"{each.number:,}",
                each.state,
                each.error_class or "",
                _text(each.code),
                ", ".join(each.examples),
                each.reason or "",
            )
            for each in report.failures
        ],
    )


def _memory(report: CampaignReport) -> Iterator[str]:
    if not any(rung.memory for rung in report.rungs):
        return
    yield "<h2>Memory</h2>"
    yield from (f"<p>{escape(line)}</p>" for line in prediction_words(report))
    yield memory_chart(report.rungs)
    columns = ("rung", "began here", "attempts", "finished", "too small", "highest peak")
    yield _table(columns, ladder_words(report))


def _stages(report: CampaignReport) -> str:
    columns = (
        "stage",
        "runs",
        "reused",
        "failed",
        "wall: median / 95 % / most",
        "CPU",
        "peak memory",
    )
    rows = [
        (
            each.stage,
            f"{each.done:,}",
            f"{each.reused:,}",
            f"{each.failed:,}",
            _spread(each.wall, span_text),
            _spread(each.cpu, span_text),
            _spread(each.peak_rss, memory_text),
        )
        for each in report.stages
    ]
    return _table(columns, rows)


def _slowest(report: CampaignReport) -> Iterator[str]:
    if not report.slowest:
        return
    yield "<h2>Slowest</h2>"
    rows = [
        (
            each.dataset,
            str(each.attempt),
            each.outcome or "at work",
            span_text(each.seconds),
            "" if each.peak_rss is None else memory_text(each.peak_rss),
            each.stage or "",
        )
        for each in report.slowest
    ]
    columns = ("dataset", "attempt", "outcome", "took", "peak memory of it", "mostly in")
    yield _table(columns, rows)


def _next(steps: Sequence[str]) -> Iterator[str]:
    if steps:
        yield "<h2>What next</h2>"
        yield from (f"<p><code>{escape(step)}</code></p>" for step in steps)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    marks = [' class="n"' if name in _NUMBERS else "" for name in columns]
    head = "".join(f"<th{m}>{escape(n)}</th>" for n, m in zip(columns, marks, strict=True))
    lines = "".join(
        "<tr>"
        + "".join(f"<td{m}>{escape(cell)}</td>" for cell, m in zip(row, marks, strict=True))
        + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><tr>{head}</tr>{lines}</table></div>'


def _spread(spread: Spread | None, show: Callable[[float], str]) -> str:
    if spread is None:
        return ""
    return " / ".join(show(value) for value in (spread.median, spread.high, spread.most))


def _text(value: object) -> str:
    return "" if value is None else str(value)
