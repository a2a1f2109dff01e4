"""Pages as data, and how they become HTML.

A page is made by a function of the ledger's rows, and knows neither requests nor files: the
dashboard serves it, the static report writes it, a test reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined

from deployments.dashboard import words
from deployments.dashboard.links import Links

# The word of an address that asks for a page to be loaded again.
_REFRESH = "refresh"

# What every page links to at its top: text, and page.
NAVIGATION = (
    ("Campaigns", "campaigns"),
    ("Errors", "all_errors"),
    ("Reprocessings", "reprocessings"),
    ("References", "references"),
    ("Contexts", "contexts"),
)

# Which templates belong to which of them.
_PARTS: Mapping[str, frozenset[str]] = {
    "campaigns": frozenset(
        {
            *("campaigns", "campaign", "matrix", "gallery", "workers", "control", "controlled"),
            *("dataset", "log", "difference"),
        }
    ),
    "reprocessings": frozenset({"reprocessings", "reprocessing", "approve", "canary"}),
    "references": frozenset({"references", "reference", "campaign_references"}),
    "contexts": frozenset({"contexts"}),
}
# They belong to their campaign where they are of one: it stands in their trail.
_OF_ALL_OR_ONE = frozenset({"errors", "rescue", "rescued"})


@dataclass(frozen=True)
class Page:
    """What a page shows.

    Attributes
    ----------
    template
        Its file in ``templates``.
    title
        Of the window, and its heading.
    content
        What the template shows, by name.
    trail
        Pages above it: text and address.
    is_live
        Whether it changes while it is looked at.
    """

    template: str
    title: str
    content: Mapping[str, Any]
    trail: tuple[tuple[str, str | None], ...] = ()
    is_live: bool = True

    @property
    def part(self) -> str | None:
        """The page of :data:`NAVIGATION` that it is, or belongs to."""
        if self._stem in _OF_ALL_OR_ONE:
            return "all_errors" if len(self.trail) == 1 else "campaigns"
        return next((name for name, stems in _PARTS.items() if self._stem in stems), None)

    def current(self, name: str) -> str | None:
        """Return the word of ``aria-current`` for a page of the navigation."""
        if name != self.part:
            return None
        is_itself = self._stem == name or (name == "all_errors" and self._stem == "errors")
        return "page" if is_itself else "true"

    @property
    def _stem(self) -> str:
        return self.template.removesuffix(".html")


@dataclass(frozen=True)
class Refresh:
    """Whether browsers without scripts load a page again, and its address where that is otherwise.

    A page that does so unasked takes the place from whoever reads it slowly or has it read aloud
    (WCAG 2.2.1), so it is asked for; the scripts know when somebody reads.
    """

    is_on: bool
    other: str


def refresh_of(query: Iterable[tuple[str, str]]) -> Refresh:
    """Return it by the words of an address."""
    words = [*query]
    rest = [(name, value) for name, value in words if name != _REFRESH]
    is_on = len(rest) < len(words)
    return Refresh(is_on, f"?{urlencode(rest if is_on else [*rest, (_REFRESH, 'yes')])}")


@dataclass(frozen=True)
class Frame:
    """What surrounds every page.

    Attributes
    ----------
    links
        Where pages are.
    prefect, dask
        Pages of others, for links; None where there are none.
    period
        Seconds between two looks of a live page.
    may_change
        Whether forms are shown.
    has_script
        Whether htmx is there, which looks again without the flicker.
    written_at
        When, for pages that are kept; None: they are live.
    refresh
        For browsers without scripts; None: the page does not take the word.
    """

    links: Links
    prefect: str | None = None
    dask: str | None = None
    period: float = 5.0
    may_change: bool = False
    has_script: bool = False
    written_at: str | None = None
    refresh: Refresh | None = None
    words: Mapping[str, Any] = field(default_factory=dict)


def render(page: Page, frame: Frame) -> str:
    """Return a page as HTML; all text of it is escaped."""
    template = templates().get_template(page.template)
    return template.render(page=page, frame=frame, links=frame.links, **page.content)


@cache
def templates() -> Environment:
    """Return the environment of the templates: all is escaped, a missing name is an error."""
    made = Environment(
        loader=PackageLoader("deployments.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= words.FILTERS
    made.globals["navigation"] = NAVIGATION
    made.globals["now"] = lambda: datetime.now(UTC).isoformat()
    return made
