"""`hstflow campaign clean`: what campaigns left in the work folder, removed."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.markup import escape

from calib.errors import ARCHIVE, DONE, ConfigError
from calib.ledger.campaign_reports import JobSelection
from calib.ledger.location import ledger_url
from calib.ledger.states import STATES
from deployments.cli.campaign.lookup import find_campaign, reading
from deployments.cli.console import (
    Flag,
    Several,
    count_text,
    err,
    expand_names,
    out,
    print_json,
    size_text,
)
from deployments.cli.progress import counted
from deployments.cli.tables import plain_table

if TYPE_CHECKING:
    from calib.stages.leftovers import CleanPlan, Leftover

# Longest table for people; --json has all.
_ROWS = 100

_AGE = re.compile(r"(?P<number>\d{1,6}(\.\d+)?)(?P<unit>[mhdw]?)", re.ASCII)
_SECONDS = {"m": 60, "h": 3_600, "": 86_400, "d": 86_400, "w": 7 * 86_400}

_KINDS = {
    "work": "work folder",
    "bundle": "failure bundle",
    "dask": "scratch of Dask",
    "messages": "message files",
    "logs": "logs of sessions",
    "removed": "half removed",
}


@dataclass(frozen=True)
class Whose:
    """Whose leftovers.

    Attributes
    ----------
    state
        Only of jobs in this state; may be repeated.
    older_than
        Only of jobs that have not changed for so long: 30d, 12h, 2w; a number alone is days.
    instrument
        Only of this instrument; may be repeated.
    """

    state: Several = None
    older_than: str | None = None
    instrument: Several = None


def clean(
    name: str | None = None,
    /,
    *,
    whose: Annotated[Whose | None, Parameter(name="*")] = None,
    messages: Flag = False,
    force: Flag = False,
    yes: Flag = False,
    json: Flag = False,
) -> int:
    """Remove what campaigns left in the work folder. Without --yes only show what would go.

    That is the finished stages and the failure bundles of jobs that are finished or cancelled,
    the logs of sessions that have ended, and the scratch of dead processes of this host. Jobs
    that are to run or at work keep all they have, and published products are never touched.
    What a rescue would go on from stays without --force. It may run beside a campaign. Exit
    code 25 where something could not be removed.

    Examples: `hstflow campaign clean`, `hstflow campaign clean night --older-than 30d --yes`,
    `hstflow campaign clean night --state error --force`.

    Parameters
    ----------
    name
        Only what is left of this campaign.
    whose
        Only some of them.
    messages
        Also the message files of finished jobs.
    force
        Also the unpublished work of jobs that failed or are blocked.
    yes
        Do it.
    json
        Write JSON to stdout.
    """
    from calib.stages.leftovers import Wish, plan_clean
    from tasks.settings import load_settings

    wish = Wish(_selection(name, whose or Whose()), messages, force)
    work = load_settings().work
    with reading() as rows:
        if name is not None:
            find_campaign(rows, name)
        plan = plan_clean(rows, work, wish)
    failed = _remove(plan) if yes else None
    if json:
        print_json(_as_json(plan, failed, str(work)))
    elif failed is None:
        _show_plan(plan)
    else:
        _show_done(plan, failed)
    return ARCHIVE if failed else DONE


def _selection(name: str | None, whose: Whose) -> JobSelection:
    states = tuple(expand_names(whose.state or ()))
    if wrong := [each for each in states if each not in STATES]:
        message = "not a state of a job"
        raise ConfigError(message, expected=", ".join(STATES), found=", ".join(wrong))
    before = None if whose.older_than is None else _before(whose.older_than)
    instruments = tuple(each.lower() for each in expand_names(whose.instrument or ()))
    return JobSelection(name, states, instruments, older_than=before)


def _before(age: str) -> str:
    found = _AGE.fullmatch(age.strip())
    if found is None:
        raise ConfigError("not an age", expected="30d, 12h, 45m or 2w", found=repr(age))
    span = timedelta(seconds=float(found["number"]) * _SECONDS[found["unit"]])
    try:
        return (datetime.now(UTC) - span).isoformat(timespec="microseconds")
    except OverflowError as error:
        raise ConfigError("there is no such time", expected="30d", found=repr(age)) from error


def _remove(plan: CleanPlan) -> list[tuple[Leftover, str]]:
    """Remove what may go; return what could not be, and why."""
    from calib.ledger.ledger import open_ledger
    from calib.stages.leftovers import remove

    with open_ledger(ledger_url(os.environ)) as ledger:
        tries = ((each, remove(each, ledger)) for each in plan.going)
        done = counted(tries, "leftovers", len(plan.going))
        return [(each, why) for each, why in done if why is not None]


def _as_json(
    plan: CleanPlan, failed: Sequence[tuple[Leftover, str]] | None, work: str
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "dry_run": failed is None,
        "work": work,
        "going": [asdict(each) for each in plan.going],
        "staying": [asdict(each) for each in plan.staying],
        "bytes": plan.freed - sum(each.size for each, _ in failed or ()),
    }
    if failed is not None:
        found["failed"] = [{**asdict(each), "why": why} for each, why in failed]
    return found


def _show_plan(plan: CleanPlan) -> None:
    _show([(each, each.why) for each in plan.going], "would go")
    _show([(each, each.why) for each in plan.staying], "stays")
    count = count_text(len(plan.going), "thing")
    said = f"{count}, {size_text(plan.freed)} would go, {len(plan.staying):,} stay"
    out.print(
        f"{said}: --yes does it" if plan.going else f"nothing to do, {len(plan.staying):,} stay"
    )


def _show_done(plan: CleanPlan, failed: Sequence[tuple[Leftover, str]]) -> None:
    _show([(each, each.why) for each in plan.staying], "stays")
    _show(failed, "[red]could not go[/red]")
    count = count_text(len(plan.going) - len(failed), "thing")
    freed = plan.freed - sum(each.size for each, _ in failed)
    stay = len(plan.staying) + len(failed)
    out.print(f"{count} removed, {size_text(freed)} freed; {stay:,} stay")


def _show(found: Sequence[tuple[Leftover, str]], title: str) -> None:
    if not found:
        return
    table = plain_table(title, "kind", "state", "size", "why", right=("size",))
    for each, why in found[:_ROWS]:
        place = f"{each.run}/{each.dataset}" if each.dataset else str(each.paths[0])
        cells = (_KINDS[each.kind], each.state or "", size_text(each.size), escape(why))
        table.add_row(escape(place), *cells)
    out.print(table)
    if len(found) > _ROWS:
        err.print(f"{len(found) - _ROWS:,} more: --json shows all")
