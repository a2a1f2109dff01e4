"""What reprocessings wait for before they may go on."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import timedelta
from functools import partial

from calib.errors import HstflowError
from calib.ledger.campaign_reports import JobSelection, find_jobs
from calib.ledger.ledger import Ledger
from calib.ledger.reports import Rows
from calib.ledger.reprocessing_names import campaigns_of
from calib.ledger.reprocessing_reports import Reprocessing, reprocessings
from calib.records import from_json
from calib.references.problems import awaited_in
from calib.references.profile import CrdsProfile
from calib.reprocessing.awaited import awaited_references
from calib.reprocessing.guard import what_is_missing
from calib.reprocessing.waves import runnable
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.planning import Request

# Takes profile, context and references; says what is missing: what_is_missing.
Guard = Callable[[CrdsProfile, str, Iterable[str]], str | None]

# References between two looks at the clock: most have 10 to 200 MB, so these take some minutes
# on a slow line.
_AT_ONCE = 16

_WIDTH = 300  # of what is wrong with one of them


def awaited_by_blocked(ledger: Ledger, *, limit: timedelta) -> Iterator[tuple[str, str | None]]:
    """Try to bring what blocked reprocessings wait for, one after the other.

    Parameters
    ----------
    ledger
        What there is.
    limit
        After how long nothing more is begun: what is left comes in a later look.

    Yields
    ------
    tuple of str and (str or None)
        Name of a reprocessing, and what it still waits for, or why that cannot be told. None:
        all that it needs, and all that its jobs named, is in the cache now.
    """
    end = time.monotonic() + limit.total_seconds()
    for one in ledger.ask(reprocessings):
        if one.state == "blocked":
            yield one.name, _tried(ledger, one, end)


def awaited_by(ledger: Ledger, one: Reprocessing, guard: Guard = what_is_missing) -> str | None:
    """Try to bring what a reprocessing needs; return what is still missing, and why.

    None: it may go on.
    """
    request = from_json(CampaignPlan, one.plan).request
    names = ledger.ask(partial(_names, one=one, request=request))
    return guard(request.profile, one.new_context, names)


def _tried(ledger: Ledger, one: Reprocessing, end: float) -> str | None:
    if time.monotonic() > end:
        return f"not looked at this time: the others took long ({one.reason})"
    try:
        return awaited_by(ledger, one, partial(_in_parts, end=end))
    except (HstflowError, OSError, ValueError) as error:  # of this one: the others go on
        text = textwrap.shorten(f"{type(error).__name__}: {error}", _WIDTH, placeholder=" ...")
        return f"what it waits for cannot be told: {text}"


def _in_parts(
    profile: CrdsProfile, context: str, wanted: Iterable[str], *, end: float
) -> str | None:
    """Bring some references after others, until the time is over."""
    names = sorted(wanted)
    for first in range(0, len(names) or 1, _AT_ONCE):
        if first and time.monotonic() > end:
            return f"{first} of {len(names)} references are there, the next look brings others"
        some = names[first : first + _AT_ONCE]
        if (why := what_is_missing(profile, context, some)) is not None:
            return why
    return None


def _names(rows: Rows, one: Reprocessing, request: Request) -> set[str]:
    todo, own = runnable(rows, one), request.options.references
    needed = awaited_references(request.profile, one.new_context, todo, rows, own)
    return needed | _named_by_jobs(rows, one.name, {mark.dataset for mark in todo}, own)


def _named_by_jobs(
    rows: Rows, name: str, datasets: Collection[str], own: Collection[str]
) -> set[str]:
    """Return what its blocked jobs wait for: a file that did not change may be gone as well."""
    given = {keyword.upper() for keyword in own}
    found: dict[str, str] = {}
    for campaign in campaigns_of(name):
        for job in find_jobs(rows, JobSelection(campaign, states=("blocked",))):
            if job.dataset in datasets:
                found |= awaited_in(job.reason or "")
    return {each for each, keyword in found.items() if keyword.upper() not in given}
