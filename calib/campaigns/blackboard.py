"""CALCLOUD's blackboard: all jobs as one text table, for programs that read that one.

CALCLOUD writes ``blackboard/blackboardAWS.snapshot`` from what AWS Batch still knows of its jobs
(a day): a header, then twelve columns separated by ``|``, times in whole seconds since 1970, 0
where there is none. This one has all jobs of the ledger, the memory that they took and where
their log is, which CALCLOUD leaves at 0 and ``None``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from calib.ledger.costs import Submission

COLUMNS = (
    "GlobalJobId",
    "SubmitDate",
    "JobStartDate",
    "CompletionDate",
    "JobDuration",
    "ImageSize",
    "JobState",
    "ExitCode",
    "ExitReason",
    "Dataset",
    "LogStream",
    "S3Path",
)

# AWS Batch's word for each of our states; a job at work is STARTING until its first stage begins.
JOB_STATES = {
    "planned": "SUBMITTED",
    "submitted": "RUNNABLE",
    "blocked": "PENDING",  # AWS Batch: waits for something else
    "processing": "RUNNING",
    "processed": "SUCCEEDED",
    "synced": "SUCCEEDED",
    "archived": "SUCCEEDED",
    "skipped": "SUCCEEDED",
    "error": "FAILED",
    "cancelled": "FAILED",
}

# CALCLOUD cuts reasons at this length: the column of its readers' database.
LONGEST_REASON = 255

NONE = "None"


def blackboard(found: Iterable[Submission], work: str) -> Iterator[str]:
    """Yield the lines of a blackboard, the header first.

    Parameters
    ----------
    found
        The jobs.
    work
        Work folder: where the logs of jobs lie that are not published.
    """
    yield "|".join(COLUMNS) + "\n"
    for each in found:
        yield "|".join(_clean(cell) for cell in _cells(each, work)) + "\n"


def _cells(job: Submission, work: str) -> Iterator[object]:
    start, end = _seconds(job.started_at), _seconds(job.ended_at)
    yield job.id
    yield _seconds(job.created_at)
    yield start
    yield end
    yield max(0, end - start) if end else 0
    yield (job.peak_rss or 0) // 1024  # KiB, as HTCondor's column of this name
    yield _state(job)
    yield job.code or 0
    yield (job.reason or NONE)[:LONGEST_REASON]
    yield job.dataset
    yield _log(job, work)
    yield job.uri or NONE


def _state(job: Submission) -> str:
    if job.state == "processing" and not job.has_begun:
        return "STARTING"
    return JOB_STATES[job.state]


def _log(job: Submission, work: str) -> str:
    if job.uri is not None and job.state != "error":
        return f"{job.uri.rstrip('/')}/logs/process.txt"
    return NONE if job.attempt is None else f"file:{work}/{job.run}/{job.dataset}/process.txt"


def _seconds(time: str | None) -> int:
    return 0 if time is None else int(datetime.fromisoformat(time).timestamp())


def _clean(cell: object) -> str:
    """Keep a cell one cell: CALCLOUD removes line ends; a bar would begin another column."""
    return " ".join(str(cell).replace("|", "/").split())
