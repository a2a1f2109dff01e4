"""A canary beside what was there before, and its pictures, by number."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from calib.errors import NotFound
from calib.ledger.reports import Rows
from calib.ledger.reprocessing_reports import Reprocessing
from calib.reprocessing.product_records import STATES
from deployments.dashboard.canary_reports import Picture, read_pictures, read_report
from deployments.dashboard.links import Links
from deployments.dashboard.page import Page
from deployments.dashboard.pages.reprocessings import find_one, trail_of

if TYPE_CHECKING:
    from deployments.dashboard.app import Desk

# Image sets and cards of a header that are shown of each product.
_MOST_SETS = 8
_MOST_CARDS = 100


def canary_page(rows: Rows, links: Links, name: str, dataset: str, work: str | None) -> Page:
    """Return a canary of a reprocessing, before and after.

    Raises
    ------
    NotFound
        There is no such reprocessing, report or canary.
    ConfigError
        The report cannot be read.
    """
    one = find_one(rows, name)
    report = read_report(one, work)
    content = {
        "one": one,
        "canary": report.of(dataset),
        "written_at": report.written_at,
        "states": STATES,
        "pictures": [(n, each) for n, each in enumerate(_pictures(one, work, dataset))],
        "most_sets": _MOST_SETS,
        "most_cards": _MOST_CARDS,
    }
    title = f"{dataset}: before and after"
    return Page("canary.html", title, content, trail_of(links, name), is_live=False)


def answer_canary(desk: Desk, request: Request) -> Response:
    """Answer for one canary."""
    given = request.path_params
    page = partial(
        canary_page,
        name=given["reprocessing"],
        dataset=given["dataset"],
        work=desk.settings.work,
    )
    return desk.show(request, page)


def answer_canary_picture(desk: Desk, request: Request) -> Response:
    """Answer with a picture; its name comes from the report, its place from the ledger."""
    given = request.path_params
    one = desk.reader.ask(lambda rows: find_one(rows, given["reprocessing"]))
    canary = read_report(one, desk.settings.work).of(given["dataset"])
    found = read_pictures(one, desk.settings.work, canary.dataset)
    if not 0 <= given["number"] < len(found):
        raise NotFound("there is no such picture")
    return Response(found[given["number"]].content, media_type="image/png")


def _pictures(one: Reprocessing, work: str | None, dataset: str) -> Sequence[Picture]:
    """Return the pictures of a canary; none where its page is gone."""
    try:
        return read_pictures(one, work, dataset)
    except NotFound:
        return ()
