"""Questions about campaigns, as portable SQL that runs on any connection.

No SQLAlchemy: `hstflow campaign status` answers at once.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from calib.ledger.owners import Owner, why_dead
from calib.ledger.reports import Rows
from calib.ledger.states import FINISHED, STATES

# States of a job that a campaign still has to bring to an end by itself.
LEFT = ("planned", "submitted", "processing")

# States in which a job rests that somebody may want to rescue, the worst first.
UNFINISHED = ("error", "blocked", "cancelled")

# Names of one query: SQLite takes 32,766 parameters (SQLITE_MAX_VARIABLE_NUMBER since 3.32).
_NAMES_AT_ONCE = 5_000


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


@dataclass(frozen=True)
class FoundJob:
    """A job as an operator sees it in a list; `memory` is what it is granted next, bytes."""

    id: int
    campaign: str
    dataset: str
    instrument: str
    run: str
    state: str
    attempts: int
    error_class: str | None
    code: int | None
    reason: str | None
    memory: int | None
    time_scale: float
    priority: int
    updated_at: str


@dataclass(frozen=True)
class Failure:
    """Jobs that rest in one state with one error; `dataset` and `reason` are of the first."""

    state: str
    error_class: str | None
    code: int | None
    number: int
    dataset: str
    reason: str | None


@dataclass(frozen=True)
class AtWork:
    """A job that is being processed; `stage` is None before the first stage has begun."""

    dataset: str
    instrument: str
    attempt: int
    memory: int | None
    host: str
    pid: int
    started_at: str
    heartbeat_at: str
    stage: str | None
    stage_started_at: str | None


_CAMPAIGNS = """
SELECT campaign.id AS id, campaign.name AS name, campaign.context AS context,
  campaign.priority AS priority, campaign.control AS control,
  campaign.created_at AS created_at, campaign.plan AS plan
FROM campaign
WHERE CAST(:name AS VARCHAR) IS NULL OR campaign.name = CAST(:name AS VARCHAR)
ORDER BY campaign.id
"""

_CONTROL = "SELECT control FROM campaign WHERE name = :name"

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

_FIND = """
SELECT job.id AS id, campaign.name AS campaign, job.dataset AS dataset,
  job.instrument AS instrument, job.run AS run, job.state AS state, job.attempts AS attempts,
  job.error_class AS error_class, job.code AS code, job.reason AS reason, job.memory AS memory,
  job.time_scale AS time_scale, job.priority AS priority, job.updated_at AS updated_at
FROM job JOIN campaign ON campaign.id = job.campaign_id
"""

_FAILURES = """
SELECT failed.state AS state, failed.error_class AS error_class, failed.code AS code,
  failed.number AS number, job.dataset AS dataset, job.reason AS reason
FROM (
  SELECT state, error_class, code, COUNT(*) AS number, MIN(id) AS first
  FROM job WHERE campaign_id = :campaign_id AND state IN ('error', 'blocked', 'cancelled')
  GROUP BY state, error_class, code
) AS failed JOIN job ON job.id = failed.first
ORDER BY failed.number DESC, failed.first
"""

_AT_WORK = """
SELECT job.dataset AS dataset, job.instrument AS instrument, attempt.number AS attempt,
  attempt.memory AS memory, attempt.host AS host, attempt.pid AS pid,
  attempt.started_at AS started_at, attempt.heartbeat_at AS heartbeat_at,
  stage_run.stage AS stage, stage_run.started_at AS stage_started_at
FROM job JOIN attempt ON attempt.job_id = job.id AND attempt.number = job.attempts
  LEFT JOIN stage_run ON stage_run.id = (
    SELECT MAX(latest.id) FROM stage_run AS latest WHERE latest.attempt_id = attempt.id
  )
WHERE job.campaign_id = :campaign_id AND job.state = 'processing'
ORDER BY attempt.started_at, job.id
"""

_BY_INSTRUMENT = """
SELECT instrument, state, COUNT(*) AS number FROM job WHERE campaign_id = :campaign_id
GROUP BY instrument, state ORDER BY instrument
"""

# The sign keeps the database from the index on campaign and state: few jobs changed lately.
_ENDED_SINCE = """
SELECT COUNT(*) AS number FROM job WHERE updated_at >= :since AND +campaign_id = :campaign_id
  AND state NOT IN ('planned', 'submitted', 'processing', 'cancelled') AND attempts > 0
