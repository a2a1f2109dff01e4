"""From an error to the outcome of an attempt, and whether another attempt follows."""

from __future__ import annotations

from calib.campaigns.retries import decide
from calib.errors import (
    GENERIC,
    Cancelled,
    HstflowError,
    Interrupted,
    OutOfMemory,
    ReferenceUnavailable,
)
from calib.grants import Retry
from calib.records import Outcome
from calib.stages.job import Job


def failed(job: Job, error: Exception, stage: str | None) -> Outcome:
    """Return the outcome of an attempt that ended with an error.

    Where the job is supervised the retry table says whether another attempt follows.
    """
    code = error.code if isinstance(error, HstflowError) else GENERIC
    return Outcome(
        dataset=job.dataset,
        state=_state(error),
        reason=str(error) or type(error).__name__,
        code=code,
        error_class=type(error).__name__,
        stage=stage,
        run=job.run,
        context=job.context,
        retry=_retry(job, error, code),
    )


def interrupted(job: Job, stop: BaseException, stage: str) -> Outcome:
    """Return the outcome of an attempt that a person or the system stopped.

    As for any failure the retry table says whether another one follows a supervised attempt.
    """
    code = stop.code if isinstance(stop, SystemExit) and isinstance(stop.code, int) else 130
    return Outcome(
        dataset=job.dataset,
        state="error",
        reason=f"interrupted during {stage}; the next attempt goes on there",
        code=code,
        error_class="Interrupted",
        stage=stage,
        run=job.run,
        context=job.context,
        retry=_retry(job, Interrupted("stopped"), code),
    )


def _state(error: Exception) -> str:
    if isinstance(error, Cancelled):
        return "cancelled"
    return "blocked" if isinstance(error, ReferenceUnavailable) else "error"


def _retry(job: Job, error: Exception, code: int) -> Retry | None:
    if not job.grant.is_supervised or _state(error) != "error":
        return None
    need = error.need if isinstance(error, OutOfMemory) else None
    return decide(type(error).__name__, code, job.grant, need)
