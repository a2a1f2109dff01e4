"""The order of the six stages, stated once for plain runs, notebooks and Prefect flows."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from calib.campaigns.features import features_of_files
from calib.engines.astrometry import ASTROMETRY_NOTE
from calib.engines.stage2 import ASTROMETRY
from calib.errors import Cancelled, HstflowError, Interrupted, TransientError
from calib.ledger.ledger import Attempt, Start, current_owner
from calib.ledger.predictions import record_features
from calib.ledger.pulse import closed_of
from calib.ledger.registry import record_inputs, record_references
from calib.ledger.states import NOT_DRIZZLED
from calib.programs.allowance import current_allowance
from calib.records import Archived, Outcome, Previews, Products, RawInputs, References
from calib.stages import archive as archiving
from calib.stages import bestrefs as choosing
from calib.stages import calibrate as calibrating
from calib.stages import fetch as fetching
from calib.stages import preview as picturing
from calib.stages import state_message as closing
from calib.stages.archive import Made, published_before
from calib.stages.faulting import faulty
from calib.stages.job import Job
from calib.stages.joblog import job_log
from calib.stages.outcomes import failed, interrupted
from calib.stages.policy import is_retryable, with_patience, with_retries
from calib.stages.recording import keeping_book, ledger_of, recorded, recorded_last
from calib.stages.room import check_disk, check_memory
from calib.stages.stage2 import check_program, plan_of
from calib.stages.visits import check_can_be_made
from calib.stages.watch import at_work, pause, unstopped, watching
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
        finished = guarded(job, attempt, "fetch", lambda: _fetch(job))
        end.note(reused=finished.reused)
        end.enter(lambda c: record_inputs(c, attempt, finished.record))
        return finished


def _fetch(job: Job) -> Finished[RawInputs]:
    check_disk(job)
    check_can_be_made(job)
    check_program(job)
    return fetching.fetch(job)


def run_bestrefs(job: Job, attempt: Attempt, inputs: RawInputs) -> Finished[References]:
    """Choose the references; recorded in the ledger."""
    with recorded(job, attempt, "bestrefs") as end:
        finished = guarded(job, attempt, "bestrefs", lambda: choosing.bestrefs(job, inputs))
        end.note(reused=finished.reused)
        end.enter(lambda c: record_references(c, attempt, finished.record))
        return finished


def run_calibrate(
    job: Job, attempt: Attempt, inputs: RawInputs, references: References
) -> Finished[Products]:
    """Calibrate; recorded in the ledger, with what the inputs look like."""
    with recorded(job, attempt, "calibrate") as end:

        def work() -> Finished[Products]:
            features = features_of_files(inputs, job.id)
            if not job.options.faults:  # nothing is learned from failures on purpose
                end.enter(lambda c: record_features(c, attempt, features))
            return calibrating.calibrate(
                job, inputs, references, before=lambda: check_memory(job, features)
            )

        finished = guarded(job, attempt, "calibrate", work)
        end.note(reused=finished.reused)
        return finished


def run_preview(
    job: Job, attempt: Attempt, inputs: RawInputs, products: Products
) -> Finished[Previews]:
    """Draw the previews; recorded in the ledger."""
    with recorded(job, attempt, "preview") as end:
        finished = guarded(
            job, attempt, "preview", lambda: picturing.preview(job, inputs, products)
        )
        end.note(reused=finished.reused)
        return finished


def run_archive(job: Job, attempt: Attempt, made: Made) -> Archived:
    """Publish; the products are recorded in the ledger."""
    with recorded(job, attempt, "archive"):
        return guarded(job, attempt, "archive", lambda: _publish(job, attempt, made))


def _publish(job: Job, attempt: Attempt, made: Made) -> Archived:
    """Publish; what is written in the ledger is not stopped half-way."""
    plan = plan_of(job, made.inputs, made.products)
    mark = archiving.job_fingerprint(job, made.inputs, made.references, plan=plan)
    run = archiving.choose_run(job, mark)
    with unstopped():
        archiving.register_run(job, run)
    archived = archiving.archive(job, made, run, mark)
    with unstopped():
        archiving.register_products(job, attempt, archived)
    archiving.lay_out_tar(job)
    return archived


def run_state_message(job: Job, attempt: Attempt, outcome: Outcome) -> Outcome:
    """Close the job; recorded in the ledger."""
    with recorded_last(job, attempt, "state-message", outcome):
        return closing.state_message(job, attempt, outcome)


def guarded(job: Job, attempt: Attempt, stage: str, work: Callable[[], R]) -> R:
    """Do a stage under watch, with the faults that were asked for."""
    return at_work(attempt, stage, lambda: faulty(job, stage, work))


def _plain(stage: str, function: Callable[..., R]) -> Callable[..., R]:
    return lambda *arguments: with_retries(stage, lambda: function(*arguments), sleep=pause)


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
    with (
        ExitStack() as logs,
        keeping_book(job, attempt),
        watching(job, attempt, _closes(job, attempt)),
    ):
        return _boundary(job, attempt, stages, logs)


def _closes(job: Job, attempt: Attempt) -> Callable[[HstflowError, str], None]:
    """Return what closes the attempt where its own thread hangs."""
    return lambda why, stage: closing.close_from_outside(job, attempt, failed(job, why, stage))


def _start(job: Job) -> Start:
    known = (job.campaign, job.id, job.run, job.context, job.work_key)
    return Start(*known, is_supervised=job.grant.is_supervised, attempts=job.attempts)


def _boundary(job: Job, attempt: Attempt, stages: Stages, logs: ExitStack) -> Outcome:
    """Turn whatever happens into an outcome, and close the job with it."""
    start = time.perf_counter()
    progress = _Progress()
    try:
        logs.enter_context(job_log(job.folder, job.dataset, attempt.number))
        closing.announce(job, "processing")
        outcome = _all_stages(job, attempt, stages, progress)
    except HstflowError as error:
        _say(progress.stage, error)
        outcome = failed(job, error, progress.stage)
    except (KeyboardInterrupt, SystemExit) as stop:
        outcome = interrupted(job, stop, progress.stage)
        if _stops_us(stop):
            _say_stopped(job, attempt, outcome)
            raise
        log.exception("a stage called for the end of the process")
    except Exception as error:  # the flow boundary: a bug is an outcome too
        log.exception("unexpected error")
        outcome = failed(job, error, progress.stage)
    outcome = replace(outcome, seconds=time.perf_counter() - start)
    return _close(job, attempt, stages, outcome)


def _say(stage: str, error: HstflowError) -> None:
    log.error("%s failed: %s: %s", stage, type(error).__name__, error)


def _stops_us(stop: BaseException) -> bool:
    """Tell whether somebody ends this process; a library that calls `exit` in a thread does not.

    Signals are heard in the main thread alone.
    """
    is_main = threading.current_thread() is threading.main_thread()
    return is_main or not isinstance(stop, SystemExit)


def _say_stopped(job: Job, attempt: Attempt, outcome: Outcome) -> None:
    """Close the attempt of a process that ends; without the ledger it is found dead later."""
    try:
        closing.state_message(job, attempt, outcome)
    except HstflowError as error:
        log.warning("the end was not recorded: %s", error)


def _close(job: Job, attempt: Attempt, stages: Stages, outcome: Outcome) -> Outcome:
    """Close the attempt, unless it is not ours any more: then whoever has it says how it ends."""
    try:
        return _last_word(job, attempt, stages, outcome)
    except Interrupted as gone:
        if cancelled := _cancelled_meanwhile(job, attempt, outcome):
            with suppress(Interrupted):  # closed so by other words than an operator's
                return _last_word(job, attempt, stages, cancelled)
        log.warning("this end is not recorded: %s", gone)
        return failed(job, gone, outcome.stage) if outcome.state == "processed" else outcome


def _last_word(job: Job, attempt: Attempt, stages: Stages, outcome: Outcome) -> Outcome:
    """Close the attempt; while the ledger is away it is tried on, which costs the work nothing."""
    try:
        return stages.state_message(job, attempt, outcome)
    except TransientError as error:
        if not is_retryable(error):
            raise
        log.warning("the ledger is away, the end of this attempt waits for it: %s", error)
        again = partial(run_state_message, job, attempt, outcome)
        return with_patience(again, until=_is_ending)


def _is_ending() -> bool:
    """Tell whether this process is about to end, or nobody wants the attempt any more."""
    allowance = current_allowance()
    return allowance is not None and isinstance(allowance.breach, Interrupted)


def _cancelled_meanwhile(job: Job, attempt: Attempt, outcome: Outcome) -> Outcome | None:
    """Return the outcome of an attempt that was cancelled in its last moment; None: it was not."""
    closed = ledger_of(job.ledger).ask(lambda rows: closed_of(rows, [attempt]))
    state, message = closed.get(attempt.id, ("", ""))
    if state != "cancelled" or outcome.state == "cancelled":
        return None
    return failed(job, Cancelled(message), outcome.stage)


class _Progress:
    """The stage at work, for the message of a failure."""

    stage = "fetch"


def _all_stages(job: Job, attempt: Attempt, stages: Stages, progress: _Progress) -> Outcome:
    inputs = stages.fetch(job, attempt).record
    progress.stage = "bestrefs"
    references = stages.bestrefs(job, attempt, inputs).record
    if found := at_work(attempt, "bestrefs", partial(published_before, job, inputs, references)):
        progress.stage = "archive"
        at_work(attempt, "archive", partial(_take_found, job, attempt, found))
        return _nothing_to_do(job, found, (*inputs.notes, *plan_of(job, inputs).notes))
    progress.stage = "calibrate"
    products = stages.calibrate(job, attempt, inputs, references)
    if products.record.ending is not None:
        return _without_products(job, inputs, products.record)
    progress.stage = "preview"
    previews = stages.preview(job, attempt, inputs, products.record)
    made = Made(inputs, references, products.record, previews.record)
    progress.stage = "archive"
    archived = stages.archive(job, attempt, made)
    if archived.already_there or (job.output is None and products.reused and previews.reused):
        return _nothing_to_do(job, archived, inputs.notes)
    return _processed(job, archived, made)


def _without_products(job: Job, inputs: RawInputs, products: Products) -> Outcome:
    """Skip what an engine has nothing to make of: that is no failure, and nothing is published."""
    return Outcome(
        dataset=job.dataset,
        state="skipped",
        reason=": ".join(filter(None, (products.ending, products.reason))),
        stage="calibrate",
        context=job.context,
        warnings=(*inputs.notes, *products.notes),
    )


def _take_found(job: Job, attempt: Attempt, found: Archived) -> None:
    with unstopped():
        archiving.register_found(job, attempt, found)
    archiving.lay_out_tar(job)


def _processed(job: Job, archived: Archived, made: Made) -> Outcome:
    return Outcome(
        dataset=job.dataset,
        state="processed",
        reason=f"published in run {archived.run}{_staying(archived)}{_undrizzled(made.products)}"
        if job.output
        else "left in the work folder",
        run=archived.run,
        uri=archived.uri,
        context=job.context,
        warnings=(
            *made.inputs.notes,
            *made.products.notes,
            *made.previews.warnings,
            *made.previews.remarks,
            *archived.notes,
        ),
    )


def _undrizzled(products: Products) -> str:
    """Say what was asked of stage 2 and not done; the warnings say why, and what to do."""
    if not products.stage2:
        return ""
    if ASTROMETRY not in products.parameters:
        return NOT_DRIZZLED
    unaligned = any(note.startswith(ASTROMETRY_NOTE) for note in products.notes)
    return "; drizzled without astrometry" if unaligned else ""


def _staying(archived: Archived) -> str:
    """Say whether readers go on to see another version."""
    return f"; run {archived.stays}, of a later context, stays current" if archived.stays else ""


def _nothing_to_do(job: Job, archived: Archived, notes: tuple[str, ...] = ()) -> Outcome:
    return Outcome(
        dataset=job.dataset,
        state="skipped",
        reason=f"nothing to do: the same result is in run {archived.run}{_staying(archived)}",
        stage="bestrefs",
        run=archived.run,
        uri=archived.uri,
        context=job.context,
        warnings=(*notes, *archived.notes),
    )


def unrecorded(job: Job, error: HstflowError) -> Outcome:
    """Return the outcome of a dataset for which :func:`process_dataset` has raised.

    The ledger does not have it: another process is at work there, or the ledger is away.
    """
    return failed(job, error, None)
