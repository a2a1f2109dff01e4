"""Reprocessings: where they stand, what they mark, and what was decided of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from calib.errors import HstflowError, NotFound
from calib.ledger.campaign_overview import Overview, overview_of
from calib.ledger.campaign_reports import campaigns
from calib.ledger.marked import left_out_reasons, marks_page
from calib.ledger.reports import Rows
from calib.ledger.reprocessing_names import campaigns_of
from calib.ledger.reprocessing_reports import (
    MarkCount,
    Reprocessing,
    history,
    holder,
    mark_counts,
    reprocessings,
)
from calib.reprocessing.deciding import may_decide
from calib.reprocessing.life import next_steps
from deployments.dashboard.canary_reports import CanaryReport, read_report
from deployments.dashboard.going_on import WORDS, read_asked
from deployments.dashboard.links import Links
from deployments.dashboard.page import Page

if TYPE_CHECKING:
    from deployments.dashboard.app import Desk

TITLES = ("canaries", "exposures and associations", "visits", "skycells")

# Marked datasets of one page.
PER_PAGE = 100

HOME = "Reprocessings"


@dataclass(frozen=True)
class Wave:
    """A wave of a reprocessing: what it marks, and the campaign that runs it, if there is one."""

    number: int
    title: str
    marked: int
    left_out: int
    campaign: str
    overview: Overview | None


@dataclass(frozen=True)
class Shown:
    """What somebody wants to see of a reprocessing: which wave (0: all) and page of its marks."""

    wave: int = 0
    page: int = 1
    asked: str = ""
    runs: tuple[str, ...] = ()


def reprocessings_page(rows: Rows, _links: Links) -> Page:
    """Return all reprocessings, the latest first."""
    found = []
    for one in reversed(reprocessings(rows, is_light=True)):
        counts = mark_counts(rows, one.id)
        marked = sum(each.number for each in counts)
        to_run = marked - sum(each.left_out for each in counts)
        found.append((one, marked, to_run))
    return Page("reprocessings.html", HOME, {"found": found})


def reprocessing_page(
    rows: Rows, links: Links, name: str, work: str | None, shown: Shown | None = None
) -> Page:
    """Return one reprocessing.

    Parameters
    ----------
    rows, links, name
        The ledger, where pages are, and which one.
    work
        The work folder, where its difference report is; None: it is not shown.
    shown
        Which of its marked datasets.

    Raises
    ------
    NotFound
        There is none of that name.
    """
    shown = shown or Shown()
    one = find_one(rows, name)
    report, problem = report_of(one, work)
    counts = mark_counts(rows, one.id)
    owner = holder(rows, one.id)
    first = (shown.page - 1) * PER_PAGE
    content = {
        "one": one,
        "waves": _waves(rows, one, counts),
        "left_out": left_out_reasons(rows, one.id),
        "marks": marks_page(rows, one.id, wave=shown.wave, first=first, most=PER_PAGE),
        "amount": sum(each.number for each in counts if shown.wave in {0, each.wave}),
        "per_page": PER_PAGE,
        "shown": shown,
        "steps": history(rows, one.id)[::-1],
        "report": report,
        "problem": problem,
        "held_by": None if owner is None else str(owner),
        "decisions": may_decide(one),
        "commands": next_steps(one, is_held=owner is not None),
        "asked_words": WORDS.get(shown.asked, ""),
    }
    return Page("reprocessing.html", f"Reprocessing {name}", content, trail_of(links))


def find_one(rows: Rows, name: str) -> Reprocessing:
    """Return a reprocessing by its name.

    Raises
    ------
    NotFound
        There is none.
    """
    for each in reprocessings(rows, name):
        return each
    raise NotFound("there is no such reprocessing", found=name)


def report_of(one: Reprocessing, work: str | None) -> tuple[CanaryReport | None, str | None]:
    """Return the difference report, or why there is none to show."""
    try:
        return read_report(one, work), None
    except HstflowError as error:
        return None, str(error)


def trail_of(links: Links, name: str | None = None) -> tuple[tuple[str, str | None], ...]:
    """Return the pages above one of a reprocessing."""
    home = (HOME, links.to("reprocessings"))
    return (home,) if name is None else (home, (name, links.to("reprocessing", name)))


def answer_reprocessings(desk: Desk, request: Request) -> Response:
    """Answer for all of them."""
    return desk.show(request, reprocessings_page)


def answer_reprocessing(desk: Desk, request: Request) -> Response:
    """Answer for one."""
    asked = request.query_params
    went = read_asked(asked.get("went", ""), asked.getlist("run"))
    wave, page = _small(asked.get("wave", "")), _small(asked.get("part", ""))
    shown = Shown(wave, max(1, page), went.word, went.runs)
    name = request.path_params["reprocessing"]
    work = desk.settings.work
    return desk.show(request, partial(reprocessing_page, name=name, work=work, shown=shown))


def _waves(rows: Rows, one: Reprocessing, counts: Sequence[MarkCount]) -> list[Wave]:
    found = []
    for wave, campaign in enumerate(campaigns_of(one.name)):
        mine = [each for each in counts if (each.wave == wave if wave else each.is_canary)]
        known = next(iter(campaigns(rows, campaign)), None)
        overview = None if known is None else overview_of(rows, known)
        marked = sum(each.number for each in mine)
        left = sum(each.left_out for each in mine)
        if marked or overview:
            found.append(Wave(wave, TITLES[wave], marked, left, campaign, overview))
    return found


def _small(text: str) -> int:
    """Return a number of an address; 0 for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0  # noqa: PLR2004
