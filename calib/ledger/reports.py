"""Questions to the ledger, as portable SQL that runs on any connection.

A question takes a function that runs one SELECT and returns its rows as dictionaries: the
standard library's sqlite3 (``hstflow status``: no SQLAlchemy to import) and SQLAlchemy both
read ``:name`` as a parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from calib.ledger.states import STATES

Rows = Callable[[str, Mapping[str, Any]], list[dict[str, Any]]]


@dataclass(frozen=True)
class JobSummary:
    """A job as it is now.

    Attributes
    ----------
    id
        Number in the ledger.
    campaign, dataset, instrument, run, context
        What was asked for.
    state, reason
        Where it stands, and why.
    stage
        The stage that its last attempt reached; None before the first.
    attempts
        How many were begun.
    error_class, code
        The error it ended with, if any, and the exit code.
    uri
        Where its products are; None before publication.
    created_at, updated_at
        First entry and last change, ISO 8601, UTC.
    """

    id: int
    campaign: str
    dataset: str
    instrument: str
    run: str
    context: str
    state: str
    reason: str | None
    stage: str | None
    attempts: int
    error_class: str | None
    code: int | None
    uri: str | None
    created_at: str
    updated_at: str


@dataclass(frozen=True)
class StageRun:
    """One stage of one attempt; times ISO 8601, seconds, bytes, None where not known."""

    attempt: int
    stage: str
    state: str
    started_at: str
    ended_at: str | None
    wall: float | None
    cpu: float | None
    peak_rss: int | None
    bytes_in: int | None
    bytes_out: int | None
    error: str | None


@dataclass(frozen=True)
class Change:
    """One change of a job's state; `from_state` is None for its first entry."""

    job_id: int
    campaign: str
    run: str
    at: str
    from_state: str | None
    to_state: str
    attempt: int | None
    reason: str | None


# A parameter that may be NULL needs its type named (PostgreSQL).
_COUNTS = """
SELECT job.state AS state, COUNT(*) AS number
FROM job JOIN campaign ON campaign.id = job.campaign_id
WHERE CAST(:campaign AS VARCHAR) IS NULL OR campaign.name = CAST(:campaign AS VARCHAR)
GROUP BY job.state
"""

_JOBS = """
SELECT job.id AS id, campaign.name AS campaign, job.dataset AS dataset,
  job.instrument AS instrument, job.run AS run, job.context AS context, job.state AS state,
  job.reason AS reason,
  (SELECT stage_run.stage FROM stage_run JOIN attempt ON attempt.id = stage_run.attempt_id
   WHERE attempt.job_id = job.id ORDER BY stage_run.id DESC LIMIT 1) AS stage,
  job.attempts AS attempts, job.error_class AS error_class, job.code AS code, job.uri AS uri,
  job.created_at AS created_at, job.updated_at AS updated_at
FROM job JOIN campaign ON campaign.id = job.campaign_id
"""

_RECENT = (
    _JOBS
    + """
WHERE (CAST(:campaign AS VARCHAR) IS NULL OR campaign.name = CAST(:campaign AS VARCHAR))
  AND (CAST(:state AS VARCHAR) IS NULL OR job.state = CAST(:state AS VARCHAR))
ORDER BY job.updated_at DESC, job.id DESC LIMIT :number
"""
)

_OF_DATASET = (
    _JOBS
    + """
WHERE job.dataset = :dataset
  AND (CAST(:campaign AS VARCHAR) IS NULL OR campaign.name = CAST(:campaign AS VARCHAR))
ORDER BY job.id
"""
)

_STAGES = """
SELECT attempt.number AS attempt, stage_run.stage AS stage, stage_run.state AS state,
  stage_run.started_at AS started_at, stage_run.ended_at AS ended_at, stage_run.wall AS wall,
  stage_run.cpu AS cpu, stage_run.peak_rss AS peak_rss, stage_run.bytes_in AS bytes_in,
  stage_run.bytes_out AS bytes_out, stage_run.error AS error
FROM stage_run JOIN attempt ON attempt.id = stage_run.attempt_id
WHERE attempt.job_id = :job_id AND attempt.number >= :first
ORDER BY stage_run.id
"""

