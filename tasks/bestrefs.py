"""Bestrefs as a Prefect task."""

from __future__ import annotations

from calib.ledger.ledger import Attempt
from calib.records import RawInputs, References
from calib.stages.job import Job
from calib.stages.sequence import run_bestrefs
from calib.stages.workfolder import Finished
from tasks.policies import stage_task


@stage_task("bestrefs")
def bestrefs(job: Job, attempt: Attempt, inputs: RawInputs) -> Finished[References]:
    """Choose the best references on the job's context."""
    return run_bestrefs(job, attempt, inputs)
