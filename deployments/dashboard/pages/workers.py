"""Who works on a campaign, at what, and how its memory rungs serve."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from calib.ledger.campaign_overview import overview_of
from calib.ledger.campaign_reports import AtWork, Campaign, at_work
from calib.ledger.owners import STALE_AFTER
from calib.ledger.reports import Rows
from calib.ledger.rung_use import RungPast, rungs_now, rungs_past
from deployments.dashboard.digests import COUNTING, PATIENCE, mark_of
from deployments.dashboard.links import Links
from deployments.dashboard.page import Page
from deployments.dashboard.pages.campaigns import find_campaign, trail_of

if TYPE_CHECKING:
    from deployments.dashboard.app import Desk

# Jobs at work that are listed of one host.
_MOST_OF_HOST = 200

Past = Mapping[int | None, RungPast]

# Gives what the attempts of a campaign came to; None: it is being counted.
Look = Callable[[Rows, Campaign], Past | None]


@dataclass(frozen=True)
class Host:
    """A host with the datasets that are being processed there; the longest at work first."""

    name: str
    jobs: Sequence[AtWork]

    @property
    def number(self) -> int:
        """How many there are."""
        return len(self.jobs)

    @property
    def shown(self) -> Sequence[AtWork]:
        """Those that are listed."""
        return self.jobs[:_MOST_OF_HOST]

    @property
    def memory(self) -> int:
        """What they are granted together, bytes; what is not limited does not count."""
        return sum(job.memory or 0 for job in self.jobs)

    @property
    def processes(self) -> int:
        """How many processes work there."""
        return len({job.pid for job in self.jobs})


@dataclass(frozen=True)
class Rung:
    """A size of memory, bytes; None: not limited."""

    memory: int | None
    waiting: int
    running: int
    past: RungPast


@dataclass(frozen=True)
class Quality:
    """How well the first rungs of datasets were chosen, as far as they finished.

    Attributes
    ----------
    finished
        How many finished.
    at_once
        How many of them at their first attempt.
    generous
        How many of these would have fitted on the rung below.
    used, granted
        Memory of those that were measured, bytes.
    """

    finished: int
    at_once: int
    generous: int
    used: int
    granted: int


def past_of(rows: Rows, found: Campaign) -> Past:
    """Read what the attempts of a campaign came to, by memory."""
    return rungs_past(rows, found.id, found.plan.get("rungs", ()))


def workers_page(rows: Rows, links: Links, name: str, look: Look = past_of) -> Page:
    """Return who works on a campaign, and what its rungs came to.

    Parameters
    ----------
    rows, links, name
        The ledger, where pages are, and the campaign.
    look
        Gives what attempts came to: read now where nothing else is said.

    Raises
    ------
    NotFound
        There is no such campaign.
    """
    found = find_campaign(rows, name)
    past = look(rows, found)
    content = {
        "overview": overview_of(rows, found),
        "hosts": _hosts(at_work(rows, found.id)),
        "most": _MOST_OF_HOST,
        "rungs": _rungs(found, rungs_now(rows, found.id), past or {}),
        "is_counted": past is not None,
        "quality": _quality(past or {}),
        "stale": STALE_AFTER.total_seconds(),
    }
    return Page("workers.html", f"Workers of {name}", content, trail_of(links, name))


def answer_workers(desk: Desk, request: Request) -> Response:
    """Answer for one campaign; what attempts came to may be some time old."""
    name = request.path_params["campaign"]
    return desk.show(request, partial(workers_page, name=name, look=partial(_look_later, desk)))


def _look_later(desk: Desk, _rows: Rows, found: Campaign) -> Past | None:
    """Return what was counted last, and have it counted again where the campaign changed."""
    make = partial(desk.reader.ask, lambda rows: past_of(rows, found), COUNTING)
    return desk.later.get(("past", found.id), make, mark_of(found), patience=PATIENCE)


def _hosts(found: Sequence[AtWork]) -> list[Host]:
    by_host: dict[str, list[AtWork]] = defaultdict(list)
    for job in found:
        by_host[job.host].append(job)
    return [Host(name, by_host[name]) for name in sorted(by_host)]


def _rungs(found: Campaign, now: Mapping[int | None, Mapping[str, int]], past: Past) -> list[Rung]:
    sizes = {*found.plan.get("rungs", ()), *now, *past}
    return [
        Rung(
            size,
            waiting=sum(n for state, n in now.get(size, {}).items() if state != "processing"),
            running=now.get(size, {}).get("processing", 0),
            past=past.get(size, RungPast()),
        )
        for size in sorted(sizes, key=lambda size: (size is None, size or 0))
    ]


def _quality(past: Past) -> Quality | None:
    known = [each for size, each in past.items() if size is not None]
    finished = sum(each.finished for each in known)
    if not finished:
        return None
    return Quality(
        finished,
        at_once=sum(each.at_once for each in known),
        generous=sum(each.generous for each in known),
        used=sum(each.used for each in known),
        granted=sum(each.granted for each in known),
    )
