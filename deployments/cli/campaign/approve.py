"""`hstflow campaign approve`: a person's word on a reprocessing."""

from __future__ import annotations

import os
import sys
from typing import Literal

from rich.markup import escape
from rich.prompt import Prompt

from calib.errors import DONE, ConfigError
from calib.ledger.location import ledger_url
from calib.ledger.reprocessing_reports import Reprocessing
from calib.reprocessing.people import this_person
from deployments.cli.campaign.lookup import reading
from deployments.cli.campaign.reprocessings import (
    find_reprocessing,
    show_standing,
    standing_json,
    standing_of,
)
from deployments.cli.campaign.status import tell_steps
from deployments.cli.console import Flag, err, out, print_json

Decision = Literal["approved", "rejected"]


def approve(
    name: str,
    /,
    *,
    reject: Flag = False,
    note: str | None = None,
    without_canary: Flag = False,
    yes: Flag = False,
    json: Flag = False,
) -> int:
    """Approve a reprocessing whose difference report was read, or reject it.

    Who decided, when and why stays in the ledger. A process that waits for the word goes on, and
    so does a flow run that is paused for it; otherwise `hstflow campaign reprocess NAME` runs it.
    What is rejected stays rejected: its canaries are never shown to readers. On a terminal it
    asks once more, after the numbers and the path of the report.

    Parameters
    ----------
    name
        A reprocessing.
    reject
        It must not run.
    note
        Why.
    without_canary
        Approve it though no canary has run and nobody could read a report.
    yes
        Do not ask once more.
    json
        Write JSON to stdout.
    """
    state: Decision = "rejected" if reject else "approved"
    with reading() as rows:
        found = standing_of(rows, find_reprocessing(rows, name))
    _check(found.one, state, without_canary=without_canary)
    if not json:
        show_standing(found, steps=False)
    if not (yes or json) and not _is_sure(state):
        out.print("nothing is decided")
        return DONE
    decide(name, state, note)
    with reading() as rows:
        now = standing_of(rows, find_reprocessing(rows, name))
    if json:
        print_json(standing_json(now))
    else:
        out.print(f"{escape(name)} is {state}, says {escape(this_person())}", soft_wrap=True)
        tell_steps(now.steps)
    return DONE


def decide(name: str, state: Decision, note: str | None) -> None:
    """Write a decision into the ledger, with who said so.

    Raises
    ------
    ConfigError
        It is too late, or too early, for that.
    """
    from calib.ledger.ledger import open_ledger
    from calib.ledger.reprocessings import advance

    with open_ledger(ledger_url(os.environ)) as ledger:
        ledger.write(lambda c: advance(c, name, state, who=this_person(), note=note))


def ask_on_terminal() -> Decision | None:
    """Ask for a decision; None: later."""
    try:
        answer = Prompt.ask("Run it?", choices=["yes", "reject", "later"], console=err)
    except EOFError:
        return None
    decisions: dict[str, Decision] = {"yes": "approved", "reject": "rejected"}
    return decisions.get(answer)


def _check(one: Reprocessing, state: Decision, *, without_canary: bool) -> None:
    from calib.ledger.reprocessing_states import check_transition

    if one.state == state:
        raise ConfigError(f"it is {state} already", found=one.reason or one.name)
    if state == "approved" and one.state in {"planned", "blocked"} and not without_canary:
        raise ConfigError(
            "no canary has run, so there is no report to read",
            expected=f"hstflow campaign canary {one.name}, or --without-canary",
            found=one.state,
        )
    check_transition(one.state, state, name=one.name)


def _is_sure(state: Decision) -> bool:
    """Ask once more where a person sits at a terminal; elsewhere the command is the word."""
    if not (sys.stdin.isatty() and err.is_terminal):
        return True
    verb = "Approve" if state == "approved" else "Reject"
    try:
        return Prompt.ask(f"{verb} it?", choices=["yes", "no"], console=err) == "yes"
    except EOFError:
        return False
