"""The end of a reprocessing as part of a page, or as a page of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from calib.campaigns.page import page, table
from calib.reprocessing.final_report import FinalReport, WaveReport, final_words


def final_parts(report: FinalReport) -> Iterator[str]:
    """Yield what a page of a campaign shows of the reprocessing that it is part of."""
    yield f"<h2>Reprocessing {escape(report.reprocessing.name)}</h2>"
    yield from _body(report)


def _body(report: FinalReport) -> Iterator[str]:
    yield from (f"<p>{escape(line)}</p>" for line in final_words(report))
    yield "<h3>Waves</h3>"
    numbers = ("marked", "finished", "failed", "left out", "still to run")
    columns = ("wave", "campaign", *numbers)
    yield table(columns, map(_wave_row, report.waves), numbers, title="Waves")
    yield from _failures(report)
    if report.left_out:
        rows = [
            (each.reason, str(each.wave), f"{each.datasets:,}", ", ".join(each.examples))
            for each in report.left_out
        ]
        yield "<h3>Left out</h3>"
        names = ("reason", "wave", "datasets", "such as")
        yield table(names, rows, ("wave", "datasets"), title="Left out")
    yield "<h3>What happened</h3>"
    happened = [
        (step.at[:19].replace("T", " "), step.to_state, step.who, step.note or "")
        for step in report.steps
    ]
    yield table(("time (UTC)", "became", "who", "why"), happened, (), title="What happened")


def final_page(report: FinalReport, steps: Sequence[str] = ()) -> str:
    """Return a page of the reprocessing alone, as HTML.

    Parameters
    ----------
    report
        What it tells.
    steps
        Commands that go on from here.
    """
    title = f"Reprocessing {report.reprocessing.name}"
    written = report.written_at[:19].replace("T", " ")
    head = [f"<h1>{escape(title)}</h1>", f'<p class="soft">reported {written} UTC</p>']
    foot = ["<h2>What next</h2>", *(f"<p><code>{escape(step)}</code></p>" for step in steps)]
    return page(title, [*head, *_body(report), *(foot if steps else ())])


def _wave_row(wave: WaveReport) -> tuple[str, ...]:
    amounts = (wave.marked, wave.finished, wave.failed, wave.left_out, wave.missing)
    campaign = f"{wave.campaign} ({wave.state or 'not begun'})"
    return (wave.title, campaign, *(f"{amount:,}" for amount in amounts))


def _failures(report: FinalReport) -> Iterator[str]:
    rows = [
        (
            wave.campaign,
            f"{each.number:,}",
            each.state,
            each.error_class or "",
            "" if each.code is None else str(each.code),
            each.dataset,
            each.reason or "",
        )
        for wave in report.waves
        for each in wave.failures
    ]
    if rows:
        columns = ("campaign", "number", "state", "class", "code", "first", "reason of it")
        yield "<h3>What failed</h3>"
        yield table(columns, rows, ("number", "code"), title="What failed")
