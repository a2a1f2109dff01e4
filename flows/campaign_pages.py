"""The words of a campaign's artifacts: a table of its datasets, a report, a sheet of pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from calib.ledger.alerts import Alert
from calib.ledger.campaign_excerpt import Excerpt, Line, Slow
from calib.ledger.campaign_overview import Overview
from calib.ledger.campaign_reports import LEFT, Campaign, Failure
from calib.ledger.cost_summaries import StageSummary
from flows.artifacts import plain

STAGES = ("fetch", "bestrefs", "calibrate", "preview", "archive", "state-message")

# States of stage runs as cells: words, because many machines have no font for signs.
# A dash alone would be the sign of a list.
NOTHING = r"\-"
CELLS = {
    "done": "ok",
    "reused": "ok",
    "skipped": NOTHING,
    "running": "now",
    "error": "FAIL",
    "interrupted": "lost",
}

_HOUR, _MINUTE = 3600, 60
_MB = 1e6
_REASON = 160  # letters of a reason in a table, which does not wrap
_ACROSS = 4  # pictures side by side
_MOST_CLASSES = 20  # classes of failures that a report names


@dataclass(frozen=True)
class Costs:
    """What a campaign cost: by stage, and the datasets that took longest."""

    stages: Sequence[StageSummary] = ()
    slowest: Sequence[Slow] = ()


@dataclass(frozen=True)
class Story:
    """What a report tells of a campaign.

    Attributes
    ----------
    overview, failures, alerts
        As it is now.
    costs
        None: they are not known yet, or are too many to add up here.
    dashboard
        Address of the dashboard; None: it is not known.
    """

    overview: Overview
    failures: Sequence[Failure] = ()
    alerts: Sequence[Alert] = ()
    costs: Costs | None = None
    dashboard: str | None = None
    remarks: Sequence[str] = field(default=())

    @property
    def campaign(self) -> Campaign:
        """The campaign itself."""
        return self.overview.campaign


def matrix(found: Excerpt, dashboard: str | None) -> list[dict[str, str]]:
    """Return the rows of a table: a dataset each, a column for each stage.

    Parameters
    ----------
    found
        The datasets.
    dashboard
        Where the name of each leads to; None: nowhere.
    """
    return [_row(line, dashboard) for line in found.lines]


def matrix_text(campaign: Campaign, found: Excerpt) -> str:
    """Return what stands above the table."""
    shown, name = len(found.lines), plain(campaign.name)
    if not found.more:
        return f"Campaign {name}: all {shown} datasets, failures first"
    more = f"{found.more:,} more are in the dashboard and in `hstflow campaign status {name}`"
    return f"Campaign {name}: {shown} of {campaign.total:,} datasets, failures first; {more}"


def dataset_url(dashboard: str | None, dataset: str) -> str | None:
    """Return the address of a dataset's page in the dashboard."""
    return f"{dashboard.rstrip('/')}/datasets/{quote(dataset, safe='')}" if dashboard else None


def report(story: Story) -> str:
    """Return the report of a campaign as Markdown."""
    parts = [
        f"# Campaign {plain(story.campaign.name)}: {story.overview.state}",
        *_headlines(story),
        *_states(story.campaign),
        *_failures(story),
        *_costs(story.costs),
        *_commands(story),
    ]
    return "\n".join(parts)


def contact_sheet(
    pictures: Iterable[tuple[str, str, str]], failed: Sequence[Line], dashboard: str | None
) -> str:
    """Return the last pictures and the last failures as Markdown.

    Parameters
    ----------
    pictures
        Dataset, file name and data URL of each.
    failed
        Those that have no picture.
    dashboard
        As in :func:`matrix`.
    """
    shown = [
        (_linked(dataset, dashboard), f"![{plain(name)}]({url})") for dataset, name, url in pictures
    ]
    rows = [shown[first : first + _ACROSS] for first in range(0, len(shown), _ACROSS)]
    sheets = ["\n".join(_sheet(row)) for row in rows]
    lines = ["# Last finished", *(sheets or ["No picture yet."])]
    if failed:
        lines.append("# Last failed")
    for line in failed:
        why = plain(f"{line.error_class or line.state}: {line.reason or ''}")
        lines.append(f"- {_linked(line.dataset, dashboard)}: {why}")
    return "\n\n".join(lines)


