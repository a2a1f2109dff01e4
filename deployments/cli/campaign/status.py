"""`hstflow campaign status`: all campaigns, or one; it reads the ledger and nothing else."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter, validators
from rich.markup import escape

from calib.campaigns.remedies import next_steps
from calib.ledger.campaign_overview import Overview, overview_of
from calib.ledger.campaign_reports import FoundJob, JobSelection, campaigns, find_jobs
from calib.ledger.location import hide_credentials, ledger_url
from calib.ledger.reading import open_reader
from calib.ledger.reports import Rows
from calib.ledger.reprocessing_names import campaigns_of
from calib.ledger.reprocessing_reports import reprocessings
from deployments.cli.campaign.lookup import find_campaign, reading
from deployments.cli.campaign.show import (
    Story,
    campaigns_table,
    jobs_table,
    overview_json,
    story_json,
    story_of,
    story_view,
)
from deployments.cli.console import Flag, Several, err, expand_names, out, print_json
from deployments.cli.status import State

if TYPE_CHECKING:
    from deployments.cli.campaign.reprocessings import Standing

Number = Annotated[
    int | None, Parameter(name=["--number", "-n"], validator=validators.Number(gte=1))
]

# Jobs that are listed where nobody says how many.
_JOBS = 20


def status(
    name: str | None = None,
    /,
    *,
    state: Annotated[list[State] | None, Parameter(negative=())] = None,
    class_: Annotated[str | None, Parameter(name="--class")] = None,
    instrument: Several = None,
    number: Number = None,
    json: Flag = False,
) -> int:
    """Show all campaigns and reprocessings, or how one stands: counts, what is at work, failures.

    For example: `hstflow campaign status spring`, or with its datasets that found no input:
    `hstflow campaign status spring --class NotFound -n 100`.

    Parameters
    ----------
    name
        A campaign or a reprocessing. Without a name: one line for each; options are about the
        datasets of all.
    state
        List its datasets in this state; may be repeated.
    class_
        List its datasets that ended with this error: OutOfMemory, TimedOut, CorruptFile...
    instrument
        List its datasets of acs, wfc3, cos or stis; may be repeated, commas are allowed.
    number
        List so many datasets at most, 20 by default.
    json
        Write JSON to stdout; without -n it has all datasets that were asked for.
    """
    instruments = tuple(expand_names(instrument or ()))
    selection = JobSelection(name, tuple(state or ()), instruments, error_class=class_)
    wants_jobs = selection != JobSelection(name) or number is not None
    if name is None and not wants_jobs:
        return _all(json=json)
    with reading() as rows:
        if name is not None and not wants_jobs and _tell_reprocessing(rows, name, json=json):
            return 0
        found = None if name is None else find_campaign(rows, name)
        limit = number or (None if json else _JOBS)
        jobs = find_jobs(rows, selection, limit) if wants_jobs else None
        story = None if found is None else story_of(rows, found)
    if json:
        shown = {} if story is None else story_json(story)
        print_json(shown | ({} if jobs is None else {"jobs": [*map(asdict, jobs)]}))
    else:
        _print(story, jobs)
    return 0


def _tell_reprocessing(rows: Rows, name: str, *, json: bool) -> bool:
    """Tell a reprocessing with its campaigns; False where there is none of this name."""
    from deployments.cli.campaign.reprocessings import (
        show_history,
        show_standing,
        standing_json,
        standing_of,
    )

    one = next(iter(reprocessings(rows, name)), None)
    if one is None:
        return False
    names = campaigns_of(name)
    mine = [each for found in names for each in campaigns(rows, found)]
    stories = [story_of(rows, each) for each in mine]
    standing = standing_of(rows, one)
    if json:
        told = [story_json(each) for each in stories]
        print_json({"reprocessing": standing_json(standing), "campaigns": told})
        return True
    show_standing(standing, steps=False)
    show_history(rows, one)
    for story in stories:
        out.print()
        out.print(story_view(story))
    failed = [step for each in stories for step in next_steps(each.campaign.name, each.failures)]
    tell_steps([*failed, *standing.steps])
    return True


def _print(story: Story | None, jobs: list[FoundJob] | None) -> None:
    if story is not None:
        out.print(story_view(story))
    if story is not None and jobs is not None:
        out.print()
    if jobs is not None:
        out.print(jobs_table(jobs) if jobs else "no dataset is like that")
    elif story is not None and not story.overview.is_live:
        tell_steps(next_steps(story.campaign.name, story.failures))


def tell_steps(steps: list[str]) -> None:
    """Say on stderr what may be done next."""
    for step in steps:
        err.print(f"  {escape(step)}", soft_wrap=True)


def _all(*, json: bool) -> int:
    from deployments.cli.campaign.reprocessings import reprocessings_table, standing_json

    url = ledger_url(os.environ)
    with open_reader(url) as rows:
        found = [] if rows is None else _overviews(rows)
        planned = [] if rows is None else _standings(rows, is_light=not json)
    if json:
        shown: dict[str, Any] = {"ledger": hide_credentials(url), "exists": rows is not None}
        shown |= {"campaigns": [overview_json(each) for each in found]}
        print_json({**shown, "reprocessings": [standing_json(each) for each in planned]})
    elif found or planned:
        if planned:
            out.print(reprocessings_table(planned))
        if found and planned:
            out.print()
        if found:
            out.print(campaigns_table(found))
    else:
        out.print("no campaign yet: `hstflow campaign submit NAME @FILE` begins one")
    return 0


def _standings(rows: Rows, *, is_light: bool) -> list[Standing]:
    from deployments.cli.campaign.reprocessings import standing_of

    return [standing_of(rows, each) for each in reprocessings(rows, is_light=is_light)]


def _overviews(rows: Rows) -> list[Overview]:
    return [overview_of(rows, each) for each in campaigns(rows)]
