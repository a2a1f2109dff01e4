"""The order of the six stages, stated once for plain runs, notebooks and Prefect flows."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from calib.errors import GENERIC, HstflowError, ReferenceUnavailable
from calib.ledger.ledger import Attempt, Start, current_owner
from calib.records import Archived, Outcome, Previews, Products, RawInputs, References
from calib.stages import archive as archiving
from calib.stages import bestrefs as choosing
from calib.stages import calibrate as calibrating
from calib.stages import fetch as fetching
from calib.stages import preview as picturing
from calib.stages import state_message as closing
from calib.stages.archive import Made, published_before
from calib.stages.job import Job
from calib.stages.joblog import job_log
from calib.stages.policy import with_retries
from calib.stages.recording import beating, ledger_of, recorded
from calib.stages.workfolder import Finished

log = logging.getLogger(__name__)
R = TypeVar("R")


@dataclass(frozen=True)
class Stages:
    """Six callables: the plain functions, or Prefect tasks around them."""

    fetch: Callable[[Job, Attempt], Finished[RawInputs]]
    bestrefs: Callable[[Job, Attempt, RawInputs], Finished[References]]
    calibrate: Callable[[Job, Attempt, RawInputs, References], Finished[Products]]
    preview: Callable[[Job, Attempt, RawInputs, Products], Finished[Previews]]
    archive: Callable[[Job, Attempt, Made], Archived]
    state_message: Callable[[Job, Attempt, Outcome], Outcome]


def run_fetch(job: Job, attempt: Attempt) -> Finished[RawInputs]:
    """Fetch the inputs; recorded in the ledger."""
    with recorded(job, attempt, "fetch") as end:
        finished = fetching.fetch(job)
        end.note(reused=finished.reused)
        ledger_of(job.ledger).record_inputs(attempt, finished.record)
        return finished


def run_bestrefs(job: Job, attempt: Attempt, inputs: RawInputs) -> Finished[References]:
    """Choose the references; recorded in the ledger."""
    with recorded(job, attempt, "bestrefs") as end:
        finished = choosing.bestrefs(job, inputs)
        end.note(reused=finished.reused)
        ledger_of(job.ledger).record_references(attempt, finished.record)
        return finished


def run_calibrate(
    job: Job, attempt: Attempt, inputs: RawInputs, references: References
) -> Finished[Products]:
    """Calibrate; recorded in the ledger."""
    with recorded(job, attempt, "calibrate") as end:
        finished = calibrating.calibrate(job, inputs, references)
        end.note(reused=finished.reused)
        return finished


def run_preview(
    job: Job, attempt: Attempt, inputs: RawInputs, products: Products
) -> Finished[Previews]:
    """Draw the previews; recorded in the ledger."""
    with recorded(job, attempt, "preview") as end:
        finished = picturing.preview(job, inputs, products)
        end.note(reused=finished.reused)
        return finished


def run_archive(job: Job, attempt: Attempt, made: Made) -> Archived:
    """Publish; the products are recorded in the ledger."""
    with recorded(job, attempt, "archive"):
        mark = archiving.job_fingerprint(job, made.inputs, made.references)
        run = archiving.choose_run(job, mark)
        archiving.register_run(job, run)
        archived = archiving.archive(job, made, run, mark)
        archiving.register_products(job, attempt, archived)
        archiving.lay_out_tar(job)
        return archived


def run_state_message(job: Job, attempt: Attempt, outcome: Outcome) -> Outcome:
    """Close the job; recorded in the ledger."""
    with recorded(job, attempt, "state-message"):
        return closing.state_message(job, attempt, outcome)


def _plain(stage: str, function: Callable[..., R]) -> Callable[..., R]:
    return lambda *arguments: with_retries(stage, lambda: function(*arguments))


PLAIN = Stages(
    fetch=_plain("fetch", run_fetch),
    bestrefs=_plain("bestrefs", run_bestrefs),
    calibrate=_plain("calibrate", run_calibrate),
    preview=_plain("preview", run_preview),
    archive=_plain("archive", run_archive),
    state_message=_plain("state-message", run_state_message),
)


def process_dataset(job: Job, stages: Stages = PLAIN) -> Outcome:
    """Take one dataset through all six stages; never raises for what is wrong with a dataset.

    Parameters
    ----------
    job
        The dataset, resolved (:func:`calib.stages.planning.plan_job`).
    stages
        How to call each stage.

    Returns
    -------
    Outcome
        How it ended. A failure of any kind is an outcome with its error class and exit
        code: one bad dataset never stops others.

    Raises
    ------
    HstflowError
        The job could not even be registered: the ledger cannot be opened, another live
        process is at work on this dataset, or its campaign has ended the job meanwhile.
    KeyboardInterrupt, SystemExit
        A person or the system stopped us; the job is recorded as interrupted first.
    """
    attempt = ledger_of(job.ledger).start(_start(job), current_owner())
    with job_log(job.folder, job.dataset, attempt.number), beating(job, attempt):
        return _guarded(job, attempt, stages)


def _start(job: Job) -> Start:
    is_supervised = job.grant.is_supervised
    return Start(job.campaign, job.id, job.run, job.context, job.work_key, is_supervised)


def _guarded(job: Job, attempt: Attempt, stages: Stages) -> Outcome:
    """Turn whatever happens into an outcome, and close the job with it."""
    start = time.perf_counter()
    progress = _Progress()
    closing.announce(job, "processing")
    try:
        outcome = _all_stages(job, attempt, stages, progress)
    except HstflowError as error:
        outcome = _failed(job, error, error.code, progress.stage)
    except (KeyboardInterrupt, SystemExit) as stop:
        closing.state_message(job, attempt, _interrupted(job, stop, progress.stage))
        raise
    except Exception as error:  # the flow boundary: a bug is an outcome too
        log.exception("unexpected error")
        outcome = _failed(job, error, GENERIC, progress.stage)
    outcome = replace(outcome, seconds=time.perf_counter() - start)
    return stages.state_message(job, attempt, outcome)


class _Progress:
    """The stage at work, for the message of a failure."""

    stage = "fetch"


def _all_stages(job: Job, attempt: Attempt, stages: Stages, progress: _Progress) -> Outcome:
    inputs = stages.fetch(job, attempt).record
    progress.stage = "bestrefs"
    references = stages.bestrefs(job, attempt, inputs).record
    if found := published_before(job, inputs, references):
        progress.stage = "archive"
        archiving.register_found(job, attempt, found)
        archiving.lay_out_tar(job)
        return _nothing_to_do(job, found)
    progress.stage = "calibrate"
    products = stages.calibrate(job, attempt, inputs, references)
    progress.stage = "preview"
    previews = stages.preview(job, attempt, inputs, products.record)
    made = Made(inputs, references, products.record, previews.record)
    progress.stage = "archive"
    archived = stages.archive(job, attempt, made)
    if archived.already_there or (job.output is None and products.reused and previews.reused):
        return _nothing_to_do(job, archived)
    return _processed(job, archived, made)


def _processed(job: Job, archived: Archived, made: Made) -> Outcome:
    return Outcome(
        dataset=job.dataset,
        state="processed",
        reason=f"published in run {archived.run}" if job.output else "left in the work folder",
        run=archived.run,
        uri=archived.uri,
        context=job.context,
        warnings=(*made.products.notes, *made.previews.warnings, *archived.notes),
    )


def _nothing_to_do(job: Job, archived: Archived) -> Outcome:
    return Outcome(
        dataset=job.dataset,
        state="skipped",
        reason=f"nothing to do: the same result is in run {archived.run}",
        stage="bestrefs",
        run=archived.run,
        uri=archived.uri,
        context=job.context,
    )


def unrecorded(job: Job, error: HstflowError) -> Outcome:
    """Return the outcome of a dataset for which :func:`process_dataset` has raised.

    The ledger does not have it: another process is at work there, or the ledger is away.
    """
    return replace(_failed(job, error, error.code, "submission"), stage=None)


def _failed(job: Job, error: Exception, code: int, stage: str) -> Outcome:
    log.error("%s failed: %s: %s", stage, type(error).__name__, error)
    return Outcome(
        dataset=job.dataset,
        state="blocked" if isinstance(error, ReferenceUnavailable) else "error",
        reason=str(error),
        code=code,
        error_class=type(error).__name__,
        stage=stage,
        run=job.run,
        context=job.context,
    )


def _interrupted(job: Job, stop: BaseException, stage: str) -> Outcome:
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
    )
