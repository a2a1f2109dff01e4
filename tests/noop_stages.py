"""Six stages that do nothing but be recorded: what a campaign costs without its datasets."""

from __future__ import annotations

from calib.ledger.ledger import Attempt
from calib.records import Archived, Outcome, Previews, Products, RawInputs, References
from calib.stages import state_message as closing
from calib.stages.archive import Made
from calib.stages.job import Job
from calib.stages.recording import recorded
from calib.stages.sequence import Stages, guarded
from calib.stages.workfolder import Finished


def fetch(job: Job, attempt: Attempt) -> Finished[RawInputs]:
    """Find no file."""
    with recorded(job, attempt, "fetch"):
        return Finished(RawInputs(job.dataset, job.source, ()), reused=False)


def bestrefs(job: Job, attempt: Attempt, _inputs: RawInputs) -> Finished[References]:
    """Choose nothing."""
    with recorded(job, attempt, "bestrefs"):
        return Finished(References(job.context, "0", ()), reused=False)


def calibrate(
    job: Job, attempt: Attempt, _inputs: RawInputs, _references: References
) -> Finished[Products]:
    """Make nothing; faults that were asked for happen here."""
    nothing = Finished(Products((), "no-op", "0"), reused=False)
    with recorded(job, attempt, "calibrate"):
        return guarded(job, attempt, "calibrate", lambda: nothing)


def preview(
    job: Job, attempt: Attempt, _inputs: RawInputs, _products: Products
) -> Finished[Previews]:
    """Draw nothing."""
    with recorded(job, attempt, "preview"):
        return Finished(Previews(), reused=False)


def archive(job: Job, attempt: Attempt, _made: Made) -> Archived:
    """Publish nothing."""
    with recorded(job, attempt, "archive"):
        return Archived(job.run, f"none:{job.dataset}", "0" * 64)


def state_message(job: Job, attempt: Attempt, outcome: Outcome) -> Outcome:
    """Close the attempt, as always."""
    with recorded(job, attempt, "state-message"):
        return closing.state_message(job, attempt, outcome)


PLAIN = Stages(fetch, bestrefs, calibrate, preview, archive, state_message)