def _sheet(row: Sequence[tuple[str, str]]) -> list[str]:
    """Return pictures side by side, each below its name."""
    filled = [*row, *[("", "")] * (_ACROSS - len(row))]
    return table([name for name, _ in filled], [[shown for _, shown in filled]])


def duration(seconds: float) -> str:
    """Return ``3 h 20 min``, ``20 min`` or ``45 s``."""
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    hours, rest = divmod(round(seconds / _MINUTE), _MINUTE)
    return f"{hours} h {rest} min" if hours else f"{rest} min"


def _row(line: Line, dashboard: str | None) -> dict[str, str]:
    cells = {stage: CELLS.get(line.stages.get(stage, ""), NOTHING) for stage in STAGES}
    return {
        "dataset": _linked(line.dataset, dashboard),
        "state": line.state,
        **cells,
        "error": line.error_class or NOTHING,
        "attempt": str(line.attempts),
    }


def _linked(dataset: str, dashboard: str | None) -> str:
    url = dataset_url(dashboard, dataset)
    return f"[{dataset}]({url})" if url else dataset


def _headlines(story: Story) -> list[str]:
    overview, campaign = story.overview, story.campaign
    lines = [f"{campaign.finished:,} of {campaign.total:,} datasets are finished."]
    if overview.rate:
        lines[0] += f" {overview.rate:.1f} end each minute"
        left = overview.seconds_left
        lines[0] += f", about {duration(left)} are left." if left else "."
    lines += [
        f"**{each.kind}** since {each.since[:16]}: {plain(each.reason)}" for each in story.alerts
    ]
    lines += [plain(each) for each in story.remarks]
    if story.campaign.context:
        lines.append(f"Context: `{story.campaign.context}`")
    return [text for line in lines for text in ("", line)]


def _states(campaign: Campaign) -> list[str]:
    rows = [(state, f"{number:,}") for state, number in campaign.counts.items()]
    return table(("state", "datasets"), rows)


def _failures(story: Story) -> list[str]:
    if not story.failures:
        return []
    rows = [
        (
            each.error_class or each.state,
            "" if each.code is None else str(each.code),
            f"{each.number:,}",
            _linked(each.dataset, story.dashboard),
            plain(each.reason or "", _REASON),
        )
        for each in story.failures[:_MOST_CLASSES]
    ]
    head = ("error", "exit code", "datasets", "first", "its reason")
    return ["", "## What failed", *table(head, rows)]


def _costs(costs: Costs | None) -> list[str]:
    if costs is None or not costs.stages:
        return []
    rows = [
        (
            each.stage,
            _spread(each, "wall", 1.0),
            _spread(each, "peak_rss", _MB),
            str(each.done),
            str(each.reused),
            str(each.failed),
        )
        for each in costs.stages
    ]
    head = ("stage", "seconds (median, most)", "MB (median, most)", "done", "reused", "failed")
    slow = [(each.dataset, duration(each.seconds)) for each in costs.slowest]
    longest = ["", "## Slowest", *table(("dataset", "time"), slow)] if slow else []
    return ["", "## Time and memory", *table(head, rows), *longest]


def _spread(summary: StageSummary, column: str, unit: float) -> str:
    found = getattr(summary, column)
    return "-" if found is None else f"{found.median / unit:.1f}, {found.most / unit:.1f}"


def _commands(story: Story) -> list[str]:
    """Return what one types to go on."""
    name, counts = story.campaign.name, story.campaign.counts
    steps = [f"hstflow campaign status {name}"]
    if story.failures:
        steps.append(f"hstflow campaign rescue {name} --run")
    if any(counts.get(state) for state in LEFT) and not story.overview.is_live:
        steps.append(f"hstflow campaign resume {name}")
    steps.append(f"hstflow campaign report {name}")
    return ["", "## To go on", "", "```", *steps, "```"]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table in Markdown, after an empty one."""
    return [
        "",
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
