"""Datasets whose error may have passed, submitted again: after hours, and not for ever.

Within a session the retry table (:mod:`calib.campaigns.retries`) tries again after seconds or
minutes. What is left when it gives up rests in an error; this looks at it hours later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from calib.campaigns.operating import rescue
from calib.campaigns.retries import classes_of
from calib.errors import HstflowError
from calib.ledger.campaign_reports import Campaign, FoundJob, JobSelection, campaigns, find_jobs
from calib.ledger.reports import Rows
from calib.references.problems import awaited_in
from calib.references.readiness import find_reference

if TYPE_CHECKING:
    from calib.ledger.ledger import Ledger
    from calib.references.profile import CrdsProfile

# What the history says of each try; tries are counted by it.
REASON = "tried again: the error may have passed"

# Errors that may pass by themselves. Those of the retry table that are followed by the same
# again; a reference that was awaited; and a worker that was lost on the last rung: the machine
# may have gone down, or its neighbours may have had the memory.
TRANSIENT = (*classes_of("again"), "ReferenceUnavailable", "WorkerLost")

# Jobs of one question: SQLite takes 32,766 parameters.
_AT_ONCE = 5_000

_HISTORY = """
SELECT job_id, at, from_state, to_state, reason FROM transition
WHERE job_id IN ({numbers}) ORDER BY job_id, id
"""

# Submitted by us, and not taken up since: the run that should have done it came to nothing.
_LEFT_BEHIND = """
SELECT DISTINCT campaign.name AS name FROM job
  JOIN campaign ON campaign.id = job.campaign_id
  JOIN transition ON transition.id = (
    SELECT MAX(latest.id) FROM transition AS latest WHERE latest.job_id = job.id
  )
WHERE job.state = 'submitted' AND transition.reason = :reason
"""


@dataclass(frozen=True)
class Bounds:
    """How long, and how often.

    Attributes
    ----------
    tries
        How often a dataset is submitted again since a person last did.
    settle
        How long an error must have rested.
    age
        How long ago its first error may be, since a person last submitted it.
    """

    tries: int
    settle: timedelta
    age: timedelta


@dataclass(frozen=True)
class Left:
    """A job that is not submitted again, and why."""

    job: FoundJob
    why: str


@dataclass(frozen=True)
class Choice:
    """What is submitted again, what is not, and the campaigns concerned."""

    jobs: tuple[FoundJob, ...]
    left: tuple[Left, ...]


def choose(rows: Rows, bounds: Bounds, profiles: Mapping[str, CrdsProfile | str]) -> Choice:
    """Return the datasets whose error may have passed.

    Those of campaigns that a person paused or cancelled, and of `hstflow process`, are not
    looked at.

    Parameters
    ----------
    bounds
        How often and how long.
    profiles
        How each campaign reaches CRDS: where a reference is looked for that was awaited. Or
        why that is not known: its datasets are left.
    """
    found = [job for job in _resting(rows) if job.campaign in profiles]
    history = _history(rows, [job.id for job in found])
    chosen: list[FoundJob] = []
    left: list[Left] = []
    for job in found:
        profile = profiles[job.campaign]
        steps = history.get(job.id, ())
        why = profile if isinstance(profile, str) else _why_not(job, steps, bounds, profile)
        if why is None:
            chosen.append(job)
        else:
            left.append(Left(job, why))
    return Choice(tuple(chosen), tuple(left))


def open_campaigns(rows: Rows) -> dict[str, Campaign]:
    """Return the campaigns that were submitted, and that nobody paused or cancelled."""
    return {each.name: each for each in campaigns(rows) if each.plan and each.control == "run"}


def submit_again(ledger: Ledger, jobs: Sequence[FoundJob]) -> int:
    """Submit jobs again, and return how many were."""
    from calib.ledger.campaigns import Changes

    return rescue(ledger, jobs, Changes(), REASON)


def left_behind(rows: Rows) -> set[str]:
    """Return the campaigns with datasets that were submitted again and that nobody took up."""
    return {row["name"] for row in rows(_LEFT_BEHIND, {"reason": REASON})}


def _resting(rows: Rows) -> Iterator[FoundJob]:
    for each in TRANSIENT:
        yield from find_jobs(rows, JobSelection(states=("error", "blocked"), error_class=each))


def _history(rows: Rows, numbers: Sequence[int]) -> dict[int, list[Mapping[str, str]]]:
    """Return what happened to jobs since a person last submitted them."""
    found: dict[int, list[Mapping[str, str]]] = {}
    for first in range(0, len(numbers), _AT_ONCE):
        some = {f"n{i}": each for i, each in enumerate(numbers[first : first + _AT_ONCE])}
        query = _HISTORY.format(numbers=", ".join(f":{name}" for name in some))
        for row in rows(query, some):
            steps = found.setdefault(int(row["job_id"]), [])
            if _is_by_a_person(row):
                steps.clear()
            steps.append(row)
    return found


def _is_by_a_person(row: Mapping[str, str]) -> bool:
    rests = row["from_state"] in {"error", "blocked", "cancelled"}
    return rests and row["to_state"] == "submitted" and row["reason"] != REASON


def _why_not(
    job: FoundJob, steps: Iterable[Mapping[str, str]], bounds: Bounds, profile: CrdsProfile
) -> str | None:
    steps = list(steps)
    tries = sum(step["reason"] == REASON for step in steps)
    failures = [step["at"] for step in steps if step["to_state"] in {"error", "blocked"}]
    now = datetime.now(UTC)
    if tries >= bounds.tries:
        return f"tried again {tries} times"
    if failures and now - datetime.fromisoformat(failures[0]) > bounds.age:
        return f"failing since {failures[0][:10]}"
    if now - datetime.fromisoformat(job.updated_at) < bounds.settle:
        return f"failed only at {job.updated_at[11:16]}"
    return _still_awaited(job, profile) if job.state == "blocked" else None


def _still_awaited(job: FoundJob, profile: CrdsProfile) -> str | None:
    """Return which references have not come; where none is named, a try will tell."""
    try:
        missing = [
            name for name in awaited_in(job.reason or "") if find_reference(profile, name) is None
        ]
    except HstflowError as error:
        return str(error)
    return f"still waits for {', '.join(sorted(missing))}" if missing else None
