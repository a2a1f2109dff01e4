"""Pause, go on with, or cancel a campaign: asked first, then written into the ledger."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from calib.campaigns import operating
from calib.campaigns.operating import CANCELLABLE, left_in, may_pause
from calib.errors import ConfigError
from calib.ledger.campaign_overview import Overview, overview_of
from calib.ledger.campaign_reports import JobSelection, find_jobs
from calib.ledger.reports import Rows
from calib.ledger.reprocessing_names import campaigns_of
from calib.ledger.reprocessing_reports import reprocessings
from calib.ledger.reprocessing_states import ENDED
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

if TYPE_CHECKING:
    from calib.ledger.ledger import Ledger
    from deployments.dashboard.app import Desk
    from deployments.dashboard.forms import Form

TITLES: Mapping[str, str] = {
    "pause": "Pause {}?",
    "resume": "Go on with {}?",
    "cancel": "Cancel {}?",
}


def control_page(rows: Rows, links: Links, name: str, wish: str, token: str) -> Page:
    """Return what a wish would change, and the form that says it.

    Raises
    ------
    NotFound
        There is no such campaign.
    ConfigError
        It was not submitted, so that nobody runs it by its plan.
    """
    found = _planned(rows, name)
    content = {
        "overview": found,
        "wish": wish,
        "token": token,
        "once": secrets.token_hex(16),
        "refusal": refusal_of(rows, found, wish),
        "left": left_in(found),
        "has_prefect": has_prefect(),
    }
    title = TITLES[wish].format(name)
    return Page("control.html", title, content, trail_of(links, name), is_live=False)


def controlled_page(rows: Rows, links: Links, name: str, wish: str, asked: Asked) -> Page:
    """Return how a campaign stands after a wish."""
    found = _planned(rows, name)
    content = {
        "overview": found,
        "wish": wish,
        "left": left_in(found),
        "asked": asked,
        "asked_words": WORDS.get(asked.word, ""),
    }
    return Page("controlled.html", f"{name} is {found.state}", content, trail_of(links, name))


def refusal_of(rows: Rows, found: Overview, wish: str) -> str | None:
    """Say why a wish cannot be done here; None: it can."""
    name = found.campaign.name
    if wish == "resume":
        if found.state == "running":
            return f"{name} is running already."
        return None if left_in(found) else f"Nothing is left of {name}: rescue what failed."
    if wish == "pause":
        return None if may_pause(found) else f"{name} is {found.state}: there is nothing to pause."
    owner = _reprocessing_of(rows, name)
    if owner is not None:
        return (
            f"{name} belongs to the reprocessing {owner}, which would go on: "
            f"hstflow campaign cancel {owner} cancels all of it."
        )
    return None if left_in(found) else f"{name} is {found.state}: nothing waits or is at work."


def answer_control(desk: Desk, request: Request) -> Response:
    """Ask once more, or show what came of it."""
    name = request.path_params["campaign"]
    asked = request.query_params
    wish = _wish(asked.get("wish", ""))
    if asked.get("done"):
        went = read_asked(asked.get("went", ""), asked.getlist("run"))
        return desk.show(request, partial(controlled_page, name=name, wish=wish, asked=went))
    token = desk.token(request)
    return desk.show_now(partial(control_page, name=name, wish=wish, token=token))


def act_control(desk: Desk, request: Request, form: Form) -> Response:
    """Do what was asked; what is so already stays so."""
    from calib.ledger.ledger import open_ledger

    name, wish = request.path_params["campaign"], _wish(form.one("wish"))
    before, refusal = desk.reader.ask(partial(_look, name=name, wish=wish))
    asked = Asked("")
    if refusal is None:
        with open_ledger(desk.settings.ledger) as ledger:
            asked = _ACTS[wish](ledger, before, form)
    return desk.go_to("control", name, wish=wish, done="yes", **asked.filters())


def _pause(ledger: Ledger, before: Overview, _form: Form) -> Asked:
    _set(ledger, before, "pause")
    return Asked("")


def _cancel(ledger: Ledger, before: Overview, form: Form) -> Asked:
    """Cancel what is left: the campaign first, so that nothing begins meanwhile."""
    name = before.campaign.name
    _set(ledger, before, "cancel")
    jobs = ledger.ask(lambda rows: find_jobs(rows, JobSelection(name, CANCELLABLE)))
    reason = f"cancelled by {form.person} in the dashboard"
    operating.cancel(ledger, operating.in_order_of_cancelling(jobs), reason)
    return Asked("")


def _resume(ledger: Ledger, before: Overview, form: Form) -> Asked:
    """Have somebody go on; the campaign stays at rest where nobody could be asked."""
    if before.is_live:
        _set(ledger, before, "run")
        return Asked("")
    return go_on(RESUME, [before.campaign.name], form.one("once"))


def _set(ledger: Ledger, before: Overview, control: str) -> None:
    from calib.ledger.campaigns import set_control

    ledger.write(lambda connection: set_control(connection, before.campaign.name, control))


_ACTS: Mapping[str, Callable[[Ledger, Overview, Form], Asked]] = {
    "pause": _pause,
    "resume": _resume,
    "cancel": _cancel,
}


def _look(rows: Rows, name: str, wish: str) -> tuple[Overview, str | None]:
    found = _planned(rows, name)
    return found, refusal_of(rows, found, wish)


def _planned(rows: Rows, name: str) -> Overview:
    found = find_campaign(rows, name)
    if not found.plan:
        message = "this is no campaign that was submitted: `hstflow process` runs its datasets"
        raise ConfigError(message, found=name)
    return overview_of(rows, found)


def _reprocessing_of(rows: Rows, name: str) -> str | None:
    """Return the reprocessing that runs a campaign, where it goes on by itself."""
    found = reprocessings(rows, is_light=True)
    mine = (each for each in found if each.state not in ENDED)
    return next((each.name for each in mine if name in campaigns_of(each.name)), None)


def _wish(text: str) -> str:
    if text not in TITLES:
        raise ConfigError("not a wish", expected=", ".join(TITLES), found=repr(text))
    return text
