"""What a campaign cost, in sum: questions to the ledger for a report.

No SQLAlchemy. What can grow with the campaign is either summed by the database or read in
windows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from calib.ledger.costs import read_windows
from calib.ledger.reports import Rows
from calib.ledger.states import NOT_DRIZZLED

# Columns of a stage run whose spread a report shows.
_MEASURED = ("wall", "cpu", "peak_rss")

# Datasets named beside a failure.
_EXAMPLES = 3


@dataclass(frozen=True)
class Spread:
    """Median, 95 % quantile and maximum (nearest rank) of what was measured."""

    median: float
    high: float
    most: float


@dataclass(frozen=True)
class StageSummary:
    """What one stage cost over a campaign.

    Attributes
    ----------
    stage
        Its name.
    done, reused, failed
        How many runs did the work, found it done by an earlier attempt, or failed.
    wall, cpu, peak_rss
        Seconds, and bytes, of those that did the work; None where nothing was measured.
    total_wall, total_cpu, bytes_in, bytes_out
        Sums over all runs.
    disk
        Most that one run left in the work folder, bytes.
    """

    stage: str
    done: int
    reused: int
    failed: int
    wall: Spread | None
    cpu: Spread | None
    peak_rss: Spread | None
    total_wall: float
    total_cpu: float
    bytes_in: int
    bytes_out: int
    disk: int | None


@dataclass(frozen=True)
class FailureGroup:
    """Jobs that rest in one state with one error.

    Attributes
    ----------
    state, error_class, code
        How they ended.
    number
        How many.
    examples
        The first few datasets.
    reason
        Of the first of them.
    """

    state: str
    error_class: str | None
    code: int | None
    number: int
    examples: tuple[str, ...]
    reason: str | None


@dataclass(frozen=True)
class RetriedGroup:
    """Attempts that failed with one error and were followed by another attempt."""

    error_class: str | None
    code: int | None
    number: int


@dataclass(frozen=True)
class AttemptCost:
    """One attempt of one job, for what a report counts by itself.

    Attributes
    ----------
    dataset, number, outcome, error_class
        Which attempt, and how it ended; None while it runs.
    is_last
        Whether the job has no later one.
    memory, first_memory
        What it was granted, and what the job's first attempt was, bytes.
    peak_rss
        Most that a stage of it took, bytes.
    seconds
        Wall clock of its stages.
    ended_at
        ISO 8601.
    """

    dataset: str
    number: int
    outcome: str | None
    error_class: str | None
    is_last: bool
    memory: int | None
    first_memory: int | None
    peak_rss: int | None
    seconds: float | None
    ended_at: str | None


_OF_CAMPAIGN = """
FROM stage_run
  JOIN attempt ON attempt.id = stage_run.attempt_id
  JOIN job ON job.id = attempt.job_id
WHERE job.campaign_id = :campaign_id
"""

_STAGES = (
    """
SELECT stage_run.stage AS stage, MIN(stage_run.id) AS first,
  SUM(CASE WHEN stage_run.state = 'done' THEN 1 ELSE 0 END) AS done,
  SUM(CASE WHEN stage_run.state = 'reused' THEN 1 ELSE 0 END) AS reused,
  SUM(CASE WHEN stage_run.state = 'error' THEN 1 ELSE 0 END) AS failed,
  SUM(stage_run.wall) AS total_wall, SUM(stage_run.cpu) AS total_cpu,
  SUM(stage_run.bytes_in) AS bytes_in, SUM(stage_run.bytes_out) AS bytes_out,
  MAX(stage_run.disk) AS disk
"""
    + _OF_CAMPAIGN
    + "GROUP BY stage_run.stage ORDER BY first"
)

_SPREAD = (
    """
SELECT stage, number, place, value FROM (
SELECT stage_run.stage AS stage, stage_run.{column} AS value,
  ROW_NUMBER() OVER (PARTITION BY stage_run.stage ORDER BY stage_run.{column}) AS place,
  COUNT(*) OVER (PARTITION BY stage_run.stage) AS number
"""
    + _OF_CAMPAIGN
    + """
  AND stage_run.state = 'done' AND stage_run.{column} IS NOT NULL
) AS ranked
WHERE place = (number + 1) / 2 OR place = (95 * number + 99) / 100 OR place = number
ORDER BY stage, place
"""
)

_FAILURES = """
SELECT state, error_class, code, number, dataset, reason FROM (
  SELECT state, error_class, code, dataset, reason, id,
    ROW_NUMBER() OVER (PARTITION BY state, error_class, code ORDER BY id) AS place,
    COUNT(*) OVER (PARTITION BY state, error_class, code) AS number
  FROM job WHERE campaign_id = :campaign_id AND state IN ('error', 'blocked', 'cancelled')
) AS ranked
WHERE place <= :most ORDER BY number DESC, state, error_class, code, place
"""

_UNDRIZZLED = """
SELECT COUNT(*) AS number FROM job
WHERE campaign_id = :campaign_id AND state IN ('processed', 'synced', 'archived')
  AND reason LIKE :said