"""

# Those that read all jobs of a campaign, and have few rows to answer with.
SUMS = (_COUNTS, _FAILURES)


def campaigns(rows: Rows, name: str | None = None) -> list[Campaign]:
    """Return all campaigns, or the one of a name, the oldest first."""
    return [_campaign(rows, row) for row in rows(_CAMPAIGNS, {"name": name})]


def control_of(rows: Rows, name: str) -> str:
    """Return what the operator wants of a campaign that is there, and nothing else of it."""
    return str(rows(_CONTROL, {"name": name})[0]["control"])


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


def find_jobs(rows: Rows, selection: JobSelection, limit: int | None = None) -> list[FoundJob]:
    """Return the jobs that an operator means, in the order in which they were entered.

    Parameters
    ----------
    selection
        Which ones; an empty selection means all of them.
    limit
        How many at most; None: all.
    """
    names = selection.datasets
    found: list[FoundJob] = []
    for first in range(0, len(names) or 1, _NAMES_AT_ONCE):
        part = replace(selection, datasets=names[first : first + _NAMES_AT_ONCE])
        found += _find(rows, part, limit)
    return sorted(found, key=lambda job: job.id)[:limit]


def failures_of(rows: Rows, campaign_id: int) -> list[Failure]:
    """Return what failed, is blocked or was cancelled, by error, the most frequent first."""
    found = rows(_FAILURES, {"campaign_id": campaign_id})
    return [Failure(**{**row, "number": int(row["number"])}) for row in found]


def errors_by_class(rows: Rows, campaign_id: int) -> dict[str, int]:
    """Return how many jobs of a campaign ended in each class of error, the most first."""
    counts: Counter[str] = Counter()
    for failure in failures_of(rows, campaign_id):
        if failure.state == "error":
            counts[str(failure.error_class)] += failure.number
    return dict(counts.most_common())


def at_work(rows: Rows, campaign_id: int) -> list[AtWork]:
    """Return the jobs that are being processed, the longest at work first."""
    return [AtWork(**row) for row in rows(_AT_WORK, {"campaign_id": campaign_id})]


def count_by_instrument(rows: Rows, campaign_id: int) -> dict[str, dict[str, int]]:
    """Return how many jobs of each instrument are in each state, without zeros."""
    counts: dict[str, dict[str, int]] = {}
    for row in rows(_BY_INSTRUMENT, {"campaign_id": campaign_id}):
        counts.setdefault(row["instrument"], {})[row["state"]] = int(row["number"])
    return {name: _in_order(numbers) for name, numbers in counts.items()}


def ended_lately(rows: Rows, campaign_id: int, span: timedelta) -> int:
    """Return how many jobs somebody worked on came to their end within this time from now."""
    since = (datetime.now(UTC) - span).isoformat(timespec="microseconds")
    found = rows(_ENDED_SINCE, {"campaign_id": campaign_id, "since": since})
    return int(found[0]["number"])


def _find(rows: Rows, selection: JobSelection, limit: int | None) -> list[FoundJob]:
    wanted: dict[str, Sequence[Any]] = {
        "campaign.name =": _one(selection.campaign),
        "job.state": selection.states,
        "job.instrument": selection.instruments,
        "job.dataset": selection.datasets,
        "job.error_class =": _one(selection.error_class),
        "job.code =": _one(selection.code),
        "job.updated_at <": _one(selection.older_than),
    }
    query = _FIND
    parameters: dict[str, Any] = {}
    for number, (test, values) in enumerate((t, v) for t, v in wanted.items() if v):
        named = {f"p{number}_{place}": value for place, value in enumerate(values)}
        places = ", ".join(f":{name}" for name in named)
        query += "AND " if parameters else "WHERE "
        query += f"{test} {places}\n" if test[-1] in "=<" else f"{test} IN ({places})\n"
        parameters |= named
    query += "ORDER BY job.id" + ("" if limit is None else " LIMIT :number")
    found = rows(query, parameters if limit is None else {**parameters, "number": limit})
    return [FoundJob(**row) for row in found]


def _one(value: Any) -> Sequence[Any]:
    return () if value is None else (value,)


def _in_order(numbers: Mapping[str, int]) -> dict[str, int]:
    return {state: numbers[state] for state in STATES if state in numbers}


def _campaign(rows: Rows, row: dict[str, Any]) -> Campaign:
    sessions = sessions_of(rows, row["id"])
    found = rows(_COUNTS, {"campaign_id": row["id"]})
    numbers = {each["state"]: int(each["number"]) for each in found}
    return Campaign(
        **{**row, "plan": json.loads(row["plan"] or "{}")},
        session=sessions[-1] if sessions else None,
        counts=_in_order(numbers),
    )


def _left(row: dict[str, Any]) -> LeftJob:
    read = {name: json.loads(row[name] or "{}") for name in ("overrides", "retries")}
    return LeftJob(**{**row, **read})
