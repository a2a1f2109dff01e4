"""Archive as a Prefect task."""

from __future__ import annotations

from calib.ledger.ledger import Attempt
from calib.records import Archived
from calib.stages.archive import Made
from calib.stages.job import Job
from calib.stages.sequence import run_archive
from tasks.policies import stage_task


@stage_task("archive")
def archive(job: Job, attempt: Attempt, made: Made) -> Archived:
    """Publish the products once, atomically."""
    return run_archive(job, attempt, made)