"""

_RETRIED = """
SELECT attempt.error_class AS error_class, attempt.code AS code, COUNT(*) AS number
FROM attempt JOIN job ON job.id = attempt.job_id
WHERE job.campaign_id = :campaign_id AND attempt.number < job.attempts
GROUP BY attempt.error_class, attempt.code ORDER BY number DESC, error_class, code
"""

_SPAN = """
SELECT MIN(attempt.started_at) AS first, MAX(attempt.ended_at) AS last
FROM attempt JOIN job ON job.id = attempt.job_id WHERE job.campaign_id = :campaign_id
"""

_ATTEMPTS = """
SELECT job.dataset AS dataset, attempt.number AS number, attempt.outcome AS outcome,
  attempt.error_class AS error_class,
  CASE WHEN attempt.number = job.attempts THEN 1 ELSE 0 END AS is_last,
  attempt.memory AS memory, earliest.memory AS first_memory,
  (SELECT MAX(stage_run.peak_rss) FROM stage_run WHERE stage_run.attempt_id = attempt.id)
    AS peak_rss,
  (SELECT SUM(stage_run.wall) FROM stage_run WHERE stage_run.attempt_id = attempt.id)
    AS seconds,
  attempt.ended_at AS ended_at
FROM attempt
  JOIN job ON job.id = attempt.job_id
  JOIN attempt AS earliest ON earliest.job_id = job.id AND earliest.number = 1
WHERE attempt.id > :after AND attempt.id <= :last AND job.campaign_id = :campaign_id
ORDER BY attempt.id
"""

_STAGES_OF_DATASET = (
    "SELECT stage_run.stage AS stage, stage_run.wall AS wall\n"
    + _OF_CAMPAIGN
    + "AND job.dataset = :dataset AND attempt.number = :number AND stage_run.wall IS NOT NULL\n"
    + "ORDER BY stage_run.wall DESC, stage_run.id LIMIT 1"
)


def stage_summaries(rows: Rows, campaign_id: int) -> list[StageSummary]:
    """Return what each stage cost, in the order of the stages."""
    spreads = {column: _spreads(rows, campaign_id, column) for column in _MEASURED}
    return [
        StageSummary(
            stage=row["stage"],
            done=int(row["done"]),
            reused=int(row["reused"]),
            failed=int(row["failed"]),
            wall=spreads["wall"].get(row["stage"]),
            cpu=spreads["cpu"].get(row["stage"]),
            peak_rss=spreads["peak_rss"].get(row["stage"]),
            total_wall=float(row["total_wall"] or 0),
            total_cpu=float(row["total_cpu"] or 0),
            bytes_in=int(row["bytes_in"] or 0),
            bytes_out=int(row["bytes_out"] or 0),
            disk=None if row["disk"] is None else int(row["disk"]),
        )
        for row in rows(_STAGES, {"campaign_id": campaign_id})
    ]


def failure_groups(rows: Rows, campaign_id: int) -> list[FailureGroup]:
    """Return what failed, is blocked or was cancelled, by error, the most frequent first."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows(_FAILURES, {"campaign_id": campaign_id, "most": _EXAMPLES}):
        groups.setdefault((row["state"], row["error_class"], row["code"]), []).append(row)
    return [
        FailureGroup(
            state,
            error_class,
            code,
            number=int(some[0]["number"]),
            examples=tuple(row["dataset"] for row in some),
            reason=some[0]["reason"],
        )
        for (state, error_class, code), some in groups.items()
    ]


def retried_groups(rows: Rows, campaign_id: int) -> list[RetriedGroup]:
    """Return which failed attempts were followed by others, the most frequent first."""
    found = rows(_RETRIED, {"campaign_id": campaign_id})
    return [RetriedGroup(r["error_class"], r["code"], int(r["number"])) for r in found]


def undrizzled(rows: Rows, campaign_id: int) -> int:
    """Return how many finished jobs asked for stage 2 and ended without it."""
    found = rows(_UNDRIZZLED, {"campaign_id": campaign_id, "said": f"%{NOT_DRIZZLED}%"})
    return int(found[0]["number"])


def span_of(rows: Rows, campaign_id: int) -> tuple[str | None, str | None]:
    """Return when the first attempt began and the last one that ended did."""
    (row,) = rows(_SPAN, {"campaign_id": campaign_id})
    return row["first"], row["last"]


def read_attempts(rows: Rows, campaign_id: int) -> Iterator[AttemptCost]:
    """Yield every attempt of a campaign, in the order in which they began."""
    for some in read_windows(rows, _ATTEMPTS, "attempt", {"campaign_id": campaign_id}):
        for row in some:
            yield AttemptCost(**{**row, "is_last": bool(row["is_last"])})


def longest_stage(rows: Rows, campaign_id: int, dataset: str, attempt: int) -> str | None:
    """Return the stage in which an attempt spent most of its time."""
    wanted: Mapping[str, Any] = {
        "campaign_id": campaign_id,
        "dataset": dataset,
        "number": attempt,
    }
    return next((row["stage"] for row in rows(_STAGES_OF_DATASET, wanted)), None)


def _spreads(rows: Rows, campaign_id: int, column: str) -> dict[str, Spread]:
    found: dict[str, dict[int, float]] = {}
    numbers: dict[str, int] = {}
    for row in rows(_SPREAD.format(column=column), {"campaign_id": campaign_id}):
        found.setdefault(row["stage"], {})[int(row["place"])] = float(row["value"])
        numbers[row["stage"]] = int(row["number"])
    return {
        stage: Spread(values[(n + 1) // 2], values[(95 * n + 99) // 100], values[n])
        for stage, values in found.items()
        if (n := numbers[stage])
    }
