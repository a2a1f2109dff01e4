"""What became of datasets that somebody rescued: a question to the ledger.

No SQLAlchemy. The history has a row for each; rows are only ever added, so that two numbers say
which ones are of one rescue.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from calib.ledger.reports import Rows

_LAST = "SELECT MAX(id) AS last FROM transition"

_FROM = """
FROM transition JOIN job ON job.id = transition.job_id
  JOIN campaign ON campaign.id = job.campaign_id
WHERE transition.id > :after AND transition.id <= :upto AND transition.to_state = 'submitted'
  AND transition.reason = :reason
"""

_COUNTS = (
    "SELECT campaign.name AS campaign, job.state AS state, COUNT(*) AS number"
    + _FROM
    + "GROUP BY campaign.name, job.state ORDER BY campaign.name, job.state"
)

_FIRST = (
    "SELECT campaign.name AS campaign, job.dataset AS dataset, job.state AS state,\n"
    "  job.reason AS reason, job.memory AS memory, job.time_scale AS time_scale"
    + _FROM
    + "ORDER BY transition.id LIMIT :most"
)


@dataclass(frozen=True)
class Rescue:
    """A rescue: rows of the history after one number and up to another, with one reason."""

    after: int
    upto: int
    reason: str

    def parameters(self) -> Mapping[str, int | str]:
        """Return it for a question."""
        return {"after": self.after, "upto": self.upto, "reason": self.reason}


@dataclass(frozen=True)
class RescuedJob:
    """A dataset that was rescued, as it is now; `memory` is what it is granted next, bytes."""

    campaign: str
    dataset: str
    state: str
    reason: str | None
    memory: int | None
    time_scale: float


def last_change(rows: Rows) -> int:
    """Return the number of the last row of the history; 0: it is empty."""
    return int(rows(_LAST, {})[0]["last"] or 0)


def rescued_counts(rows: Rows, rescue: Rescue) -> dict[str, dict[str, int]]:
    """Return how many of the rescued datasets of each campaign are in which state now."""
    found: dict[str, dict[str, int]] = {}
    for row in rows(_COUNTS, rescue.parameters()):
        found.setdefault(row["campaign"], {})[row["state"]] = int(row["number"])
    return found


def rescued_jobs(rows: Rows, rescue: Rescue, most: int) -> list[RescuedJob]:
    """Return the first rescued datasets, as they are now."""
    return [RescuedJob(**row) for row in rows(_FIRST, {**rescue.parameters(), "most": most})]
