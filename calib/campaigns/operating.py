"""What an operator does to the datasets of campaigns: rescue, pause, cancel.

The command line and the dashboard both do it through here, so that both follow the same rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from calib.errors import ConfigError
from calib.ledger.campaign_overview import Overview, jobs_in
from calib.ledger.campaign_reports import LEFT, Campaign, FoundJob, campaigns
from calib.ledger.reports import Rows
from calib.ledger.states import TRANSITIONS

if TYPE_CHECKING:
    from calib.ledger.campaigns import Changes
    from calib.ledger.ledger import Ledger

# States from which a job may be cancelled.
CANCELLABLE = tuple(state for state, targets in TRANSITIONS.items() if "cancelled" in targets)

# Jobs of one transaction: others get in between, and an interrupt loses little.
_AT_ONCE = 2_000

# A hundred times the time limit is months: more is a typing mistake.
MOST_TIME_SCALE = 100.0

Show = Callable[[int, int], None]


@dataclass(frozen=True)
class RescueWords:
    """What is to be changed of datasets that are rescued, as a person says it.

    Attributes
    ----------
    rung, disk
        Sizes, GB or with a unit; None: as it was.
    time_scale, priority
        Numbers; None: as it was.
    settings
        ``KEYWORD=VALUE`` or ``step.parameter=VALUE``.
    input
        INPUT_URI to fetch from instead of the campaign's; None: as it was.
    """

    rung: str | None = None
    disk: str | None = None
    time_scale: float | None = None
    priority: int | None = None
    settings: tuple[str, ...] = ()
    input: str | None = None


def changes_of(chosen: Iterable[Campaign], words: RescueWords) -> Changes:
    """Read what is to be changed of datasets that are rescued.

    Parameters
    ----------
    chosen
        The campaigns that have the datasets.
    words
        What a person said.

    Raises
    ------
    ConfigError
        A rung is not one of each campaign's, or a size, factor, setting or URI cannot be used.
    """
    from calib.campaigns.job_overrides import parse_words
    from calib.campaigns.rungs import parse_size
    from calib.ledger.campaigns import Changes

    memory = None if words.rung is None else parse_size(words.rung)
    if memory is not None:
        _check_rung(chosen, memory)
    _check_time(words.time_scale)
    places = [] if words.input is None else [f"input={words.input}"]
    own = parse_words([*places, *(f"set={each}" for each in words.settings)])
    return Changes(
        memory=memory,
        disk=None if words.disk is None else parse_size(words.disk),
        time_scale=words.time_scale,
        priority=words.priority,
        overrides=own.record() or None,
    )


def campaigns_of(
    rows: Rows, jobs: Sequence[FoundJob], name: str | None = None
) -> dict[str, Campaign]:
    """Return the campaigns of jobs by name, and the one that was named.

    Those that nobody submitted are left out: there is nobody to go on with them.
    """
    wanted = {job.campaign for job in jobs} | ({name} if name else set())
    return {each.name: each for each in campaigns(rows) if each.name in wanted and each.plan}


def change_jobs(
    ledger: Ledger,
    jobs: Sequence[FoundJob],
    change: Callable[..., int],
    show: Show | None = None,
) -> int:
    """Change jobs in the ledger, some at a time, and return how many were.

    Parameters
    ----------
    ledger, jobs
        Which, and where.
    change
        Changes, on a connection, the jobs of some `numbers` in one transaction, and tells how
        many it changed: one that another process has changed meanwhile may stay as it is.
    show
        Told how many of how many are done.
    """
    changed = 0
    for first in range(0, len(jobs), _AT_ONCE):
        some = [job.id for job in jobs[first : first + _AT_ONCE]]
        changed += ledger.write(partial(change, numbers=some))
        if show is not None:
            show(changed, len(jobs))
    return changed


def rescue(
    ledger: Ledger,
    jobs: Sequence[FoundJob],
    changes: Changes,
    reason: str,
    show: Show | None = None,
) -> int:
    """Submit jobs again, and return how many were.

    Only those in error, blocked or cancelled: what was rescued, or taken up, meanwhile stays.
    """
    from calib.ledger.campaigns import rescue_jobs

    return change_jobs(ledger, jobs, partial(rescue_jobs, reason=reason, changes=changes), show)


def cancel(ledger: Ledger, jobs: Sequence[FoundJob], reason: str, show: Show | None = None) -> int:
    """Cancel jobs that wait or are at work, and return how many were; the others stay."""
    from calib.ledger.campaigns import cancel_jobs

    return change_jobs(ledger, jobs, partial(cancel_jobs, reason=reason), show)


def in_order_of_cancelling(jobs: Sequence[FoundJob]) -> list[FoundJob]:
    """Return jobs with those at work last: what waits must not take their places."""
    return sorted(jobs, key=lambda job: job.state == "processing")


def may_pause(overview: Overview) -> bool:
    """Tell whether pausing a campaign changes anything."""
    return overview.campaign.control == "run" and left_in(overview) > 0


def left_in(overview: Overview) -> int:
    """Return how many datasets of a campaign wait or are at work."""
    return jobs_in(overview.campaign, LEFT)


def _check_rung(chosen: Iterable[Campaign], memory: int) -> None:
    from calib.campaigns.rungs import check_rung

    for campaign in chosen:
        try:
            check_rung(memory, campaign.plan.get("rungs", ()))
        except ConfigError as error:
            raise ConfigError(f"campaign {campaign.name}: {error}") from None


def _check_time(scale: float | None) -> None:
    if scale is not None and not 0 < scale <= MOST_TIME_SCALE:
        expected = f"a number above 0, up to {MOST_TIME_SCALE:g}"
        raise ConfigError("the time limits cannot be scaled so", expected=expected, found=scale)
