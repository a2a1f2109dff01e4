"""Fetch as a Prefect task."""

from __future__ import annotations

from calib.ledger.ledger import Attempt
from calib.records import RawInputs
from calib.stages.job import Job
from calib.stages.sequence import run_fetch
from calib.stages.workfolder import Finished
from tasks.downloads import download_turn
from tasks.policies import stage_task


@stage_task("fetch")
def fetch(job: Job, attempt: Attempt) -> Finished[RawInputs]:
    """Copy and verify the raw inputs."""
    with download_turn(job):
        return run_fetch(job, attempt)
