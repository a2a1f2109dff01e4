"""One dataset as a Prefect flow run: fetch, bestrefs, calibrate, preview, archive, message."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from prefect import flow

from calib.errors import HstflowError
from calib.ledger.ledger import Attempt
from calib.records import Outcome, RawInputs
from calib.stages import sequence
from calib.stages.job import Job
from calib.stages.planning import plan_jobs
from calib.stages.workfolder import Finished
from flows.dataset_page import show_dataset
from flows.form import OPTIONS, Context, Dataset, InputUri, OutputUri, Profile, RunName
from flows.parameters import ProcessOptions, build_request
from flows.run_page import label_run, tags_of
from tasks.archive import archive
from tasks.bestrefs import bestrefs
from tasks.calibrate import calibrate
from tasks.downloads import download_turn
from tasks.fetch import fetch
from tasks.preview import preview
from tasks.settings import limit_reference_memory, load_settings
from tasks.state_message import state_message

TASKS = sequence.Stages(
    fetch=fetch,
    bestrefs=bestrefs,
    calibrate=calibrate,
    preview=preview,
    archive=archive,
    state_message=state_message,
)


def _fetch_in_turn(job: Job, attempt: Attempt) -> Finished[RawInputs]:
    with download_turn(job):
        return sequence.PLAIN.fetch(job, attempt)


# The stages of a campaign that shows no task for each: downloads still take turns.
PLAIN = replace(sequence.PLAIN, fetch=_fetch_in_turn)


class DatasetFailed(HstflowError):
    """A dataset ended in an error or is blocked.

    Parameters
    ----------
    outcome
        How it ended: the flow run shows the same reason.
    """

    def __init__(self, message: str, *, outcome: Outcome) -> None:
        super().__init__(message, dataset=outcome.dataset, code=outcome.code)
        self.outcome = outcome


@flow(
    name="process-dataset",
    flow_run_name="process-{dataset}",
    persist_result=False,
    description="Calibrate one HST dataset: fetch, bestrefs, calibrate, preview, archive, message.",
)
def process_dataset(
    dataset: Dataset,
    input_uri: InputUri = "file:.",
    output_uri: OutputUri = "file:.",
    profile: Profile = None,
    context: Context = None,
    run: RunName = None,
    options: Annotated[ProcessOptions | None, OPTIONS] = None,
) -> Outcome:
    """Calibrate one dataset as a flow run on the server of PREFECT_API_URL.

    Parameters
    ----------
    dataset
        Name of an exposure or association.
    input_uri, output_uri, profile
        As CALDP's arguments: where the inputs are, where products go, how to reach CRDS.
    context
        CRDS context; the profile's or the server's operational one where not given.
    run
        Name of the output collection.
    options
        Engine, switches, custom references, previews, messages.

    Returns
    -------
    Outcome
        ``processed`` or ``skipped``, with the place of the products.

    Raises
    ------
    DatasetFailed
        The dataset ended in an error or is blocked; the ledger says the same.
    """
    limit_reference_memory(load_settings())
    request = build_request(
        input_uri, output_uri, profile, context, run, options or ProcessOptions()
    )
    job = plan_jobs(request, [dataset])[0]
    label_run(tags=tags_of(job.campaign, job.context, [job.id.instrument]))
    return process_job(job)


def process_job(job: Job) -> Outcome:
    """Run the six stages as tasks; an outcome that is not good fails the flow run."""
    outcome = sequence.process_dataset(job, TASKS)
    show_dataset(job, outcome)
    if outcome.code or outcome.state in {"error", "blocked"}:
        raise DatasetFailed(outcome.reason, outcome=outcome)
    return outcome
