"""Stage 6: the terminal state of a job: ledger first, then an optional message file."""

from __future__ import annotations

import logging
import shutil

from calib.archive.messages import write_message
from calib.archive.outputs import open_output
from calib.errors import HstflowError
from calib.ledger.attempts import finish
from calib.ledger.ledger import Attempt
from calib.ledger.pulse import close_open_stages
from calib.records import Outcome
from calib.stages.bundle import remove_bundle, write_bundle
from calib.stages.job import Job
from calib.stages.recording import book_of

log = logging.getLogger(__name__)


def state_message(job: Job, attempt: Attempt, outcome: Outcome) -> Outcome:
    """Close the attempt in the ledger and tell whoever reads message files.

    Always runs, also after a failure. The message file is written after the commit: a reader
    never sees a state that the ledger does not know. Where another attempt follows nobody is
    told: this is not how the job ends. A published job's work folder is removed (unless asked
    to be kept), and so is that of one of which there was nothing to make; a failed job's stays,
    so that the next attempt goes on there. Of both a bundle tells why.
    """
    book_of(job, attempt).last(attempt, lambda c: finish(c, attempt, outcome))
    if outcome.retry is not None:
        log.info("another attempt follows: %s", outcome.retry.reason)
        return outcome
    announce_end(job, attempt.number, outcome)
    if _is_published(outcome):
        remove_bundle(job)
    if outcome.state in {"processed", "skipped"}:
        _clean(job)
    return outcome


def announce_end(job: Job, number: int, outcome: Outcome) -> None:
    """Tell how a job has ended, after the ledger knows: a message file, a bundle of a failure.

    Also for ends that no worker told: of one that is gone, or was never begun.

    Parameters
    ----------
    job
        The job.
    number
        Its last attempt.
    outcome
        How it ended; no other attempt follows.
    """
    announce(job, _message_state(outcome), outcome)
    if outcome.state in {"error", "blocked"} or _is_empty(outcome):
        write_bundle(job, number, outcome)


def close_from_outside(job: Job, attempt: Attempt, outcome: Outcome) -> None:
    """Close an attempt whose own thread cannot: the stage that it hangs in is closed with it."""
    book_of(job, attempt).later(lambda c: close_open_stages(c, attempt, outcome.reason))
    state_message(job, attempt, outcome)


def _clean(job: Job) -> None:
    """Remove the work folder, unless products are in it or somebody wants it."""
    if not job.options.keep_scratch and job.output is not None:
        shutil.rmtree(job.folder, ignore_errors=True)


def announce(job: Job, state: str, outcome: Outcome | None = None) -> None:
    """Write the message file of a state, if message files were asked for.

    A message that cannot be written is a warning: the ledger is the truth, and products that
    are published stay published.
    """
    if job.options.messages == "none":
        return
    try:
        lines = _lines(job, outcome) if outcome else []
        write_message(job.messages_folder, job.options.messages, state, job.dataset, lines)
    except HstflowError as error:
        log.warning("the message file was not written: %s", error)


def _lines(job: Job, outcome: Outcome) -> list[str]:
    """Return one line per published file, as CALDP writes them, or the reason of an error."""
    if not _is_published(outcome) or job.output is None:
        return [outcome.reason]
    manifest = open_output(job.output).current_manifest(job.id)
    return [entry.name for entry in manifest.files] if manifest else []


def _is_published(outcome: Outcome) -> bool:
    return outcome.state in {"processed", "skipped"} and outcome.uri is not None


def _is_empty(outcome: Outcome) -> bool:
    """Tell whether there was nothing to make: no failure, and nothing that could be fetched."""
    return outcome.state == "skipped" and outcome.uri is None


def _message_state(outcome: Outcome) -> str:
    """CALDP knows processed, error and terminated; what is already published is processed.

    Where there was nothing to make CALDP writes ``processed``, and whoever watches for that
    comes for files that there are not: here it is ``skipped``.
    """
    if _is_published(outcome):
        return "processed"
    return {"cancelled": "terminated", "skipped": "skipped"}.get(outcome.state, "error")
