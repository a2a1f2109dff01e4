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
from calib.campaigns.page import page, table
from calib.campaigns.report import CampaignReport
from calib.campaigns.report_words import (
    ladder_words,
    prediction_words,
    session_words,
    summary_words,
)
from calib.ledger.cost_summaries import Spread

# A cell that is set to the right.
_NUMBERS = frozenset(
    (
        *("number", "code", "runs", "reused", "failed", "attempt", "attempts", "finished"),
        *("began here", "too small", "highest peak", "took", "peak memory of it"),
    )
)


def report_page(report: CampaignReport, steps: Sequence[str], more: Sequence[str] = ()) -> str:
    """Return a campaign's report as HTML.

    Parameters
    ----------
    report
        What it tells.
    steps
        Commands that go on from here, for the end of the page.
    more
        What the page also shows, before that: HTML.
    """
    title = f"Campaign {report.name}"
    return page(title, [*_head(report, title), *_body(report), *more, *_next(steps)])


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
    return table(columns, rows, _NUMBERS)


def _spread(spread: Spread | None, show: Callable[[float], str]) -> str:
    if spread is None:
        return ""
    return " / ".join(show(value) for value in (spread.median, spread.high, spread.most))


def _text(value: object) -> str:
    return "" if value is None else str(value)
