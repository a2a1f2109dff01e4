"""CRDS contexts: which are operational, which are used and by what, and what is behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from calib.errors import ConfigError
from calib.ledger.context_use import behind, context_uses
from calib.ledger.reports import Rows
from calib.references.pins import Pin, every_pin
from deployments.dashboard.links import Links
from deployments.dashboard.page import Page
from deployments.dashboard.pages.campaigns import trail_of

if TYPE_CHECKING:
    from deployments.dashboard.app import Desk

# Campaigns that are named of each context.
_NAMED = 6

_MOST_SEEN = 50


def contexts_page(rows: Rows, links: Links) -> Page:
    """Return the contexts that the ledger knows, and what is current on them."""
    uses = context_uses(rows)
    seen = sorted((one for use in uses for one in use.seen), key=lambda one: one.seen_at)
    content = {
        "uses": uses,
        "behind": behind(uses),
        "seen": seen[::-1][:_MOST_SEEN],
        "operational": {(source, use.name) for use in uses for source in use.operational_at},
        "pins": {} if links.is_static else _pins(),
        "named": _NAMED,
    }
    return Page("contexts.html", "CRDS contexts", content, trail_of(links))


def answer_contexts(desk: Desk, request: Request) -> Response:
    """Answer for all contexts."""
    return desk.show(request, contexts_page)


def _pins() -> dict[str, Pin]:
    """Return the pins of whoever runs the dashboard; none where they cannot be read."""
    try:
        return every_pin()
    except ConfigError:
        return {}
