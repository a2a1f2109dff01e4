"""A person's word on a reprocessing: asked with what is known, written into the ledger once."""

from __future__ import annotations

import re
import secrets
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from starlette.requests import Request
from starlette.responses import Response

from calib.errors import ConfigError
from calib.ledger.reports import Rows
from calib.ledger.reprocessing_reports import history, holder, mark_counts
from calib.reprocessing.deciding import Decision, check_decision, may_decide, write_decision
from deployments.dashboard.going_on import REPROCESS, Asked, go_on, has_prefect
from deployments.dashboard.links import Links
from deployments.dashboard.page import Page
from deployments.dashboard.pages.reprocessings import find_one, report_of, trail_of
from deployments.dashboard.reader import Kept

if TYPE_CHECKING:
    from deployments.dashboard.app import Desk
    from deployments.dashboard.forms import Form

# Characters of a note, and of the name of a person, that are kept.
MOST_NOTE = 2_000
_MOST_NAME = 100

# As long as a form's token is good.
_DONE = Kept(12 * 3600.0)

_ONCE = re.compile(r"[0-9a-f]{32}", re.ASCII)


def approve_page(
    rows: Rows,
    links: Links,
    name: str,
    work: str | None,
    token: str,
    problem: str | None = None,
    note: str = "",
) -> Page:
    """Return what would be decided, and the form that decides it.

    Parameters
    ----------
    rows, links, name
        The ledger, where pages are, and which one.
    work
        The work folder, where its difference report is.
    token
        For the form.
    problem, note
        Why a decision was not taken, and the note that came with it.

    Raises
    ------
    NotFound
        There is none of that name.
    """
    one = find_one(rows, name)
    report, missing = report_of(one, work)
    counts = mark_counts(rows, one.id)
    content = {
        "one": one,
        "report": report,
        "missing": missing,
        "verdicts": Counter(each.verdict for each in report.canaries) if report else Counter(),
        "to_run": sum(each.number - each.left_out for each in counts),
        "decisions": may_decide(one),
        "last": history(rows, one.id)[-1:],
        "held_by": holder(rows, one.id),
        "token": token,
        "once": secrets.token_hex(16),
        "problem": problem,
        "note": note,
        "most_note": MOST_NOTE,
        "has_prefect": has_prefect(),
    }
    title = f"Decide on reprocessing {name}"
    return Page("approve.html", title, content, trail_of(links, name), is_live=False)


def answer_approve(desk: Desk, request: Request) -> Response:
    """Show what would be decided."""
    return _show(desk, request)


def act_approve(desk: Desk, request: Request, form: Form) -> Response:
    """Write the decision down, once, however often the form is sent."""
    name = request.path_params["reprocessing"]
    decision, once = form.one("decision"), form.one("once")
    if decision not in {"approved", "rejected"} or not _ONCE.fullmatch(once):
        raise ConfigError("this form is not whole: load its page again")
    key = (desk.settings.ledger, name, form.person, once)
    state = cast("Decision", decision)
    try:
        filters = _DONE.get(key, lambda: _decide(desk, name, state, form))
    except ConfigError as error:  # somebody was first, or it is too late
        return _show(desk, request, str(error), form.one("note")[:MOST_NOTE], code=409)
    return desk.go_to("reprocessing", name, **filters)


def _decide(desk: Desk, name: str, state: Decision, form: Form) -> dict[str, Any]:
    """Write the decision down, as of the state that the person saw."""
    from calib.ledger.ledger import open_ledger
    from calib.ledger.reprocessings import Overtaken

    one = desk.reader.ask(lambda rows: find_one(rows, name))
    seen = form.one("seen")
    if one.state != seen:
        message = f"reprocessing {name} was moved by somebody else meanwhile"
        raise Overtaken(message, expected=seen, found=one.state)
    check_decision(one, state)
    who = f"{form.person[:_MOST_NAME]} in the dashboard"
    note = form.one("note").strip()[:MOST_NOTE] or None
    with open_ledger(desk.settings.ledger) as ledger:
        write_decision(ledger, name, state, who=who, note=note, seen=seen)
    if state != "approved" or not form.one("go_on"):
        return {}
    return _go_on(desk, name, form.one("once")).filters()


def _go_on(desk: Desk, name: str, once: str) -> Asked:
    """Have Prefect run it, unless a process has it that waits for the word."""
    is_held = desk.reader.ask(lambda rows: holder(rows, find_one(rows, name).id)) is not None
    return Asked("") if is_held else go_on(REPROCESS, [name], once)


def _show(
    desk: Desk, request: Request, problem: str | None = None, note: str = "", code: int = 200
) -> Response:
    page = partial(
        approve_page,
        name=request.path_params["reprocessing"],
        work=desk.settings.work,
        token=desk.token(request),
        problem=problem,
        note=note,
    )
    return desk.show_now(page, code)
