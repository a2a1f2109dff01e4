"""Datasets that failed, submitted again: what would be, done on a word, what came of it."""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from calib.campaigns import operating
from calib.campaigns.charts import memory_text
from calib.campaigns.operating import RescueWords
from calib.errors import ConfigError
from calib.ledger.campaign_overview import Overview, overview_of
from calib.ledger.campaign_reports import campaigns
from calib.ledger.reports import Rows
from calib.ledger.rescued import Rescue, last_change, rescued_counts, rescued_jobs
from calib.stores.uri import parse_uri
from deployments.dashboard.choosing import Chosen, Selection, choose, read_selection
from deployments.dashboard.going_on import (
    RESUME,
    WORDS,
    Asked,
    go_on,
    has_prefect,
    read_asked,
)
from deployments.dashboard.links import Links
from deployments.dashboard.page import Page
from deployments.dashboard.pages.campaigns import find_campaign, trail_of
from deployments.dashboard.reader import Kept

if TYPE_CHECKING:
    from deployments.dashboard.app import Desk
    from deployments.dashboard.forms import Form

# Datasets that are listed, before and after.
SHOWN = 20

# Seconds for which a form that is sent again gets the answer that it got: as long as its token.
_MEMORY = 12 * 3600.0

_ONCE = re.compile(r"[0-9a-f]{32}", re.ASCII)
_WHOLE = re.compile(r"[+-]?[0-9]{1,7}", re.ASCII)

# What a form did, so that a second click is answered as the first one was, and does nothing.
_DONE = Kept(_MEMORY)


@dataclass(frozen=True)
class Token:
    """What a form must carry: that it is ours, and which one it is."""

    token: str
    once: str


def rescue_page(
    rows: Rows,
    links: Links,
    wanted: Selection,
    token: Token,
    given: Mapping[str, str] | None = None,
    problem: str | None = None,
) -> Page:
    """Return what would be rescued, and the form that does it.

    Parameters
    ----------
    rows, links
        The ledger, and where pages are.
    wanted, token
        What, and what the form carries.
    given, problem
        What was typed before, and why it could not be used.

    Raises
    ------
    NotFound
        There is no such campaign.
    """
    trail = trail_of(links, wanted.campaign)
    if wanted.campaign is not None:
        find_campaign(rows, wanted.campaign)
    found = choose(rows, wanted)
    content = {
        "chosen": found,
        "wanted": wanted,
        "token": token,
        "given": given or {},
        "problem": problem,
        "shown": SHOWN,
        "rungs": [(str(size), memory_text(size)) for size in found.rungs],
        "overviews": [overview_of(rows, each) for each in found.campaigns.values()],
        "has_prefect": has_prefect(),
        "sources": _sources(found),
    }
    return Page("rescue.html", _title(found, wanted), content, trail, is_live=False)


def rescued_page(rows: Rows, links: Links, rescue: Rescue, number: int, asked: Asked) -> Page:
    """Return what became of a rescue.

    Parameters
    ----------
    rows, links, rescue
        The ledger, where pages are, and the rescue.
    number
        How many datasets were on the page that was confirmed.
    asked
        What came of asking Prefect to go on.
    """
    counts = rescued_counts(rows, rescue)
    done = sum(sum(states.values()) for states in counts.values())
    content = {
        "counts": counts,
        "done": done,
        "changed": max(0, number - done),
        "jobs": rescued_jobs(rows, rescue, SHOWN),
        "shown": SHOWN,
        "overviews": _overviews(rows, counts),
        "asked": asked,
        "asked_words": WORDS.get(asked.word, ""),
        "has_prefect": has_prefect(),
    }
    datasets = "dataset" if done == 1 else "datasets"
    only = next(iter(counts)) if len(counts) == 1 else None
    return Page("rescued.html", f"{done:,} {datasets} rescued", content, trail_of(links, only))


def answer_rescue(desk: Desk, request: Request) -> Response:
    """Show what would be rescued."""
    wanted = read_selection(request.query_params.getlist, request.path_params.get("campaign"))
    token = Token(desk.token(request), secrets.token_hex(16))
    return desk.show_now(partial(rescue_page, wanted=wanted, token=token))


def answer_rescued(desk: Desk, request: Request) -> Response:
    """Show what became of a rescue."""
    asked = request.query_params
    rescue = Rescue(_number(asked, "after"), _number(asked, "upto"), reason_of(asked.get("by", "")))
    went = read_asked(asked.get("went", ""), asked.getlist("run"))
    page = partial(rescued_page, rescue=rescue, number=_number(asked, "number"), asked=went)
    return desk.show(request, page)


