"""All that happened to a dataset: every job, every attempt, every stage. Portable SQL."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from calib.ledger.owners import Owner, why_dead
from calib.ledger.reports import Change, Rows, history_of


@dataclass(frozen=True)
class StageStory:
    """A stage run; times ISO 8601, seconds, bytes; None where not known."""

    stage: str
    state: str
    started_at: str
    ended_at: str | None
    wall: float | None
    cpu: float | None
    peak_rss: int | None
    bytes_in: int | None
    bytes_out: int | None
    disk: int | None
    error: str | None


@dataclass(frozen=True)
class AttemptStory:
    """An attempt with its stages.

    Attributes
    ----------
    number, host, pid, memory, time_scale, started_at, heartbeat_at, ended_at, outcome
        As in the ledger; `memory` is what it was granted, bytes.
    error_class, code, message, warnings
        How it ended.
    death
        Why the owner of one that has not ended is taken for dead; None while it may live.
    flow_run
        Prefect's number of the session that it belongs to; None where Prefect has none.
    stages
        In the order in which they ran.
    """

    number: int
    host: str
    pid: int
    memory: int | None
    time_scale: float
    started_at: str
    heartbeat_at: str
    ended_at: str | None
    outcome: str | None
    error_class: str | None
    code: int | None
    message: str | None
    warnings: tuple[str, ...]
    death: str | None
    flow_run: str | None
    stages: tuple[StageStory, ...]


@dataclass(frozen=True)
class JobStory:
    """A job of the dataset with its attempts, the last first, and its history.

    Attributes
    ----------
    id, campaign, instrument, run, context, state, reason, error_class, code, failed_stage, uri
        As in the ledger.
    chunk, priority, memory, disk, time_scale, overrides, retries
        What its campaign has decided for it.
    created_at, updated_at
        First entry and last change.
    attempts, changes
        What happened.
    """

    id: int
    campaign: str
    instrument: str
    run: str
    context: str
    state: str
    reason: str | None
    error_class: str | None
    code: int | None
    failed_stage: str | None
    uri: str | None
    chunk: int | None
    priority: int
    memory: int | None
    disk: int | None
    time_scale: float
    overrides: Mapping[str, Any]
    retries: Mapping[str, int]
    created_at: str
    updated_at: str
    attempts: tuple[AttemptStory, ...] = ()
    changes: tuple[Change, ...] = field(default=())


_JOBS = """
SELECT job.id AS id, campaign.name AS campaign, job.instrument AS instrument, job.run AS run,
  job.context AS context, job.state AS state, job.reason AS reason,
  job.error_class AS error_class, job.code AS code, job.failed_stage AS failed_stage,
  job.uri AS uri, job.chunk AS chunk, job.priority AS priority, job.memory AS memory,
  job.disk AS disk, job.time_scale AS time_scale, job.overrides AS overrides,
  job.retries AS retries, job.created_at AS created_at, job.updated_at AS updated_at
FROM job JOIN campaign ON campaign.id = job.campaign_id
WHERE job.dataset = :dataset ORDER BY job.id DESC
"""

_ATTEMPTS = """
SELECT attempt.id AS id, attempt.job_id AS job_id, attempt.number AS number,
  attempt.host AS host, attempt.pid AS pid, attempt.process_started AS process_started,
  attempt.token AS token, attempt.memory AS memory, attempt.time_scale AS time_scale,
  attempt.started_at AS started_at, attempt.heartbeat_at AS heartbeat_at,
  attempt.ended_at AS ended_at, attempt.outcome AS outcome,
  attempt.error_class AS error_class, attempt.code AS code, attempt.message AS message,
  attempt.warnings AS warnings,
  (SELECT campaign_session.flow_run FROM campaign_session
   WHERE campaign_session.campaign_id = job.campaign_id
     AND campaign_session.started_at <= attempt.started_at
     AND (campaign_session.ended_at IS NULL OR campaign_session.ended_at >= attempt.started_at)
   ORDER BY campaign_session.id DESC LIMIT 1) AS flow_run
FROM job JOIN attempt ON attempt.job_id = job.id
WHERE job.dataset = :dataset ORDER BY attempt.number DESC
"""

_STAGES = """
SELECT stage_run.attempt_id AS attempt_id, stage_run.stage AS stage, stage_run.state AS state,
  stage_run.started_at AS started_at, stage_run.ended_at AS ended_at, stage_run.wall AS wall,
  stage_run.cpu AS cpu, stage_run.peak_rss AS peak_rss, stage_run.bytes_in AS bytes_in,
  stage_run.bytes_out AS bytes_out, stage_run.disk AS disk, stage_run.error AS error
FROM job JOIN attempt ON attempt.job_id = job.id
  JOIN stage_run ON stage_run.attempt_id = attempt.id
WHERE job.dataset = :dataset ORDER BY stage_run.id
"""


def story_of(rows: Rows, dataset: str) -> list[JobStory]:
    """Return every job of a dataset with all that happened to it, the latest first."""
    which = {"dataset": dataset}
    stages: dict[int, list[StageStory]] = {}
    for row in rows(_STAGES, which):
        stages.setdefault(row.pop("attempt_id"), []).append(StageStory(**row))
    attempts: dict[int, list[AttemptStory]] = {}
    for row in rows(_ATTEMPTS, which):
        job = row.pop("job_id")
        attempts.setdefault(job, []).append(_attempt(row, tuple(stages.get(row.pop("id"), ()))))
    changes: dict[int, list[Change]] = {}
    for change in history_of(rows, dataset):
        changes.setdefault(change.job_id, []).append(change)
    return [
        JobStory(
            **{**row, **{name: json.loads(row[name] or "{}") for name in ("overrides", "retries")}},
            attempts=tuple(attempts.get(row["id"], ())),
            changes=tuple(changes.get(row["id"], ())),
        )
        for row in rows(_JOBS, which)
    ]


def _attempt(row: dict[str, Any], stages: tuple[StageStory, ...]) -> AttemptStory:
    owner = Owner(row["host"], row["pid"], row.pop("process_started"), row.pop("token"))
    is_open = row["outcome"] is None
    death = why_dead(owner, row["heartbeat_at"]) if is_open else None
    warnings = tuple(str(each) for each in json.loads(row["warnings"] or "[]"))
    return AttemptStory(**{**row, "warnings": warnings}, death=death, stages=stages)
