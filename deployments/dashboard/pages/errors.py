"""What failed: by class, with what it means, like reasons together, and what to do about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from calib.campaigns.likeness import Like, group_alike
from calib.error_guide import CODES, Guide, guide_for
from calib.ledger.failures import (
    SAMPLE,
    FailedClass,
    FailedJob,
    failed_classes,
    sample_failures,
)
from calib.ledger.reports import Rows
from deployments.dashboard.links import Links
from deployments.dashboard.page import Page
from deployments.dashboard.pages.campaigns import find_campaign, trail_of

if TYPE_CHECKING:
    from deployments.dashboard.app import Desk

# Kinds of reasons that are shown of a class.
_MOST_LIKES = 8

_Key = tuple[str, str | None, int | None]


@dataclass(frozen=True)
class ErrorClass:
    """Datasets that rest in one state with one error.

    Attributes
    ----------
    state, error_class, code
        How they ended.
    campaigns
        How many there are in each campaign, the most first.
    guide
        What it means, and what to do.
    where
        What the exit code says.
    likes
        Reasons, like ones together, the most frequent first.
    more
        Kinds of reasons that are not shown.
    """

    state: str
    error_class: str | None
    code: int | None
    campaigns: Mapping[str, int]
    guide: Guide
    where: str
    likes: Sequence[Like]
    more: int

    @property
    def number(self) -> int:
        """How many there are in all."""
        return sum(self.campaigns.values())

    @property
    def title(self) -> str:
        """Its name for a heading."""
        return self.error_class or {"blocked": "Blocked"}.get(self.state, "Unnamed")

    @property
    def filters(self) -> dict[str, Any]:
        """What selects them, in the words of the pages that take a selection."""
        found = {"state": self.state, "class": self.error_class, "code": self.code}
        return {key: value for key, value in found.items() if value is not None}


def errors_page(rows: Rows, links: Links, name: str) -> Page:
    """Return what failed in a campaign.

    Raises
    ------
    NotFound
        There is no such campaign.
    """
    found = find_campaign(rows, name)
    content = {
        "campaign": found,
        "classes": _classes(failed_classes(rows, found.id), sample_failures(rows, found.id)),
        "sample": SAMPLE,
    }
    return Page("errors.html", f"Errors of {name}", content, trail_of(links, name))


def all_errors_page(rows: Rows, links: Links) -> Page:
    """Return what failed in all campaigns."""
    classes = _classes(failed_classes(rows), sample_failures(rows))
    content = {"campaign": None, "classes": classes, "sample": SAMPLE}
    return Page("errors.html", "Errors of all campaigns", content, trail_of(links))


def answer_errors(desk: Desk, request: Request) -> Response:
    """Answer for one campaign."""
    return desk.show(request, partial(errors_page, name=request.path_params["campaign"]))


def answer_all_errors(desk: Desk, request: Request) -> Response:
    """Answer for all campaigns."""
    return desk.show(request, all_errors_page)


def _classes(found: Sequence[FailedClass], sample: Sequence[FailedJob]) -> list[ErrorClass]:
    reasons: dict[_Key, list[tuple[str, str]]] = defaultdict(list)
    for job in sample:
        key = (job.state, job.error_class, job.code)
        reasons[key].append((job.dataset, job.reason or "no reason was given"))
    numbers: dict[_Key, dict[str, int]] = defaultdict(dict)
    for each in found:
        numbers[each.state, each.error_class, each.code][each.campaign] = each.number
    classes = [_class(key, campaigns, reasons[key]) for key, campaigns in numbers.items()]
    return sorted(classes, key=lambda each: -each.number)


def _class(
    key: _Key, campaigns: Mapping[str, int], reasons: Sequence[tuple[str, str]]
) -> ErrorClass:
    state, error_class, code = key
    likes = group_alike(reasons)
    return ErrorClass(
        *key,
        campaigns=campaigns,
        guide=guide_for(error_class, code, state),
        where=CODES.get(code, "") if code is not None else "",
        likes=likes[:_MOST_LIKES],
        more=max(0, len(likes) - _MOST_LIKES),
    )
