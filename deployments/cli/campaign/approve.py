"""`hstflow campaign approve`: a person's word on a reprocessing."""

from __future__ import annotations

import os
import sys

from rich.markup import escape
from rich.prompt import Prompt

from calib.errors import DONE
from calib.ledger.location import ledger_url
from calib.reprocessing.deciding import Decision, check_decision
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
    check_decision(found.one, state, without_canary=without_canary)
    if not json:
        show_standing(found, steps=False)
    if not (yes or json) and not _is_sure(state):
        out.print("nothing is decided")
        return DONE
    decide(name, state, note, found.one.state)
    with reading() as rows:
        now = standing_of(rows, find_reprocessing(rows, name))
    if json:
        print_json(standing_json(now))
    else:
        out.print(f"{escape(name)} is {state}, says {escape(this_person())}", soft_wrap=True)
        tell_steps(now.steps)
    return DONE


def decide(name: str, state: Decision, note: str | None, seen: str | None = None) -> None:
    """Write a decision into the ledger, with who said so.

    Raises
    ------
    ConfigError
        It is too late, or too early, for that.
    """
    from calib.ledger.ledger import open_ledger
    from calib.reprocessing.deciding import write_decision

    with open_ledger(ledger_url(os.environ)) as ledger:
        write_decision(ledger, name, state, who=this_person(), note=note, seen=seen)


def ask_on_terminal() -> Decision | None:
    """Ask for a decision; None: later."""
    try:
        answer = Prompt.ask("Run it?", choices=["yes", "reject", "later"], console=err)
    except EOFError:
        return None
    decisions: dict[str, Decision] = {"yes": "approved", "reject": "rejected"}
    return decisions.get(answer)


def _is_sure(state: Decision) -> bool:
    """Ask once more where a person sits at a terminal; elsewhere the command is the word."""
    if not (sys.stdin.isatty() and err.is_terminal):
        return True
    verb = "Approve" if state == "approved" else "Reject"
    try:
        return Prompt.ask(f"{verb} it?", choices=["yes", "no"], console=err) == "yes"
    except EOFError:
        return False
