"""Questions about campaigns, as portable SQL that runs on any connection.

No SQLAlchemy: `hstflow campaign status` answers at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from calib.ledger.owners import Owner, why_dead
from calib.ledger.reports import Rows
from calib.ledger.states import FINISHED, STATES

# States of a job that a campaign still has to bring to an end by itself.
LEFT = ("planned", "submitted", "processing")


@dataclass(frozen=True)
class CampaignSession:
    """A process at work on a campaign, or that was; `dead` says why it is taken for dead."""

    id: int
    host: str
    pid: int
    process_started: float
    token: str
    flow_run: str | None
    started_at: str
    heartbeat_at: str
    ended_at: str | None
    outcome: str | None
    message: str | None

    @property
    def is_live(self) -> bool:
        """Whether it is at work, as far as can be told from here."""
        return self.ended_at is None and self.death is None

    @property
    def death(self) -> str | None:
        """Why it is taken for dead; None while it may live."""
        owner = Owner(self.host, self.pid, self.process_started, self.token)
        return why_dead(owner, self.heartbeat_at)


@dataclass(frozen=True)
class Campaign:
    """A campaign as it is now.

    Attributes
    ----------
    id, name, context, priority, control, created_at
        As in the ledger; `control` is ``run``, ``pause`` or ``cancel``.
    plan
        How to go on with it; empty for one that nobody planned.
    session
        The last process that worked on it.
    counts
        Jobs by state, in the order of their lives, without zeros.
    """

    id: int
    name: str
    context: str | None
    priority: int
    control: str
    created_at: str
    plan: Mapping[str, Any]
    session: CampaignSession | None
    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        """How many jobs it has."""
        return sum(self.counts.values())

    @property
    def finished(self) -> int:
        """How many of them need nothing more."""
        return sum(number for state, number in self.counts.items() if state in FINISHED)


@dataclass(frozen=True)
class LeftJob:
    """A job that a campaign still has to run, with what was decided for it."""

    id: int
    dataset: str
    run: str
    state: str
    priority: int
    memory: int | None
    disk: int | None
    time_scale: float
    attempts: int
    overrides: Mapping[str, Any] = field(default_factory=dict)
    retries: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class JobSelection:
    """Which jobs an operator means; what is empty or None is any.

    Attributes
    ----------
    campaign, states, instruments, datasets
        Names.
    error_class, code
        What they ended with.
    older_than
        Last change before this moment, ISO 8601, UTC.
    """

    campaign: str | None = None
    states: Sequence[str] = ()
    instruments: Sequence[str] = ()
    datasets: Sequence[str] = ()
    error_class: str | None = None
    code: int | None = None
    older_than: str | None = None


_CAMPAIGNS = """
SELECT campaign.id AS id, campaign.name AS name, campaign.context AS context,
  campaign.priority AS priority, campaign.control AS control,
  campaign.created_at AS created_at, campaign.plan AS plan
FROM campaign
WHERE CAST(:name AS VARCHAR) IS NULL OR campaign.name = CAST(:name AS VARCHAR)
ORDER BY campaign.id
"""

_SESSIONS = """
SELECT campaign_session.id AS id, host, pid, process_started, token, flow_run, started_at,
  heartbeat_at, ended_at, outcome, message
FROM campaign_session WHERE campaign_id = :campaign_id ORDER BY campaign_session.id
"""

_COUNTS = """
SELECT state, COUNT(*) AS number FROM job WHERE campaign_id = :campaign_id GROUP BY state
"""

_CHUNKS = """
SELECT job.chunk AS chunk, COUNT(*) AS number
FROM job WHERE job.campaign_id = :campaign_id AND job.chunk IS NOT NULL
  AND job.state IN ('planned', 'submitted', 'processing')
GROUP BY job.chunk ORDER BY MAX(job.priority) DESC, job.chunk
"""

_LEFT = """
SELECT job.id AS id, job.dataset AS dataset, job.run AS run, job.state AS state,
  job.priority AS priority, job.memory AS memory, job.disk AS disk,
  job.time_scale AS time_scale, job.attempts AS attempts, job.overrides AS overrides,
  job.retries AS retries
FROM job WHERE job.campaign_id = :campaign_id AND job.chunk = :chunk
  AND job.state IN ('planned', 'submitted', 'processing')
ORDER BY job.priority DESC, job.position
"""


def campaigns(rows: Rows, name: str | None = None) -> list[Campaign]:
    """Return all campaigns, or the one of a name, the oldest first."""
    return [_campaign(rows, row) for row in rows(_CAMPAIGNS, {"name": name})]


def sessions_of(rows: Rows, campaign_id: int) -> list[CampaignSession]:
    """Return the processes that worked on a campaign, the first first."""
    return [CampaignSession(**row) for row in rows(_SESSIONS, {"campaign_id": campaign_id})]


def chunks_left(rows: Rows, campaign_id: int) -> dict[int, int]:
    """Return how many jobs each chunk has left, the most urgent first, without zeros."""
    found = rows(_CHUNKS, {"campaign_id": campaign_id})
    return {int(row["chunk"]): int(row["number"]) for row in found}


def jobs_left(rows: Rows, campaign_id: int, chunk: int) -> list[LeftJob]:
    """Return the jobs of a chunk that are not at an end, the most urgent first."""
    found = rows(_LEFT, {"campaign_id": campaign_id, "chunk": chunk})
    return [_left(row) for row in found]


def _campaign(rows: Rows, row: dict[str, Any]) -> Campaign:
    sessions = sessions_of(rows, row["id"])
    found = rows(_COUNTS, {"campaign_id": row["id"]})
    numbers = {each["state"]: int(each["number"]) for each in found}
    return Campaign(
        **{**row, "plan": json.loads(row["plan"] or "{}")},
        session=sessions[-1] if sessions else None,
        counts={state: numbers[state] for state in STATES if state in numbers},
    )


def _left(row: dict[str, Any]) -> LeftJob:
    read = {name: json.loads(row[name] or "{}") for name in ("overrides", "retries")}
    return LeftJob(**{**row, **read})
