"""One dataset: every job, attempt and stage of it, why it is where it is, and its products."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from calib.errors import NotFound
from calib.ledger.campaign_reports import UNFINISHED
from calib.ledger.dataset_story import AttemptStory, JobStory, StageStory, story_of
from calib.ledger.reports import Rows, current_run_of
from deployments.dashboard.links import Links
from deployments.dashboard.page import Page
from deployments.dashboard.pages.campaigns import trail_of
from deployments.dashboard.pages.dataset_products import products_of

if TYPE_CHECKING:
    from deployments.dashboard.app import Desk

# Width of the bars of a timeline, in units of their drawing, and the least of one that is seen.
WIDTH = 1000.0
_LEAST = 3.0

# Campaigns that `hstflow campaign` cannot rescue: those of `hstflow process`.
_SINGLE = "adhoc"

# States in which something may happen within the next minute.
_MOVING = frozenset({"submitted", "processing"})


@dataclass(frozen=True)
class Bar:
    """A stage in the timeline of its attempt, from `x` on, `width` wide (of :data:`WIDTH`)."""

    stage: StageStory
    x: float
    width: float


def dataset_page(rows: Rows, links: Links, name: str, work: str | Path | None = None) -> Page:
    """Return the page of a dataset.

    Parameters
    ----------
    name
        Of the dataset.
    work
        The work folder, for what is kept of failed jobs; None: it is not seen from here.

    Raises
    ------
    NotFound
        The ledger has no job and no product of it.
    """
    jobs = story_of(rows, name)
    products = products_of(rows, links, name, work)
    if not jobs and not products["versions"]:
        raise NotFound("the ledger has no such dataset", found=name)
    content = {
        **products,
        "name": name,
        "jobs": jobs,
        "current": current_run_of(rows, name),
        "bars": {(job.id, each.number): bars_of(each) for job in jobs for each in job.attempts},
        "commands": {job.id: commands_for(name, job) for job in jobs},
        "width": WIDTH,
    }
    trail = trail_of(links, jobs[0].campaign if jobs else None)
    is_live = any(job.state in _MOVING for job in jobs)
    return Page("dataset.html", f"Dataset {name}", content, trail, is_live=is_live)


def answer_dataset(desk: Desk, request: Request) -> Response:
    """Answer for one dataset."""
    name = request.path_params["dataset"]
    return desk.show(request, partial(dataset_page, name=name, work=desk.settings.work))


def bars_of(attempt: AttemptStory, now: datetime | None = None) -> list[Bar]:
    """Return the stages of an attempt as bars over its time; one that runs lasts until now."""
    now = now or datetime.now(UTC)
    began = datetime.fromisoformat(attempt.started_at)
    spans = [
        (
            (datetime.fromisoformat(each.started_at) - began).total_seconds(),
            ((_moment(each.ended_at) or now) - datetime.fromisoformat(each.started_at)),
        )
        for each in attempt.stages
    ]
    whole = max((start + took.total_seconds() for start, took in spans), default=0.0)
    scale = WIDTH / whole if whole > 0 else 0.0
    return [
        Bar(stage, *_placed(start * scale, took.total_seconds() * scale))
        for stage, (start, took) in zip(attempt.stages, spans, strict=True)
    ]


def commands_for(dataset: str, job: JobStory) -> list[tuple[str, str]]:
    """Return what to type to see more, or to try again: what for, and the command."""
    name, campaign = shlex.quote(dataset), shlex.quote(job.campaign)
    found = [("see it in a terminal", f"hstflow status {name}")]
    if job.uri is not None:
        found.append(("its products", f"hstflow archive products {name}"))
    if job.state in UNFINISHED:
        again = f"hstflow campaign rescue {campaign} {name} --run"
        single = f"hstflow process {name} --context {shlex.quote(job.context)}"
        found.append(("try it again", single if job.campaign == _SINGLE else again))
    return found


def _placed(x: float, width: float) -> tuple[float, float]:
    """Return a bar that is inside and seen, whatever the clocks said."""
    width = min(max(width, _LEAST), WIDTH)
    return round(min(max(x, 0.0), WIDTH - width), 1), round(width, 1)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
