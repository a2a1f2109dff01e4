"""Reprocessings by their names, as people see them, and taken on by this process."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any

from rich.markup import escape
from rich.table import Table

from calib.errors import BESTREFS, DONE, GENERIC, ConfigError
from calib.ledger.campaign_reports import campaigns, failures_of
from calib.ledger.location import ledger_url
from calib.ledger.reports import Rows
from calib.ledger.reprocessing_names import campaigns_of
from calib.ledger.reprocessing_reports import (
    Reprocessing,
    history,
    holder,
    mark_counts,
    reprocessings,
)
from calib.reprocessing.life import (
    WAVES,
    Approval,
    Canaries,
    Result,
    campaign_of_canary,
    campaign_of_wave,
    counts_of,
    next_steps,
    said_of,
)
from deployments.cli.campaign.following import showing
from deployments.cli.campaign.lookup import reading
from deployments.cli.campaign.status import tell_steps
from deployments.cli.console import count_text, err, out, print_json, show_logs
from deployments.cli.tables import cell, plain_table, time_text

_STYLES = {
    "finished": "green",
    "approved": "green",
    "running": "green",
    "review": "yellow",
    "blocked": "yellow",
    "cancelled": "yellow",
    "rejected": "red",
}

# States in which nothing is run: no server and no runner is needed to say so.
RESTING = frozenset({"review", "finished", "rejected", "cancelled"})


@dataclass(frozen=True)
class Standing:
    """A reprocessing as it is told.

    Attributes
    ----------
    one
        The reprocessing.
    marked, left_out
        How many datasets it marks, and how many of them it leaves out.
    instruments
        How many it marks of each instrument.
    counts
        Datasets of its waves by state.
    canaries
        Those of the canaries.
    held_by
        The process that has it.
    """

    one: Reprocessing
    marked: int
    left_out: int
    instruments: Mapping[str, int]
    counts: Mapping[str, int]
    canaries: Mapping[str, int]
    held_by: str | None

    @property
    def steps(self) -> list[str]:
        """What may be done next."""
        return next_steps(self.one, is_held=self.held_by is not None)


@dataclass(frozen=True)
class TakeFlags:
    """How to take a reprocessing on, and what is shown meanwhile."""

    approval: Approval = "ask"
    json: bool = False
    verbose: bool = False
    quiet: bool = False


def find_reprocessing(rows: Rows, name: str) -> Reprocessing:
    """Return the reprocessing of a name.

    Raises
    ------
    ConfigError
        There is none; the message has the names that are near, or how one is planned.
    """
    found = next(iter(reprocessings(rows, name)), None)
    if found is None:
        names = [each.name for each in reprocessings(rows, is_light=True)]
        near = get_close_matches(name, names, n=3, cutoff=0.5)
        expected = " or ".join(near) or f"hstflow campaign plan {shlex.quote(name)} ... before"
        raise ConfigError("there is no such reprocessing", expected=expected, found=name)
    return found


def standing_of(rows: Rows, one: Reprocessing) -> Standing:
    """Read what is told about a reprocessing."""
    marked = mark_counts(rows, one.id)
    instruments: dict[str, int] = {}
    for each in marked:
        instruments[each.instrument] = instruments.get(each.instrument, 0) + each.number
    canary = next(iter(campaigns(rows, campaign_of_canary(one.name))), None)
    owner = holder(rows, one.id)
    return Standing(
        one=one,
        marked=sum(each.number for each in marked),
        left_out=sum(each.left_out for each in marked),
        instruments=instruments,
        counts=counts_of(rows, one),
        canaries={} if canary is None else dict(canary.counts),
        held_by=None if owner is None else str(owner),
    )


def standing_json(found: Standing) -> dict[str, Any]:
    """Return a reprocessing for programs.

    Its plan holds addresses, and its graph may be large: they stay in the ledger.
    """
    content = asdict(found)
    one = content.pop("one")
    del one["plan"]
    one["foresight"].pop("graph", None)
    return {**one, **content, "next": found.steps}


def reprocessings_table(found: Sequence[Standing]) -> Table:
    """Return one line for each reprocessing."""
    columns = ("reprocessing", "state", "marked", "left out")
    right = ("marked", "left out")
    titles = (*columns, "datasets", "context", "since (UTC)", "why")
    table = plain_table(*titles, right=right, whole=columns)
    for each in found:
        one = each.one
        table.add_row(
            escape(one.name),
            state_text(one.state),
            f"{each.marked:,}",
            f"{each.left_out:,}",
            said_of(each.counts) if each.counts else "",
            change_of(one),
            time_text(one.updated_at),
            cell(one.reason),
        )
    return table


def show_standing(found: Standing, steps: bool = True) -> None:
    """Say how a reprocessing stands."""
    one = found.one
    who = f", in the hands of {escape(found.held_by)}" if found.held_by else ""
    out.print(
        f"[bold]{escape(one.name)}[/bold] {state_text(one.state)}{who}, {change_of(one)}",
        soft_wrap=True,
    )
    _line("why", one.reason)
    marked = ", ".join(f"{name} {number:,}" for name, number in found.instruments.items())
    left = f"; {found.left_out:,} left out" if found.left_out else ""
    _line("marked", f"{count_text(found.marked, 'dataset')} ({marked}){left}" if marked else "none")
    _line("canaries", said_of(found.canaries) if found.canaries else None)
    _line("datasets", said_of(found.counts) if found.counts else None)
    _line("report", one.report)
    if steps:
        tell_steps(found.steps)


def show_history(rows: Rows, one: Reprocessing) -> None:
    """Say what happened to it, and who said so."""
    table = plain_table("time (UTC)", "became", "who", "why", whole=("time (UTC)", "became"))
    for step in history(rows, one.id):
        table.add_row(
            time_text(step.at), state_text(step.to_state), cell(step.who), cell(step.note)
        )
    out.print(table)


def change_of(one: Reprocessing) -> str:
    """Return from which context to which."""
    return f"{one.old_context} to {one.new_context}" if one.old_context else one.new_context


def state_text(state: str) -> str:
    """Return the state of a reprocessing in its colour."""
    style = _STYLES.get(state)
    return f"[{style}]{state}[/{style}]" if style else state


def take_on(name: str, flags: TakeFlags, canaries: Canaries | None = None) -> Result:
    """Take a reprocessing on in this process, as far as it goes.

    Parameters
    ----------
    name, flags
        The reprocessing, and how.
    canaries
        Refuse one that is approved already; with names, these run first.

    Raises
    ------
    ConfigError
        Its runner is none, or a campaign of it cannot run.
    Unavailable
        Another process has it; the Prefect server or the scheduler does not answer.
    """
    ledger = ledger_url(os.environ)
    with reading() as rows:
        one = find_reprocessing(rows, name)
    show_logs(verbose=flags.verbose, quiet=flags.quiet or flags.json)
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "INFO" if flags.verbose else "WARNING")
    is_moved = canaries is not None and canaries.names is not None
    if one.state not in RESTING or flags.approval != "ask" or is_moved:
        blocked = _get_ready(one, ledger)
        if blocked is not None:
            return blocked
    with err.status("starting"):
        from flows.reprocessing_session import run_reprocessing
    with showing(ledger, *campaigns_of(name), quiet=flags.quiet):
        return run_reprocessing(name, ledger, approval=flags.approval, canaries=canaries)


def _get_ready(one: Reprocessing, ledger: str) -> Result | None:
    """Refuse a runner that cannot work, and start a private server where there is none.

    Nothing is started for what has to wait for references.
    """
    import json

    from deployments.cli.campaign.session import check_runner, start_server

    check_runner(str(json.loads(one.plan).get("runner", "local")))
    with err.status("looking for rules and references"):
        from flows.reprocessing_guard import blocked_at_once

        blocked = blocked_at_once(one.name, ledger)
    if blocked is not None:
        return blocked
    with err.status("starting the Prefect server"):
        start_server()
    return None


def tell_result(name: str, result: Result, flags: TakeFlags) -> int:
    """Say how far a reprocessing came and what comes next; return the exit code."""
    with reading() as rows:
        found = standing_of(rows, find_reprocessing(rows, name))
        code = exit_code(rows, found.one, result.outcome)
    if flags.json:
        told = {"outcome": result.outcome, "message": result.message}
        print_json({**standing_json(found), **told})
    elif not flags.quiet:
        show_standing(found)
    return code


def exit_code(rows: Rows, one: Reprocessing, outcome: str) -> int:
    """Return the exit code of a reprocessing.

    Returns
    -------
    int
        0 where it is finished, or waits for a person; 27 where it waits for references; where
        datasets failed the code of the most frequent error; else 1.
    """
    if outcome in {"finished", "review", "approved"}:
        return DONE
    if outcome == "blocked":
        return BESTREFS
    if outcome != "failed":
        return GENERIC
    codes: dict[int, int] = {}
    for wave in WAVES:
        for campaign in campaigns(rows, campaign_of_wave(one.name, wave)):
            for each in failures_of(rows, campaign.id):
                if each.state == "error" and each.code:
                    codes[each.code] = codes.get(each.code, 0) + each.number
    return max(codes, key=lambda code: codes[code]) if codes else GENERIC


def _line(title: str, text: str | None) -> None:
    if text:
        out.print(f"  {title:9} {escape(text)}", soft_wrap=True)
