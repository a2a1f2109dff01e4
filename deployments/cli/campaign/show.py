"""What people see of campaigns: tables, and one line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from calib.errors import GENERIC
from calib.ledger.campaign_overview import Overview, failed_in, jobs_in, overview_of
from calib.ledger.campaign_reports import (
    LEFT,
    AtWork,
    Campaign,
    CampaignSession,
    Failure,
    FoundJob,
    at_work,
    count_by_instrument,
    failures_of,
)
from calib.ledger.reports import Rows
from calib.ledger.states import STATES
from deployments.cli.console import size_text, styled
from deployments.cli.tables import cell, plain_table, time_text

_STYLES = {
    "running": "green",
    "finished": "green",
    "failed": "red",
    "lost": "red",
    "pausing": "yellow",
    "paused": "yellow",
    "cancelling": "yellow",
    "cancelled": "yellow",
    "interrupted": "yellow",
    "stopped": "yellow",
}

# Rows of what is at work: a screen shows no more, --json has all.
_ROWS = 20
_BAR = 40  # columns
_REASON = 30  # the least that a column with a reason gets, in columns
_NUMBERS = ("done", "of", "failed", "at work", "per min", "number", "GB", "attempt", "total")


@dataclass(frozen=True)
class Story:
    """All that is told about one campaign."""

    overview: Overview
    instruments: Mapping[str, Mapping[str, int]]
    failures: Sequence[Failure]
    at_work: Sequence[AtWork]

    @property
    def campaign(self) -> Campaign:
        """The campaign."""
        return self.overview.campaign


def story_of(rows: Rows, campaign: Campaign) -> Story:
    """Read what is told about a campaign."""
    return Story(
        overview_of(rows, campaign),
        count_by_instrument(rows, campaign.id),
        failures_of(rows, campaign.id),
        at_work(rows, campaign.id),
    )


def exit_code(counts: Mapping[str, int], finished: int, failures: Sequence[Failure]) -> int:
    """Return the exit code of a campaign.

    Returns
    -------
    int
        0 where every dataset is finished; else the code of the most frequent error; 1 where
        there is none, because datasets are left, blocked or cancelled.
    """
    if finished == sum(counts.values()):
        return 0
    codes = [each.code for each in failures if each.state == "error" and each.code]
    return codes[0] if codes else GENERIC


def overview_json(overview: Overview) -> dict[str, Any]:
    """Return an overview for programs."""
    campaign = overview.campaign
    names = ("name", "context", "control", "priority", "created_at")
    found: dict[str, Any] = {name: getattr(campaign, name) for name in names}
    found |= {"state": overview.state, "total": campaign.total, "finished": campaign.finished}
    found |= {"failed": failed_in(campaign), "left": jobs_in(campaign, LEFT)}
    found |= {"counts": dict(campaign.counts), "per_minute": overview.rate}
    found |= {"seconds_left": overview.seconds_left, "session": _session_json(campaign.session)}
    return found


def story_json(story: Story) -> dict[str, Any]:
    """Return all about a campaign for programs."""
    return {
        **overview_json(story.overview),
        "instruments": story.instruments,
        "failures": [asdict(each) for each in story.failures],
        "at_work": [asdict(each) for each in story.at_work],
    }


def campaigns_table(overviews: Iterable[Overview]) -> Table:
    """Return one line for each campaign."""
    columns = ("campaign", "state", "done", "of", "failed", "at work", "per min", "left for")
    table = plain_table(*columns, "context", "since (UTC)", right=_NUMBERS, whole=columns)
    for each in overviews:
        campaign, session = each.campaign, each.campaign.session
        numbers = (campaign.finished, campaign.total, failed_in(campaign))
        since = session.started_at if session else campaign.created_at
        table.add_row(
            escape(campaign.name),
            state_text(each.state),
            *(f"{number:,}" for number in (*numbers, campaign.counts.get("processing", 0))),
            rate_text(each.rate),
            span_text(each.seconds_left),
            cell(campaign.context),
            time_text(since),
        )
    return table


def story_view(story: Story) -> RenderableType:
    """Return all about a campaign, as one thing to print or to keep on the screen."""
    parts: list[RenderableType] = [
        Text.from_markup(title_of(story.overview)),
        bar_of(story.overview),
    ]
    if len(story.instruments) > 0:
        parts.append(_instruments_table(story))
    if story.at_work:
        parts += ["", _at_work_table(story.at_work)]
    if story.failures:
        parts += ["", failures_table(story.failures)]
    return Group(*parts)


def title_of(overview: Overview) -> str:
    """Return a campaign's name, state and who is at work on it, as markup."""
    campaign = overview.campaign
    context = f", context {escape(campaign.context)}" if campaign.context else ""
    who = _who(overview)
    return f"[bold]{escape(campaign.name)}[/bold] {state_text(overview.state)}{who}{context}"


