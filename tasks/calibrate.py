"""Calibrate as a Prefect task."""

from __future__ import annotations

from calib.ledger.ledger import Attempt
from calib.records import Products, RawInputs, References
from calib.stages.job import Job
from calib.stages.sequence import run_calibrate
from calib.stages.workfolder import Finished
from tasks.policies import stage_task


@stage_task("calibrate")
def calibrate(
    job: Job, attempt: Attempt, inputs: RawInputs, references: References
) -> Finished[Products]:
    """Calibrate with the engine that covers the dataset."""
    return run_calibrate(job, attempt, inputs, references)
