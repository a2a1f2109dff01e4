"""Reference files: how often each was used, and what was made with one."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from calib.errors import NotFound
from calib.ledger.lineage import plain_name
from calib.ledger.reference_counts import (
    ReferenceCount,
    count_references,
    last_publication,
    page_of_uses,
)
from calib.ledger.reports import Rows
from deployments.dashboard.links import Links
from deployments.dashboard.page import Page

if TYPE_CHECKING:
    from deployments.dashboard.app import Desk

# Rows of a page of the list, and of what used one.
_ROWS = 100

# Counts: all references, by name.
Counted = list[ReferenceCount]

# Seconds after which they are made anew though nothing was published: versions become current, or
# are pruned. Of a million uses that takes seconds, beside the requests.
PERIOD = 300.0

# Seconds that the first reader waits for them: a small ledger has them by then.
PATIENCE = 0.1

_LONGEST_WORD = 100
_LONGEST_NUMBER = 18


@dataclass(frozen=True)
class Wanted:
    """Which references a reader looks for; what is empty is any."""

    word: str = ""
    keyword: str = ""
    instrument: str = ""
    first: int = 0

    def holds(self, reference: ReferenceCount) -> bool:
        """Tell whether a reference is one of them."""
        word = plain_name(self.word)
        is_named = word in reference.name.lower() or word in {s.lower() for s in reference.sha1s}
        return (
            is_named
            and (not self.keyword or self.keyword in reference.keywords)
            and (not self.instrument or self.instrument in reference.instruments)
        )


@dataclass(frozen=True)
class UsesWanted:
    """Which uses of a reference a reader looks for."""

    keyword: str = ""
    current: bool = False
    before: int | None = None
    filters: dict[str, str] = field(default_factory=dict)


def references_page(counted: Counted | None, links: Links, wanted: Wanted) -> Page:
    """Return the references that a reader looks for, by name; None: they are being counted."""
    every = counted or ()
    found = [each for each in every if wanted.holds(each)]
    filters = {"q": wanted.word, "keyword": wanted.keyword, "instrument": wanted.instrument}
    first = wanted.first if wanted.first < len(found) else 0
    rows = found[first : first + _ROWS]
    content = {
        "is_counting": counted is None,
        "wanted": wanted,
        "references": rows,
        "number": len(found),
        "total": len(every),
        "first": first,
        "keywords": sorted({word for each in every for word in each.keywords}),
        "instruments": sorted({word for each in every for word in each.instruments}),
        "earlier": _at(links, filters, max(0, first - _ROWS)) if first else None,
        "later": _at(links, filters, first + _ROWS) if first + _ROWS < len(found) else None,
    }
    return Page("references.html", "Reference files", content, is_live=counted is None)


def reference_page(
    rows: Rows, links: Links, name: str, wanted: UsesWanted, counted: ReferenceCount | None
) -> Page:
    """Return what was made with a reference, the latest first.

    Parameters
    ----------
    name
        Of the reference.
    wanted
        Which uses.
    counted
        How often it was used, where that is known yet.

    Raises
    ------
    NotFound
        Nothing was ever made with it.
    """
    plain = plain_name(name)
    found = page_of_uses(
        rows,
        plain,
        keyword=wanted.keyword or None,
        current=wanted.current,
        before=wanted.before,
        number=_ROWS,
    )
    is_any = not wanted.keyword and not wanted.current and wanted.before is None
    if is_any and not found.uses and found.before is None and counted is None:
        raise NotFound("nothing was made with a reference of this name", found=plain)
    kept = {"keyword": wanted.keyword, "current": "yes" if wanted.current else ""}
    later = found.before and links.to("reference", plain, **kept, before=found.before)
    content = {
        "name": plain,
        "counted": counted,
        "uses": found.uses,
        "wanted": wanted,
        "later": later,
        "keywords": counted.keywords if counted else _keywords(found.uses),
        "newest": links.to("reference", plain, **kept) if wanted.before is not None else None,
        "commands": commands_for(plain),
    }
    trail = (("Reference files", links.to("references")),)
    return Page("reference.html", plain, content, trail, is_live=False)


def commands_for(name: str) -> tuple[tuple[str, str], ...]:
    """Return commands about what was made with a reference, with what they do."""
    quoted = shlex.quote(name)
    return (
        (f"hstflow archive show {quoted}", "shows all that was made with it"),
        (
            f"hstflow campaign plan again --with-reference {quoted} astroquery: file:/archive",
            "plans to make all of it again that is current; nothing is calibrated yet",
        ),
        (
            "hstflow affected --from-ledger --new CONTEXT",
            "lists the datasets that get other references on another context",
        ),
    )


def answer_references(desk: Desk, request: Request) -> Response:
    """Answer with the list: ``?q=``, ``keyword=``, ``instrument=``, ``first=``."""
    asked = request.query_params
    wanted = Wanted(
        asked.get("q", "").strip()[:_LONGEST_WORD],
        asked.get("keyword", "")[:_LONGEST_WORD],
        asked.get("instrument", "")[:_LONGEST_WORD],
        _number(asked.get("first")) or 0,
    )
    counted = counted_of(desk)
    return desk.show(request, lambda _rows, links: references_page(counted, links, wanted))


def answer_reference(desk: Desk, request: Request) -> Response:
    """Answer with one: ``?keyword=``, ``current=yes``, ``before=``."""
    asked = request.query_params
    name = request.path_params["reference"]
    wanted = UsesWanted(
        asked.get("keyword", "")[:_LONGEST_WORD],
        asked.get("current") == "yes",
        _number(asked.get("before")),
    )
    counted = counted_of(desk)
    every = counted or ()
    one = next((each for each in every if each.name == plain_name(name)), None)
    return desk.show(request, partial(reference_page, name=name, wanted=wanted, counted=one))


def counted_of(desk: Desk) -> Counted | None:
    """Return the counts as they were lately; None where they are being made for the first time."""
    last = desk.reader.ask(last_publication)
    mark = (last, int(time.monotonic() // PERIOD))
    make = partial(desk.reader.ask, count_references)
    return desk.later.get("references", make, mark, patience=PATIENCE)


def _at(links: Links, filters: dict[str, str], first: int) -> str | None:
    return links.to("references", **filters, first=first or None)


def _keywords(uses: Sequence[object]) -> tuple[str, ...]:
    return tuple(sorted({str(each.keyword) for each in uses}))  # type: ignore[attr-defined]


def _number(text: str | None) -> int | None:
    """Return a number of a query; None for anything else."""
    if text is None or len(text) > _LONGEST_NUMBER or not (text.isascii() and text.isdigit()):
        return None
    return int(text)
