"""What a campaign's report says in words: the same on the terminal and on the page."""

from __future__ import annotations

from collections.abc import Iterator

from calib.campaigns.charts import memory_text, span_text
from calib.campaigns.report import CampaignReport
from calib.ledger.campaign_reports import CampaignSession
from calib.ledger.published_contexts import kept_back_text


def summary_words(report: CampaignReport) -> Iterator[str]:
    """Yield what became of the campaign, and what it took in all."""
    states = ", ".join(f"{number:,} {state}" for state, number in report.counts.items())
    yield f"{report.state}: {report.finished:,} of {report.total:,} datasets finished ({states})"
    context = f"context {report.context}, " if report.context else ""
    yield f"{context}submitted {_time(report.created_at)} UTC"
    if text := kept_back_text(report.kept_back):
        yield text
    if report.undrizzled:
        yield undrizzled_text(report.undrizzled)
    if report.seconds is None:
        return
    span = f"{_time(report.begun_at)} to {_time(report.ended_at)} UTC"
    yield f"{report.attempts:,} attempts from {span}: {span_text(report.seconds)}{_rate(report)}"
    cpu = sum(each.total_cpu for each in report.stages)
    wall = sum(each.total_wall for each in report.stages)
    read = sum(each.bytes_in for each in report.stages)
    wrote = sum(each.bytes_out for each in report.stages)
    moved = f"{memory_text(read)} read, {memory_text(wrote)} written"
    yield f"stages took {span_text(cpu)} of CPU and {span_text(wall)} of wall clock; {moved}"


def undrizzled_text(number: int) -> str:
    """Say how many finished datasets asked for stage 2 and ended without it."""
    return f"{number:,} not drizzled, though asked for: the manifest of each says why"


def prediction_words(report: CampaignReport) -> Iterator[str]:
    """Yield how good the choice of the first rung was."""
    found = report.prediction
    if found is None:
        return
    shares = ", ".join(
        f"{word} for {100 * number / found.total:.1f} %"
        for word, number in (
            ("right", found.right),
            ("larger than needed", found.larger),
            ("too small", found.smaller),
        )
    )
    yield f"The first rung of {found.total:,} finished datasets was {shares}."
    yield f"They used {100 * found.used / found.granted:.0f} % of the memory granted in the end."


def ladder_words(report: CampaignReport) -> list[tuple[str, ...]]:
    """Return a row for each rung: began here, attempts, finished, too small, highest peak."""
    return [
        (
            "not limited" if rung.memory is None else memory_text(rung.memory),
            f"{rung.first:,}",
            f"{rung.attempts:,}",
            f"{rung.finished:,}",
            f"{rung.out_of_memory:,}",
            "" if rung.most is None else memory_text(rung.most),
        )
        for rung in report.rungs
    ]


def session_words(session: CampaignSession) -> tuple[str, ...]:
    """Return the cells of a session: begin, who, end, outcome, message."""
    outcome = session.outcome or ("lost" if session.death else "at work")
    who = f"pid {session.pid} on {session.host}"
    ended = _time(session.ended_at)
    return _time(session.started_at), who, ended, outcome, session.message or session.death or ""


def _rate(report: CampaignReport) -> str:
    ended = sum(each.finished for each in report.throughput)
    if not report.seconds or not ended:
        return ""
    return f", {3600 * ended / report.seconds:,.0f} datasets an hour"


def _time(time: str | None) -> str:
    return "" if time is None else time[:19].replace("T", " ")
