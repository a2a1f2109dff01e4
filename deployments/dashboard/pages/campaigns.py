"""All campaigns, and one: how far it is, how fast, what is wrong with it, and what it costs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from calib.campaigns.charts import memory_chart, stage_chart, throughput_chart
from calib.campaigns.remedies import next_steps
from calib.campaigns.report_words import ladder_words, prediction_words
from calib.errors import ConfigError, NotFound
from calib.ledger.alerts import alerts_of
from calib.ledger.campaign_overview import Overview, jobs_in, overview_of
from calib.ledger.campaign_reports import (
    LEFT,
    Campaign,
    CampaignSession,
    Failure,
    at_work,
    campaigns,
    failures_of,
    sessions_of,
)
from calib.ledger.reports import Rows
from calib.ledger.states import STATES
from deployments.dashboard.digests import Digest, Look, digest_of, look_later
from deployments.dashboard.links import Links
from deployments.dashboard.page import Page

if TYPE_CHECKING:
    from deployments.dashboard.app import Desk

HOME = "Campaigns"

# Rows of a page: what does not fit is on the next one, or on a page of its own.
CAMPAIGNS = 50
SESSIONS = 10
FAILURES = 12
AT_WORK = 10
STEPS = 8

# A number of a page that is no more than this: SQLite takes 64 bits.
_MOST_PAGE = 100_000

# What an operator does next, by the state of the campaign.
_NEXT = {
    "planned": ("resume", "begin with it"),
    "paused": ("resume", "go on with it"),
    "interrupted": ("resume", "go on where it stopped"),
    "stopped": ("resume", "go on where it stopped"),
    "lost": ("resume", "the process died: go on where it was"),
    "running": ("watch", "follow it on a terminal"),
    "finished": ("report", "what it cost, on a terminal or as a page of its own"),
    "failed": ("report", "what it cost, on a terminal or as a page of its own"),
}


def campaigns_page(rows: Rows, _links: Links, number: int = 1) -> Page:
    """Return all campaigns, the latest first.

    Parameters
    ----------
    number
        Which page of them, from 1.

    Raises
    ------
    NotFound
        There are not so many.
    """
    found = campaigns(rows)[::-1]
    shown = found[(number - 1) * CAMPAIGNS : number * CAMPAIGNS]
    if number > 1 and not shown:
        raise NotFound("there are not so many campaigns", found=f"page {number}")
    content = {
        "overviews": [(overview_of(rows, each), jobs_in(each, LEFT)) for each in shown],
        # Of all of them: what is wrong on the second page is wrong, too.
        "alerts": [alert for each in found for alert in alerts_of(rows, each)],
        "total": len(found),
        "number": number,
        "has_more": len(found) > number * CAMPAIGNS,
    }
    return Page("campaigns.html", HOME, content)


def campaign_page(rows: Rows, links: Links, name: str, look: Look = digest_of) -> Page:
    """Return one campaign.

    Parameters
    ----------
    name
        Its name.
    look
        Gives what it cost: counted now where nothing else is said.

    Raises
    ------
    NotFound
        There is none of that name.
    """
    found = find_campaign(rows, name)
    overview = overview_of(rows, found)
    failures = failures_of(rows, found.id)
    sessions = sessions_of(rows, found.id)[::-1]
    busy = at_work(rows, found.id)
    content: dict[str, Any] = {
        "overview": overview,
        "ends_at": _ends_at(overview),
        "left": jobs_in(found, LEFT),
        "wishes": wishes_of(overview),
        "alerts": alerts_of(rows, found),
        "failures": failures[:FAILURES],
        "more_failures": len(failures) - FAILURES,
        "sessions": [(each, session_state(each)) for each in sessions[:SESSIONS]],
        "more_sessions": len(sessions) - SESSIONS,
        "busy": busy[:AT_WORK],
        "more_busy": len(busy) - AT_WORK,
        "oldest": min((each.heartbeat_at for each in busy), default=None),
        "steps": steps_of(overview, failures),
        **_cost(look(rows, found)),
    }
    return Page("campaign.html", f"Campaign {name}", content, trail_of(links))


def find_campaign(rows: Rows, name: str) -> Campaign:
    """Return a campaign by its name.

    Raises
    ------
    NotFound
        There is none.
    """
    for each in campaigns(rows, name):
        return each
    raise NotFound("there is no such campaign", found=name)


def trail_of(links: Links, campaign: str | None = None) -> tuple[tuple[str, str | None], ...]:
    """Return the pages above one of a campaign."""
    home = (HOME, links.to("campaigns"))
    return (home,) if campaign is None else (home, (campaign, links.to("campaign", campaign)))


def session_state(session: CampaignSession) -> str:
    """Return in one word how a process that works on a campaign stands, or how it ended."""
    if session.ended_at is None:
        return "running" if session.death is None else "lost"
    return session.outcome or "stopped"


def steps_of(overview: Overview, failures: Sequence[Failure]) -> list[tuple[str, str]]:
    """Return what to do next: commands, each with why."""
    name = overview.campaign.name
    steps = []
    if overview.state in _NEXT:
        word, why = _NEXT[overview.state]
        steps.append((f"hstflow campaign {word} {shlex.quote(name)}", why))
    for each in next_steps(name, failures):
        command, _, why = each.partition("   (")
        steps.append((command, why.removesuffix(")")))
    return steps[:STEPS]


def wishes_of(overview: Overview) -> list[tuple[str, str]]:
    """Return what may be wanted of a campaign that has datasets left: words, and the wish."""
    if not overview.campaign.plan or not jobs_in(overview.campaign, LEFT):
        return []
    pause = ("Pause", "pause") if overview.state == "running" else ("Go on", "resume")
    return [pause, ("Cancel", "cancel")]


def answer_campaigns(desk: Desk, request: Request) -> Response:
    """Answer for all campaigns."""
    number = page_number(request.query_params.get("page", "1"))
    return desk.show(request, partial(campaigns_page, number=number))


def answer_campaign(desk: Desk, request: Request) -> Response:
    """Answer for one campaign."""
    name = request.path_params["campaign"]
    return desk.show(request, partial(campaign_page, name=name, look=partial(look_later, desk)))


def page_number(said: str) -> int:
    """Return the number of a page, from 1.

    Raises
    ------
    ConfigError
        It is none.
    """
    if said.isascii() and said.isdigit() and len(said) <= len(str(_MOST_PAGE)) and int(said):
        return int(said)
    raise ConfigError("not the number of a page", expected="1 or more", found=said[:40])


def _ends_at(overview: Overview) -> str | None:
    """Return when the rest is done at the rate of now; None where that is not known."""
    if overview.seconds_left is None or not overview.is_live:
        return None
    try:
        then = datetime.now(UTC) + timedelta(seconds=overview.seconds_left)
    except OverflowError:  # at a rate of next to nothing
        return None
    return then.strftime("%Y-%m-%dT%H:%M")


def _cost(digest: Digest | None) -> dict[str, Any]:
    """Return what a digest shows; charts are HTML already."""
    if digest is None:
        return {"report": None}
    report = digest.report
    has_rungs = any(rung.memory for rung in report.rungs)
    timed = [each for each in report.stages if each.wall is not None]
    return {
        "report": report,
        "states": [state for state in STATES if state in report.counts],
        "instruments": digest.instruments,
        "throughput": Markup(throughput_chart(report.throughput, report.bin_seconds))  # noqa: S704
        if report.throughput
        else None,
        "memory": Markup(memory_chart(report.rungs)) if has_rungs else None,  # noqa: S704
        "stages": Markup(stage_chart(report.stages)) if timed else None,  # noqa: S704
        "ladder": ladder_words(report) if has_rungs else [],
        "prediction": [*prediction_words(report)] if has_rungs else [],
    }
