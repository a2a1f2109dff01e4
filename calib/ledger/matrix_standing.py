"""How a campaign stands: jobs by state and instrument, by error and stage. Portable SQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from calib.ledger.reports import Rows
from calib.ledger.states import STATES

STAGES = ("fetch", "bestrefs", "calibrate", "preview", "archive", "state-message")


@dataclass(frozen=True)
class Group:
    """Jobs of a campaign in one state, of one instrument."""

    state: str
    instrument: str
    number: int


@dataclass(frozen=True)
class FailedGroup:
    """Jobs of a campaign that ended with one error, at one stage; None where it is not known."""

    state: str
    error_class: str
    code: int | None
    stage: str | None
    number: int


@dataclass(frozen=True)
class Standing:
    """How a campaign stands: what its filters offer.

    Attributes
    ----------
    groups, failed
        Jobs by state and instrument; those that ended without a result, by error and stage.
    at_work
        Numbers of the jobs that are at each stage now.
    """

    groups: tuple[Group, ...]
    failed: tuple[FailedGroup, ...]
    at_work: Mapping[str, tuple[int, ...]]

    @property
    def total(self) -> int:
        """How many jobs there are."""
        return sum(each.number for each in self.groups)

    def states(self) -> dict[str, int]:
        """Return jobs by state, in the order of their lives."""
        found = _sums((each.state, each.number) for each in self.groups)
        return {state: found[state] for state in STATES if state in found}

    def instruments(self) -> dict[str, int]:
        """Return jobs by instrument."""
        return dict(sorted(_sums((each.instrument, each.number) for each in self.groups).items()))

    def errors(self) -> dict[str, int]:
        """Return jobs by class of error, the most first."""
        found = _sums((each.error_class, each.number) for each in self.failed)
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def codes(self) -> dict[int, int]:
        """Return jobs by exit code."""
        known = ((each.code, each.number) for each in self.failed if each.code is not None)
        return dict(sorted(_sums(known).items()))

    def failed_at(self) -> dict[str, int]:
        """Return jobs by the stage at which they ended without a result; without zeros."""
        known = [(each.stage, each.number) for each in self.failed if each.stage is not None]
        found = _sums(known)
        return {stage: found[stage] for stage in STAGES if stage in found}


_GROUPS = """
SELECT state, instrument, COUNT(*) AS number FROM job WHERE campaign_id = :campaign_id
GROUP BY state, instrument
"""

_FAILED = """
SELECT state, error_class, code, failed_stage AS stage, COUNT(*) AS number
FROM job WHERE campaign_id = :campaign_id AND error_class IS NOT NULL
GROUP BY error_class, code, failed_stage, state
"""

_AT_WORK = """
SELECT job.id AS id, stage_run.stage AS stage
FROM job JOIN attempt ON attempt.job_id = job.id AND attempt.number = job.attempts
  JOIN stage_run ON stage_run.id = (
    SELECT MAX(latest.id) FROM stage_run AS latest WHERE latest.attempt_id = attempt.id
  )
WHERE job.campaign_id = :campaign_id AND job.state = 'processing'
ORDER BY job.id
"""

SUMS = (_GROUPS, _FAILED, _AT_WORK)


def standing_of(rows: Rows, campaign_id: int) -> Standing:
    """Return how a campaign stands; it reads two indexes from end to end."""
    which = {"campaign_id": campaign_id}
    stages: dict[str, list[int]] = {}
    for row in rows(_AT_WORK, which):
        stages.setdefault(row["stage"], []).append(int(row["id"]))
    return Standing(
        groups=tuple(Group(**row) for row in rows(_GROUPS, which)),
        failed=tuple(FailedGroup(**row) for row in rows(_FAILED, which)),
        at_work={stage: tuple(stages[stage]) for stage in STAGES if stage in stages},
    )


def _sums(pairs: Iterable[tuple[Any, int]]) -> dict[Any, int]:
    found: dict[Any, int] = {}
    for key, number in pairs:
        found[key] = found.get(key, 0) + int(number)
    return found
