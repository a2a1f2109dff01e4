"""`hstflow campaign pause` and `cancel`: what an operator wants, written into the ledger."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from rich.markup import escape

from calib.campaigns import operating
from calib.campaigns.operating import CANCELLABLE, left_in
from calib.errors import ConfigError
from calib.ids import parse_dataset
from calib.ledger.campaign_overview import Overview, overview_of
from calib.ledger.campaign_reports import FoundJob, JobSelection, campaigns, find_jobs
from calib.ledger.location import ledger_url
from calib.ledger.reprocessing_names import campaigns_of
from calib.ledger.reprocessing_reports import Reprocessing, holder, reprocessings
from calib.ledger.reprocessing_states import ENDED
from calib.reprocessing.people import this_person
from deployments.cli.campaign.changing import changing
from deployments.cli.campaign.lookup import planned_campaign, reading
from deployments.cli.console import Flag, count_text, err, expand_names, out, print_json

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
    changes = operating.may_pause(before)
    if changes:
        set_control(name, "pause")
    found = {"campaign": name, "changed": changes, "is_live": before.is_live, **_counts(before)}
    _tell(found, _said_of_pause(before, changed=changes), json=json)
    return 0


def cancel(name: str, /, *datasets: str, json: Flag = False) -> int:
    """Stop a campaign at once, or some of its datasets; programs at work are ended.

    Nothing is asked. What is finished stays; unfinished stages are kept for a rescue.
    Cancelled datasets wait until `hstflow campaign rescue NAME --state cancelled`.

    Of a reprocessing all that it runs is cancelled, and itself, whether or not something of it
    has begun; `hstflow campaign reprocess NAME --again` takes it up again.

    Parameters
    ----------
    name
        A campaign or a reprocessing.
    datasets
        Only these: names, commas or @FILE with one name a line.
    json
        Write JSON to stdout.
    """
    names = [parse_dataset(word).name for word in expand_names(datasets)]
    if not names and (one := _reprocessing(name)) is not None:
        return _cancel_reprocessing(one, json=json)
    before = _overview(name)
    jobs = _cancellable(name, names)
    if not names and (jobs or left_in(before)):
        set_control(name, "cancel")
    at_work = sum(job.state == "processing" for job in jobs)
    done = _cancel_jobs(operating.in_order_of_cancelling(jobs))
    found = {"campaign": name, "cancelled": done, "is_live": before.is_live}
    found |= {"waiting": len(jobs) - at_work, "at_work": at_work}
    _tell(found, _said_of_cancel(found), json=json)
    return 0


def _reprocessing(name: str) -> Reprocessing | None:
    """Return the reprocessing of a name; None where it is over and has campaigns to cancel."""
    with reading() as rows:
        one = next(iter(reprocessings(rows, name)), None)
        is_over = one is not None and one.state in ENDED
        return None if is_over and campaigns(rows, name) else one


def _cancel_reprocessing(one: Reprocessing, *, json: bool) -> int:
    """Cancel a reprocessing and what runs of it: itself first, so that no wave follows."""
    was = one.state
    if was not in ENDED:
        _end_reprocessing(one.name)
    with reading() as rows:
        mine = [each for name in campaigns_of(one.name) for each in campaigns(rows, name)]
        live = holder(rows, one.id) is not None
        jobs = {each.name: find_jobs(rows, JobSelection(each.name, CANCELLABLE)) for each in mine}
    for name in (name for name, its in jobs.items() if its):
        set_control(name, "cancel")
    every = [job for its in jobs.values() for job in its]
    at_work = sum(job.state == "processing" for job in every)
    found = {"campaign": one.name, "is_live": live}
    found["cancelled"] = _cancel_jobs(operating.in_order_of_cancelling(every))
    state = was if was in ENDED else "cancelled"
    found |= {"waiting": len(every) - at_work, "at_work": at_work, "reprocessing": state}
    if json:
        print_json(found)
    elif was in ENDED:
        out.print(f"{escape(one.name)} is {was}: there is nothing to cancel", soft_wrap=True)
    else:
        _tell_cancelled(found)
    return 0


def _tell_cancelled(found: dict[str, Any]) -> None:
    name = found["campaign"]
    done = f"; {_said_of_cancel(found)}" if found["cancelled"] else ""
    out.print(f"reprocessing {escape(name)} is cancelled{done}", soft_wrap=True)
    again = f"hstflow campaign reprocess {name} --again"
    err.print(escape(f"  {again}   (takes it up again)"), soft_wrap=True)


def _end_reprocessing(name: str) -> None:
    from calib.ledger.ledger import open_ledger
    from calib.ledger.reprocessings import advance

    with open_ledger(ledger_url(os.environ)) as ledger:
        who = this_person()
        ledger.write(lambda c: advance(c, name, "cancelled", who=who, note=_REASON))


def set_control(name: str, control: str) -> None:
    """Write what is wanted of a campaign: ``run``, ``pause`` or ``cancel``."""
    from calib.ledger import campaigns as writing
    from calib.ledger.ledger import open_ledger

    with open_ledger(ledger_url(os.environ)) as ledger:
        ledger.write(lambda connection: writing.set_control(connection, name, control))


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
    with changing("cancelled") as (ledger, show):
        return operating.cancel(ledger, jobs, _REASON, show)


def _counts(overview: Overview) -> dict[str, int]:
    at_work = overview.campaign.counts.get("processing", 0)
    return {"waiting": left_in(overview) - at_work, "at_work": at_work}


def _said_of_pause(before: Overview, *, changed: bool) -> str:
    name, counts = before.campaign.name, _counts(before)
    if not left_in(before):
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
