"""What campaigns cost, row by row: for files that other programs read.

No SQLAlchemy. Tables are read in windows of row numbers, so that a ledger of a hundred thousand
jobs takes no more memory than one of a hundred.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from calib.ledger.reports import Rows

Kind = Literal["text", "integer", "number", "time"]

# Rows of one window: some 5 MB of dictionaries.
_AT_ONCE = 5_000


@dataclass(frozen=True)
class CostTable:
    """A view of the ledger as a table for other programs.

    Attributes
    ----------
    view
        Its name.
    counted
        The table below it, whose row numbers are the view's.
    columns
        Kind by name; every column but `id` may be empty.
    """

    view: str
    counted: str
    columns: dict[str, Kind]


_JOB: dict[str, Kind] = {
    "id": "integer",
    "campaign": "text",
    "dataset": "text",
    "instrument": "text",
    "run": "text",
    "context": "text",
}

FEATURES: dict[str, Kind] = {
    "n_files": "integer",
    "total_mb": "number",
    "drizcorr": "integer",
    "pctecorr": "integer",
    "crsplit": "integer",
    "subarray": "integer",
    "detector": "integer",
    "dtype": "integer",
    "instr": "integer",
}

STAGES = CostTable(
    "costs",
    "stage_run",
    {
        **_JOB,
        "attempt": "integer",
        "stage": "text",
        "state": "text",
        "started_at": "time",
        "ended_at": "time",
        "wall": "number",
        "cpu": "number",
        "peak_rss": "integer",
        "bytes_in": "integer",
        "bytes_out": "integer",
        "disk": "integer",
        "memory": "integer",
        "time_scale": "number",
        "host": "text",
        "error": "text",
        **FEATURES,
    },
)

ATTEMPTS = CostTable(
    "attempts",
    "attempt",
    {
        **_JOB,
        "attempt": "integer",
        "outcome": "text",
        "error_class": "text",
        "code": "integer",
        "message": "text",
        "started_at": "time",
        "ended_at": "time",
        "memory": "integer",
        "time_scale": "number",
        "host": "text",
        "pid": "integer",
    },
)

JOBS = CostTable(
    "jobs",
    "job",
    {
        **_JOB,
        "state": "text",
        "reason": "text",
        "attempts": "integer",
        "error_class": "text",
        "code": "integer",
        "uri": "text",
        "created_at": "time",
        "updated_at": "time",
        "chunk": "integer",
        "priority": "integer",
        "memory": "integer",
        "disk": "integer",
        "time_scale": "number",
    },
)

TABLES = {"stages": STAGES, "attempts": ATTEMPTS, "jobs": JOBS}


@dataclass(frozen=True)
class Submission:
    """A job with its last attempt, as a batch system would list it.

    Attributes
    ----------
    id, campaign, dataset, run, state, reason, code, uri, created_at
        Of the job.
    attempt, started_at, ended_at
        Of its last attempt; None before the first.
    has_begun
        Whether a stage of that attempt has begun.
    peak_rss
        Most memory that a stage of that attempt took, bytes.
    """

    id: int
    campaign: str
    dataset: str
    run: str
    state: str
    reason: str | None
    code: int | None
    uri: str | None
    created_at: str
    attempt: int | None
    started_at: str | None
    ended_at: str | None
    has_begun: bool
    peak_rss: int | None


_LAST = "SELECT COALESCE(MAX(id), 0) AS last FROM {table}"

_WINDOW = """
SELECT {columns} FROM {view}
WHERE id > :after AND id <= :last
  AND (CAST(:campaign AS VARCHAR) IS NULL OR campaign = CAST(:campaign AS VARCHAR))
ORDER BY id
"""

_SUBMISSIONS = """
SELECT job.id AS id, campaign.name AS campaign, job.dataset AS dataset, job.run AS run,
  job.state AS state, job.reason AS reason, job.code AS code, job.uri AS uri,
  job.created_at AS created_at, attempt.number AS attempt, attempt.started_at AS started_at,
  attempt.ended_at AS ended_at,
  (SELECT COUNT(*) FROM stage_run WHERE stage_run.attempt_id = attempt.id) AS has_begun,
  (SELECT MAX(stage_run.peak_rss) FROM stage_run WHERE stage_run.attempt_id = attempt.id)
    AS peak_rss
FROM job JOIN campaign ON campaign.id = job.campaign_id
  LEFT JOIN attempt ON attempt.job_id = job.id AND attempt.number = job.attempts
WHERE job.id > :after AND job.id <= :last
  AND (CAST(:campaign AS VARCHAR) IS NULL OR campaign.name = CAST(:campaign AS VARCHAR))
ORDER BY job.id
"""


def read_costs(
    rows: Rows, table: CostTable, *, campaign: str | None = None
) -> Iterator[list[dict[str, Any]]]:
    """Yield a table in the order of its rows, some thousand at a time, never an empty list.

    Parameters
    ----------
    rows
        Asks the ledger.
    table
        Which one.
    campaign
        Only the rows of this campaign.
    """
    query = _WINDOW.format(columns=", ".join(table.columns), view=table.view)
    yield from read_windows(rows, query, table.counted, {"campaign": campaign})


def read_submissions(rows: Rows, *, campaign: str | None = None) -> Iterator[Submission]:
    """Yield every job with its last attempt, in the order in which they were entered."""
    for some in read_windows(rows, _SUBMISSIONS, "job", {"campaign": campaign}):
        for row in some:
            yield Submission(**{**row, "has_begun": bool(row["has_begun"])})


def read_windows(
    rows: Rows, query: str, table: str, parameters: Mapping[str, Any]
) -> Iterator[list[dict[str, Any]]]:
    """Ask a query for one window of row numbers after the other: each costs the same.

    Parameters
    ----------
    rows
        Asks the ledger.
    query
        Takes ``:after`` and ``:last``.
    table
        Whose row numbers they are.
    parameters
        What else it takes.
    """
    last = int(rows(_LAST.format(table=table), {})[0]["last"])
    for after in range(0, last, _AT_ONCE):
        window = {"after": after, "last": after + _AT_ONCE, **parameters}
        if found := rows(query, window):
            yield found
