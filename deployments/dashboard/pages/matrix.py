"""The datasets of a campaign beside the six stages: searched, sorted, page by page."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from calib.errors import ConfigError
from calib.ledger.campaign_reports import LEFT, Campaign
from calib.ledger.matrix import Line, Part, part_of
from calib.ledger.matrix_question import COUNTED, ORDERS
from calib.ledger.matrix_standing import STAGES, Standing, standing_of
from calib.ledger.reports import Rows
from deployments.dashboard.links import Links
from deployments.dashboard.page import Page
from deployments.dashboard.pages.campaigns import find_campaign, trail_of
from deployments.dashboard.pages.matrix_query import (
    FORMATS,
    MOST,
    SIZES,
    View,
    joined,
    place_text,
    read_view,
)
from deployments.dashboard.words import seconds

if TYPE_CHECKING:
    from deployments.dashboard.app import Desk

# What a cell says of a stage run, where that is another word.
_WORDS = {"error": "failed"}

COLUMNS = (
    *("dataset", "instrument", "run", "state", "attempts", "error_class", "code"),
    *("failed_stage", "seconds", "updated_at"),
)


@dataclass(frozen=True)
class ShownCell:
    """A stage of a dataset as it is shown: a word, how long it took, the error or when."""

    word: str
    wall: str = ""
    note: str = ""


def matrix_page(rows: Rows, links: Links, name: str, view: View | None = None) -> Page:
    """Return a page of the matrix of a campaign.

    Parameters
    ----------
    name
        Of the campaign.
    view
        Which page; None: the first, of all datasets.

    Raises
    ------
    NotFound
        There is no such campaign.
    """
    view = view or View()
    found = find_campaign(rows, name)
    standing = standing_of(rows, found.id)
    part = _part(rows, found, view, standing)
    content = {
        "campaign": name,
        "view": view,
        "filters": view.filters(),
        "standing": standing,
        "part": part,
        "lines": [(line, _cells(line)) for line in part.lines],
        "stages": STAGES,
        "sorts": tuple(ORDERS),
        "sizes": SIZES,
        "counted": COUNTED,
        "pages": _pages(links, name, view, part),
    }
    return Page("matrix.html", f"Datasets of {name}", content, trail_of(links, name), is_live=False)


def answer_matrix(desk: Desk, request: Request) -> Response:
    """Answer for a page of the matrix: as HTML, JSON or CSV (``format=``).

    Raises
    ------
    ConfigError
        The query has a word that is not one.
    """
    name = request.path_params["campaign"]
    query = joined(request.query_params)
    shape = query.get("format", "html")
    if shape not in FORMATS:
        raise ConfigError("format: not one", expected=", ".join(FORMATS), found=shape)
    view = read_view(query, most=max(SIZES) if shape == "html" else MOST)
    if shape == "html":
        return desk.show(request, partial(matrix_page, name=name, view=view))
    ask = partial(desk.look, partial(_asked, name, view))
    part = desk.kept.get((request.url.path, request.url.query), ask)
    return _data(desk.links, name, view, part, shape)


def _asked(name: str, view: View, rows: Rows) -> Part:
    found = find_campaign(rows, name)
    return _part(rows, found, view, standing_of(rows, found.id))


def _part(rows: Rows, found: Campaign, view: View, standing: Standing) -> Part:
    return part_of(rows, found.id, view.wanted, standing, place=view.place, size=view.size)


def _pages(links: Links, name: str, view: View, part: Part) -> dict[str, str | None]:
    """Return the addresses of other pages of the same list."""
    to = partial(links.to, "matrix", name, **view.filters())
    return {
        "first": to() if view.place is not None else None,
        "previous": to(**place_text(part.before)) if part.before else None,
        "next": to(**place_text(part.after)) if part.after else None,
    }


def _cells(line: Line) -> list[ShownCell]:
    """Return what the stages of a dataset say; the word of one that was not reached tells why."""
    rest = ShownCell("waiting" if line.state in LEFT else "not run")
    cells = []
    for stage in STAGES:
        found = line.cells.get(stage)
        if found is None:
            cells.append(rest)
            continue
        note = found.error or (
            f"since {found.started_at[:19].replace('T', ' ')}" if found.state == "running" else ""
        )
        word = _WORDS.get(found.state, found.state)
        cells.append(ShownCell(word, seconds(found.wall), note))
    return cells


def _data(links: Links, name: str, view: View, part: Part, shape: str) -> Response:
    """Return a page for programs; the header Link names the next one (RFC 8288)."""
    filters = {**view.filters(), "format": shape}
    pages = {
        word: links.to("matrix", name, **filters, **place_text(place))
        for word, place in (("prev", part.before), ("next", part.after))
        if place is not None
    }
    headers = {"link": ", ".join(f'<{to}>; rel="{word}"' for word, to in pages.items())}
    if shape == "csv":
        content, kind = _csv(part), "text/csv"
    else:
        content, kind = json.dumps(_record(name, view, part, pages)), "application/json"
    return Response(content, media_type=kind, headers=headers if pages else None)


def _record(name: str, view: View, part: Part, pages: dict[str, str | None]) -> dict[str, Any]:
    return {
        "campaign": name,
        "filters": {key: value for key, value in view.filters().items() if value},
        "number": part.number,
        "more_than": COUNTED if part.number is None else None,
        "datasets": [_line_record(line) for line in part.lines],
        "previous": pages.get("prev"),
        "next": pages.get("next"),
    }


def _line_record(line: Line) -> dict[str, Any]:
    stages = {
        stage: {"state": cell.state, "wall": cell.wall, "error": cell.error}
        for stage, cell in line.cells.items()
    }
    known = {column: getattr(line, column) for column in COLUMNS}
    return {**known, "reason": line.reason, "stages": stages}


def _csv(part: Part) -> str:
    """Return the lines; texts of others (reasons) are left out, since spreadsheets run formulas."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")  # as RFC 4180
    writer.writerow([*COLUMNS, *STAGES, *(f"{stage}_seconds" for stage in STAGES)])
    for line in part.lines:
        cells = [line.cells.get(stage) for stage in STAGES]
        states = [cell.state if cell else "" for cell in cells]
        walls = [cell.wall if cell else None for cell in cells]
        writer.writerow([*(getattr(line, column) for column in COLUMNS), *states, *walls])
    return buffer.getvalue()
