"""Preview as a Prefect task."""

from __future__ import annotations

from calib.ledger.ledger import Attempt
from calib.records import Previews, Products, RawInputs
from calib.stages.job import Job
from calib.stages.sequence import run_preview
from calib.stages.workfolder import Finished
from tasks.policies import stage_task


@stage_task("preview")
def preview(
    job: Job, attempt: Attempt, inputs: RawInputs, products: Products
) -> Finished[Previews]:
    """Draw the previews."""
    return run_preview(job, attempt, inputs, products)
