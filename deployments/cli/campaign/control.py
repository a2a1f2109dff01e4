"""`hstflow campaign pause` and `cancel`: what an operator wants, written into the ledger."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import Any

from rich.markup import escape

from calib.errors import ConfigError
from calib.ids import parse_dataset
from calib.ledger.campaign_overview import Overview, overview_of
from calib.ledger.campaign_reports import LEFT, FoundJob, JobSelection, find_jobs
from calib.ledger.location import ledger_url
from calib.ledger.states import TRANSITIONS
from deployments.cli.campaign.changing import change_jobs
from deployments.cli.campaign.lookup import planned_campaign, reading
from deployments.cli.console import Flag, count_text, err, expand_names, out, print_json

# States from which a job may be cancelled.
CANCELLABLE = tuple(state for state, targets in TRANSITIONS.items() if "cancelled" in targets)


_REASON = "cancelled by the operator"


def pause(name: str, /, *, json: Flag = False) -> int:
    """Start no more datasets of a campaign; what is at work comes to its end.

    It stays paused, also after a restart, until `hstflow campaign resume NAME`. Pausing what
    is paused, cancelled or at its end changes nothing, and says so.

    Parameters
    ----------
    name
        A campaign.
    json
        Write JSON to stdout.
    """
    before = _overview(name)
    changes = before.campaign.control == "run" and bool(_left(before))
    if changes:
        set_control(name, "pause")
    found = {"campaign": name, "changed": changes, "is_live": before.is_live, **_counts(before)}
    _tell(found, _said_of_pause(before, changed=changes), json=json)
    return 0


def cancel(name: str, /, *datasets: str, json: Flag = False) -> int:
    """Stop a campaign at once, or some of its datasets; programs at work are ended.

    Nothing is asked. What is finished stays; unfinished stages are kept for a rescue.
    Cancelled datasets wait until `hstflow campaign rescue NAME --state cancelled`.

    Parameters
    ----------
    name
        A campaign.
    datasets
        Only these: names, commas or @FILE with one name a line.
    json
        Write JSON to stdout.
    """
    before = _overview(name)
    names = [parse_dataset(word).name for word in expand_names(datasets)]
    jobs = _cancellable(name, names)
    if not names and (jobs or _left(before)):
        set_control(name, "cancel")
    waiting = [job for job in jobs if job.state != "processing"]
    running = [job for job in jobs if job.state == "processing"]
    done = _cancel_jobs([*waiting, *running])
    found = {"campaign": name, "cancelled": done, "is_live": before.is_live}
    found |= {"waiting": len(waiting), "at_work": len(running)}
    _tell(found, _said_of_cancel(found), json=json)
    return 0


def set_control(name: str, control: str) -> None:
    """Write what is wanted of a campaign: ``run``, ``pause`` or ``cancel``."""
    from calib.ledger import campaigns
    from calib.ledger.ledger import open_ledger

    with open_ledger(ledger_url(os.environ)) as ledger:
        ledger.write(lambda connection: campaigns.set_control(connection, name, control))


def _overview(name: str) -> Overview:
    with reading() as rows:
        return overview_of(rows, planned_campaign(rows, name))


def _cancellable(name: str, datasets: Sequence[str]) -> list[FoundJob]:
    """Return the jobs to cancel; names that the campaign does not have are refused."""
    with reading() as rows:
        if datasets:
            known = {job.dataset for job in find_jobs(rows, JobSelection(name, datasets=datasets))}
            refuse_strangers(name, [each for each in datasets if each not in known])
        return find_jobs(rows, JobSelection(name, CANCELLABLE, datasets=datasets))


def refuse_strangers(campaign: str, names: Sequence[str]) -> None:
    """Refuse datasets that a campaign does not have.

    Raises
    ------
    ConfigError
        There are such names; the message has the first ten.
    """
    if names:
        more = f" and {len(names) - 10} more" if len(names) > 10 else ""  # noqa: PLR2004
        found = f"{', '.join(names[:10])}{more}"
        raise ConfigError(f"campaign {campaign} has no such dataset", found=found)


def _cancel_jobs(jobs: Sequence[FoundJob]) -> int:
    """Cancel jobs in the ledger; those that have ended meanwhile stay as they are."""
    if not jobs:
        return 0
    from calib.ledger.campaigns import cancel_jobs

    return change_jobs(jobs, "cancelled", partial(cancel_jobs, reason=_REASON))


def _counts(overview: Overview) -> dict[str, int]:
    at_work = overview.campaign.counts.get("processing", 0)
    return {"waiting": _left(overview) - at_work, "at_work": at_work}


def _left(overview: Overview) -> int:
    return sum(overview.campaign.counts.get(state, 0) for state in LEFT)


def _said_of_pause(before: Overview, *, changed: bool) -> str:
    name, counts = before.campaign.name, _counts(before)
    if not _left(before):
        return f"{name} is {before.state}: there is nothing to pause"
    if before.campaign.control == "cancel":
        return f"{name} is cancelled already"
    words = "" if changed else " already"
    waiting = f"{counts['waiting']:,} waiting"
    if before.is_live:
        return f"{name} pauses{words}: {counts['at_work']:,} at work end first, {waiting}"
    return f"{name} is paused{words}, {waiting}; nobody was at work on it"


def _said_of_cancel(found: dict[str, Any]) -> str:
    if not found["cancelled"]:
        return f"nothing to cancel in {found['campaign']}: no such dataset waits or is at work"
    done = count_text(found["cancelled"], "dataset")
    return f"{done} cancelled: {found['waiting']:,} waited, {found['at_work']:,} were at work"


def _tell(found: dict[str, Any], said: str, *, json: bool) -> None:
    if json:
        print_json(found)
        return
    out.print(escape(said), soft_wrap=True)
    if found.get("cancelled"):
        again = f"hstflow campaign rescue {found['campaign']} --state cancelled"
        err.print(escape(f"  {again}   (takes them up again)"), soft_wrap=True)