_HISTORY = """
SELECT transition.job_id AS job_id, campaign.name AS campaign, job.run AS run,
  transition.at AS at, transition.from_state AS from_state, transition.to_state AS to_state,
  attempt.number AS attempt, transition.reason AS reason
FROM transition JOIN job ON job.id = transition.job_id
  JOIN campaign ON campaign.id = job.campaign_id
  LEFT JOIN attempt ON attempt.id = transition.attempt_id
WHERE job.dataset = :dataset
ORDER BY transition.id
"""

_CURRENT = """
SELECT run.name AS run FROM current_run JOIN run ON run.id = current_run.run_id
WHERE current_run.dataset = :dataset
"""

_IN_STATE = """
SELECT job.dataset AS dataset, job.state AS state
FROM job JOIN campaign ON campaign.id = job.campaign_id
WHERE campaign.name = :campaign ORDER BY job.id
"""

_LAST_REFERENCES = """
SELECT used.exposure AS exposure, used.keyword AS keyword, used.name AS name,
  used.required AS required
FROM reference_used AS used WHERE used.attempt_id = (
  SELECT MAX(attempt.id) FROM attempt JOIN job ON job.id = attempt.job_id
  JOIN reference_used ON reference_used.attempt_id = attempt.id
  WHERE job.dataset = :dataset AND job.context = :context
) ORDER BY used.exposure, used.keyword
"""


def count_states(rows: Rows, *, campaign: str | None = None) -> dict[str, int]:
    """Return how many jobs are in each state, in the order of their lives, without zeros."""
    counts = {row["state"]: int(row["number"]) for row in rows(_COUNTS, {"campaign": campaign})}
    return {state: counts[state] for state in STATES if state in counts}


def recent_jobs(
    rows: Rows, *, campaign: str | None = None, state: str | None = None, number: int = 20
) -> list[JobSummary]:
    """Return the jobs that changed last, the latest first."""
    parameters = {"campaign": campaign, "state": state, "number": number}
    return [JobSummary(**row) for row in rows(_RECENT, parameters)]


def jobs_of(rows: Rows, dataset: str, *, campaign: str | None = None) -> list[JobSummary]:
    """Return the jobs of a dataset, the oldest first."""
    parameters = {"dataset": dataset, "campaign": campaign}
    return [JobSummary(**row) for row in rows(_OF_DATASET, parameters)]


def stages_of(rows: Rows, job: JobSummary, *, last_only: bool = False) -> list[StageRun]:
    """Return the stage runs of a job in order, those of its last attempt alone if wanted."""
    parameters = {"job_id": job.id, "first": job.attempts if last_only else 1}
    return [StageRun(**row) for row in rows(_STAGES, parameters)]


def history_of(rows: Rows, dataset: str) -> list[Change]:
    """Return every change of every job of a dataset, in order."""
    return [Change(**row) for row in rows(_HISTORY, {"dataset": dataset})]


def current_run_of(rows: Rows, dataset: str) -> str | None:
    """Return the run whose products are current, None where there is none."""
    return next((row["run"] for row in rows(_CURRENT, {"dataset": dataset})), None)


def references_of_last_attempt(rows: Rows, dataset: str, context: str) -> list[dict[str, Any]]:
    """Return exposure, keyword, name and required of what was chosen last on a context."""
    return rows(_LAST_REFERENCES, {"dataset": dataset, "context": context})


def states_in(rows: Rows, campaign: str) -> dict[str, str]:
    """Return the state of every dataset of a campaign; the last run counts."""
    return {row["dataset"]: row["state"] for row in rows(_IN_STATE, {"campaign": campaign})}