def bar_of(overview: Overview) -> Table:
    """Return a bar of what is done, with the numbers and when it may end."""
    campaign = overview.campaign
    table = Table.grid(padding=(0, 2))
    bar = ProgressBar(campaign.total or 1, campaign.finished, width=_BAR)
    words = [f"{campaign.finished:,} of {campaign.total:,} done"]
    if failed := failed_in(campaign):
        words.append(f"[red]{failed:,} failed[/red]")
    if overview.rate:
        words.append(f"{rate_text(overview.rate)} per minute")
    if overview.seconds_left:
        ready = datetime.now(UTC) + timedelta(seconds=overview.seconds_left)
        left = span_text(overview.seconds_left)
        words.append(f"{left} left ({time_text(ready.isoformat())[:16]} UTC)")
    table.add_row(bar, Text.from_markup(", ".join(words)))
    return table


def line_of(overview: Overview) -> str:
    """Return how a campaign goes in one line of plain text."""
    campaign = overview.campaign
    parts = [f"{campaign.name} {overview.state}: {campaign.finished:,} of {campaign.total:,} done"]
    counts = {"failed": failed_in(campaign), "at work": campaign.counts.get("processing", 0)}
    parts += [f"{number:,} {name}" for name, number in counts.items() if number]
    if overview.rate:
        parts.append(f"{rate_text(overview.rate)} per minute")
        parts.append(f"{span_text(overview.seconds_left)} left")
    return ", ".join(parts)


def failures_table(failures: Sequence[Failure]) -> Table:
    """Return failures by class, each with an example."""
    columns = ("number", "state", "class", "code", "example")
    table = plain_table(*columns, "reason", right=_NUMBERS, whole=columns)
    table.columns[-1].min_width = _REASON
    for each in failures:
        names = (cell(each.error_class), cell(each.code), escape(each.dataset))
        table.add_row(f"{each.number:,}", styled(each.state), *names, cell(each.reason))
    return table


def jobs_table(jobs: Sequence[FoundJob]) -> Table:
    """Return jobs with their errors."""
    columns = ("dataset", "state", "attempt", "GB", "changed (UTC)", "campaign")
    table = plain_table(*columns, "reason", right=_NUMBERS, whole=columns)
    table.columns[-1].min_width = _REASON
    for job in jobs:
        memory = "" if job.memory is None else f"{job.memory / 1e9:g}"
        kind = f"{job.error_class} {job.code}: " if job.error_class else ""
        cells = (str(job.attempts), memory, time_text(job.updated_at), escape(job.campaign))
        table.add_row(job.dataset, styled(job.state), *cells, escape(f"{kind}{job.reason or ''}"))
    return table


def state_text(state: str) -> str:
    """Return the state of a campaign in its colour."""
    style = _STYLES.get(state)
    return f"[{style}]{state}[/{style}]" if style else state


def rate_text(rate: float | None) -> str:
    """Return datasets per minute."""
    return "" if rate is None else f"{rate:,.1f}"


def span_text(seconds: float | None) -> str:
    """Return a time to wait: ``40 s``, ``3 min``, ``2 h 05 min``, ``3 d 04 h``."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 1:
        return f"{minutes} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours:02} h" if days else f"{hours} h {minutes:02} min"


def _session_json(session: CampaignSession | None) -> dict[str, Any] | None:
    """Return a session without its token, which is the proof of who owns it."""
    if session is None:
        return None
    found = {key: value for key, value in asdict(session).items() if key != "token"}
    return {
        **found,
        "is_live": session.is_live,
        "death": session.death if not session.ended_at else None,
    }


def _who(overview: Overview) -> str:
    session = overview.campaign.session
    if session is None:
        return ""
    if overview.is_live:
        return (
            f" since {time_text(session.started_at)}, pid {session.pid} on {escape(session.host)}"
        )
    if session.ended_at is None:
        return f" ({escape(session.death or '')})"
    return f" ({escape(session.message)})" if session.message else ""


def _instruments_table(story: Story) -> Table:
    """Return counts of instrument x state; their sums alone where there is one instrument."""
    states = [state for state in STATES if state in story.campaign.counts]
    table = plain_table("", *states, "total", right=(*states, "total"))
    rows = {**story.instruments} if len(story.instruments) > 1 else {}
    for name, counts in {**rows, "all": story.campaign.counts}.items():
        numbers = (f"{counts.get(state, 0):,}" for state in states)
        table.add_row(name, *numbers, f"{sum(counts.values()):,}")
    return table


def _at_work_table(jobs: Sequence[AtWork]) -> Table:
    columns = ("at work", "stage", "for", "attempt", "memory", "host")
    table = plain_table(*columns, right=("attempt",), whole=columns)
    for job in jobs[:_ROWS]:
        memory = "" if job.memory is None else size_text(job.memory)
        since = datetime.now(UTC) - datetime.fromisoformat(job.stage_started_at or job.started_at)
        span = span_text(max(0.0, since.total_seconds()))
        where = escape(f"{job.host} {job.pid}")
        table.add_row(job.dataset, job.stage or "", span, str(job.attempt), memory, where)
    if len(jobs) > _ROWS:
        table.add_row(f"and {len(jobs) - _ROWS:,} more")
    return table
