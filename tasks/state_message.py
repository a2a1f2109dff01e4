"""State-message as a Prefect task: ledger, one event, optional message file."""

from __future__ import annotations

from prefect.events import emit_event

from calib.ledger.ledger import Attempt
from calib.records import Outcome
from calib.stages.job import Job
from calib.stages.sequence import run_state_message
from tasks.policies import stage_task


@stage_task("state-message")
def state_message(job: Job, attempt: Attempt, outcome: Outcome) -> Outcome:
    """Close the job and tell the world, unless another attempt follows."""
    closed = run_state_message(job, attempt, outcome)
    if closed.retry is not None:
        return closed
    emit_event(
        event=f"hst.dataset.{closed.state}",
        resource={
            "prefect.resource.id": f"hst.dataset.{job.dataset}",
            "prefect.resource.name": job.dataset,
        },
        payload={
            "context": job.context,
            "run": closed.run,
            "reason": closed.reason,
            "code": closed.code,
            "error_class": closed.error_class,
            "uri": closed.uri,
        },
    )
    return closed