def act_rescue(desk: Desk, request: Request, form: Form) -> Response:
    """Rescue what was shown, once, however often the form is sent."""
    wanted = read_selection(form.all, request.path_params.get("campaign"))
    once = form.one("once")
    if not _ONCE.fullmatch(once):
        raise ConfigError("this form is not whole: load its page again")
    key = (desk.settings.ledger, form.person, once)
    try:
        filters = _DONE.get(key, lambda: _rescue(desk, form, wanted, once))
    except ConfigError as error:  # a size or setting that cannot be used: nothing was changed
        token = Token(desk.token(request), secrets.token_hex(16))
        given = {name: values[-1] for name, values in form.fields.items() if values}
        page = partial(rescue_page, wanted=wanted, token=token, given=given, problem=str(error))
        return desk.show_now(page, 400)
    return desk.go_to("rescued", **filters)


def reason_of(person: str) -> str:
    """Return what the history says of a rescue."""
    return f"rescued by {person} in the dashboard"


def _rescue(desk: Desk, form: Form, wanted: Selection, once: str) -> dict[str, Any]:
    """Rescue what has not changed since it was shown; return what the address of the end says."""
    from calib.ledger.ledger import open_ledger

    found = desk.reader.ask(lambda rows: choose(rows, wanted, seen=form.one("seen")))
    changes = operating.changes_of(found.campaigns.values(), _words(form))
    with open_ledger(desk.settings.ledger) as ledger:
        after = ledger.ask(last_change)
        operating.rescue(ledger, found.jobs, changes, reason_of(form.person))
        upto = ledger.ask(last_change)
    asked = _go_on(desk, found, once) if form.one("go_on") else Asked("")
    said = {"after": after, "upto": upto, "by": form.person, "number": _count(form.one("number"))}
    return said | asked.filters()


def _go_on(desk: Desk, found: Chosen, once: str) -> Asked:
    """Ask Prefect to go on with those campaigns that nobody is at work on by now."""
    names = sorted({job.campaign for job in found.jobs})
    now = desk.reader.ask(lambda rows: _overviews(rows, names))
    alone = [each.campaign.name for each in now if not each.is_live]
    return go_on(RESUME, alone, once) if alone else Asked("")


def _overviews(rows: Rows, names: Mapping[str, Any] | Sequence[str]) -> list[Overview]:
    return [overview_of(rows, each) for each in campaigns(rows) if each.name in names]


def _words(form: Form) -> RescueWords:
    """Read what is to be changed.

    Raises
    ------
    ConfigError
        A number is none, or a place is none that can be fetched from.
    """
    rung = form.one("rung").strip()
    return RescueWords(
        rung=f"{rung}B" if rung.isdigit() else rung or None,
        disk=form.one("disk").strip() or None,
        time_scale=_factor(form.one("time_scale").strip()),
        priority=_whole(form.one("priority").strip()),
        settings=tuple(form.one("settings").split()),
        input=_place(form.one("input").strip()),
    )


def _place(text: str) -> str | None:
    """Read where inputs are to come from: a path must not depend on the dashboard's folder."""
    if not text:
        return None
    source = parse_uri(text)
    if source.scheme == "file" and not source.location.startswith("/"):
        raise ConfigError("not a whole path", expected="file:/FOLDER", found=repr(text))
    return text


def _factor(text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        expected = f"a number above 0, up to {operating.MOST_TIME_SCALE:g}"
        raise ConfigError("not a factor on the time limits", expected=expected, found=repr(text))
    return value


def _whole(text: str) -> int | None:
    if not text:
        return None
    if not _WHOLE.fullmatch(text):
        raise ConfigError("not a priority", expected="a whole number", found=repr(text))
    return int(text)


def _number(asked: Mapping[str, str], name: str) -> int:
    return _count(asked.get(name, ""))


def _count(text: str) -> int:
    """Return a number of an address; 0 for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0  # noqa: PLR2004


def _sources(found: Chosen) -> list[str]:
    """Return where the campaigns fetch their inputs."""
    plans = (each.plan.get("request", {}) for each in found.campaigns.values())
    return sorted({str(plan["source"]) for plan in plans if "source" in plan})


def _title(found: Chosen, wanted: Selection) -> str:
    number = len(found.jobs)
    datasets = "dataset" if number == 1 else "datasets"
    of = f" of {wanted.campaign}" if wanted.campaign else ""
    return f"Rescue {number:,} {datasets}{of}?" if number else f"Nothing to rescue{of}"
