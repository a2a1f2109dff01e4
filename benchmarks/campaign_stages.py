"""The six stages of benchmarks/campaign.py: they do nothing, and are recorded as real ones.

Attempts, stage runs, states, the watchdog and the log of the job are the real ones, and in the
style ``tasks`` the Prefect tasks with their event; only fetch, bestrefs, calibrate, preview and
archive themselves are left out.
"""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from typing import Any

from campaign_child import MARKS

from calib.ledger.ledger import Attempt
from calib.records import Archived, Outcome, Previews, Products, RawInputs, References
from calib.stages.archive import Made
from calib.stages.job import Job
from calib.stages.policy import with_retries
from calib.stages.recording import recorded
from calib.stages.sequence import Stages, guarded, run_state_message
from calib.stages.workfolder import Finished
from tasks.policies import stage_task
from tasks.state_message import state_message as state_message_task

NAMES = ("fetch", "bestrefs", "calibrate", "preview", "archive", "state-message")


def fetch(job: Job, attempt: Attempt) -> Finished[RawInputs]:
    """Find no files."""
    mark(job.dataset, "first")
    return noop(job, attempt, "fetch", RawInputs(job.dataset, job.source, ()))


def bestrefs(job: Job, attempt: Attempt, _inputs: RawInputs) -> Finished[References]:
    """Choose no references."""
    return noop(job, attempt, "bestrefs", References(job.context, "none", ()))


def calibrate(
    job: Job, attempt: Attempt, _inputs: RawInputs, _references: References
) -> Finished[Products]:
    """Make no products."""
    return noop(job, attempt, "calibrate", Products((), "none", "0"))


def preview(
    job: Job, attempt: Attempt, _inputs: RawInputs, _products: Products
) -> Finished[Previews]:
    """Draw nothing."""
    return noop(job, attempt, "preview", Previews())


def archive(job: Job, attempt: Attempt, _made: Made) -> Archived:
    """Publish nothing."""
    return noop(job, attempt, "archive", Archived(job.run, "none:", "")).record


def state_message(job: Job, attempt: Attempt, outcome: Outcome) -> Outcome:
    """Close the job; this is the real stage."""
    closed = run_state_message(job, attempt, outcome)
    mark(job.dataset, "last")
    return closed


def shown_state_message(job: Job, attempt: Attempt, outcome: Outcome) -> Outcome:
    """Close the job, and emit its event: what the real task does."""
    closed = state_message_task.fn(job, attempt, outcome)
    mark(job.dataset, "last")
    return closed


def noop(job: Job, attempt: Attempt, stage: str, record: Any) -> Finished[Any]:
    """Record a stage that does nothing."""
    with recorded(job, attempt, stage):
        return guarded(job, attempt, stage, lambda: Finished(record, reused=False))


def mark(dataset: str, name: str) -> None:
    """Note in a file that the first dataset has begun, or the last one has ended."""
    folder, first, last = os.environ.get(MARKS, "::").rsplit(":", 2)
    if dataset == {"first": first, "last": last}[name]:
        (Path(folder) / name).touch()


def _plain(name: str) -> Any:
    stage, function = NAMES[_ORDER.index(name)], globals()[name]
    return lambda *arguments: with_retries(stage, lambda: function(*arguments))


def _task(name: str) -> Any:
    stage, function = NAMES[_ORDER.index(name)], globals()[name]
    return stage_task(stage)(shown_state_message if name == "state_message" else function)


_ORDER = [field.name for field in fields(Stages)]
PLAIN = Stages(**{name: _plain(name) for name in _ORDER})
TASKS = Stages(**{name: _task(name) for name in _ORDER})
