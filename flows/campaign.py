"""Many datasets on one frozen context: one Dask task each, in which six stage tasks run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.states import Completed, Failed

from calib.campaigns.manifest import FINISHED, left_to_do, read_manifest, read_names
from calib.compiled import warm_up
from calib.errors import CONTAINER_MEMORY, HstflowError
from calib.ledger.ledger import Ledger
from calib.ledger.reports import states_in
from calib.records import Outcome
from calib.stages.job import Job
from calib.stages.planning import Request, plan_jobs
from calib.stages.recording import ledger_of
from flows.dataset import DatasetFailed, process_job
from flows.interrupts import interruptible
from flows.runners import make_runner
from flows.work import Work
from tasks.settings import limit_reference_memory, load_settings

if TYPE_CHECKING:
    from calib.campaigns.manifest import Entry
    from calib.stages.campaign_plan import CampaignPlan

# Jobs submitted to the runner and not finished, per worker: enough to keep each busy, few
# enough that a campaign of a hundred thousand is not held in memory.
AHEAD = 4


@dataclasses.dataclass(frozen=True)
class Result:
    """How a session of a campaign ended.

    Attributes
    ----------
    outcome
        ``completed``, ``failed``, ``paused``, ``cancelled`` or ``interrupted``.
    message
        One line for people: ``20 of 200 datasets are not finished: ...``.
    counts
        Datasets of the campaign by state, from the ledger.
    """

    outcome: str
    message: str
    counts: dict[str, int]


def submit_campaign(plan: CampaignPlan, entries: Iterable[Entry], *, work: Work = Work()) -> Result:
    """Enter a campaign in the ledger and run it until nothing is left, or it is stopped."""
    raise NotImplementedError


def resume_campaign(
    name: str,
    ledger: str,
    *,
    runner: str | None = None,
    workers: int | None = None,
    work: Work = Work(),
) -> Result:
    """Go on with a campaign that the ledger knows; runner and workers may be others."""
    raise NotImplementedError


@task(
    name="dataset",
    task_run_name="dataset-{job.dataset}",
    retries=0,
    persist_result=False,
    cache_policy=NO_CACHE,
)
def dataset(job: Job) -> Outcome:
    """Take one dataset through its six stage tasks, on a worker."""
    return process_job(job)


@flow(
    name="campaign",
    flow_run_name="campaign-{name}",
    persist_result=False,
    validate_parameters=False,
    description="Calibrate many HST datasets on one context; finished ones are skipped.",
)
def run_campaign(name: str, request: Request, workers: int) -> State[Any]:
    """Run what is left of a campaign that the ledger knows; one bad dataset stops no other.

    Returns
    -------
    State
        Completed where every dataset of the campaign is finished, else Failed with counts:
        the final state comes from the ledger, not from what this process happened to see.
    """
    ledger = ledger_of(request.ledger)
    left = left_to_do(states_in_order(ledger, name))
    jobs = plan_jobs(request, left) if left else []
    for job, future in _submitted(jobs, AHEAD * workers):
        _settle(job, future)
    return _final_state(ledger, name)


def start_campaign(
    name: str,
    datasets: Iterable[str] | Path,
    request: Request,
    *,
    runner: str = "local",
    workers: int = 2,
) -> State[Any]:
    """Plan a campaign and run what is left of it on the server of PREFECT_API_URL.

    Parameters
    ----------
    name
        Name of the campaign. The same name goes on where it stopped.
    datasets
        Names, or the path of a manifest.
    request
        Inputs, output, profile, context (frozen now), options.
    runner, workers
        As :func:`flows.runners.make_runner`.

    Raises
    ------
    ConfigError, ContextError
        Something cannot work: nothing was started.
    """
    limit_reference_memory(load_settings())  # of this process; local workers set their own
    request = plan_campaign(name, datasets, request)
    if runner == "local":
        warm_up()  # once, instead of in each worker
    task_runner = make_runner(runner, workers, Path(request.work) / "dask")
    try:
        state: State[Any] = run_campaign.with_options(task_runner=task_runner)(
            name, request, workers, return_state=True
        )
    finally:
        ledger_of(request.ledger).mark_dead_owners()
    return state


def plan_campaign(name: str, datasets: Iterable[str] | Path, request: Request) -> Request:
    """Enter a campaign and its jobs in the ledger.

    Returns
    -------
    Request
        With the context resolved: it is frozen with the campaign, and a later context is
        another campaign. So are the references of a calibration collection.
    """
    ids = read_manifest(datasets) if isinstance(datasets, Path) else read_names(datasets)
    request = dataclasses.replace(request, campaign=name)
    first = plan_jobs(request, [ids[0].name])[0]
    ledger = ledger_of(request.ledger)
    ledger.mark_dead_owners()
    ledger.ensure_campaign(name, context=first.context)
    ledger.plan(name, ids, first.run, context=first.context)
    return dataclasses.replace(request, context=first.context, options=first.options)


def states_in_order(ledger: Ledger, name: str) -> dict[str, str]:
    """Return the state of every dataset of a campaign, in the order of the manifest."""
    return ledger.ask(lambda rows: states_in(rows, name))


def _submitted(jobs: Sequence[Job], ahead: int) -> Iterator[tuple[Job, PrefectFuture[Outcome]]]:
    """Submit the jobs, `ahead` of those that have ended, and yield each as soon as it ends."""
    running: dict[Any, Job] = {}
    with interruptible() as ended:
        for job in jobs:
            ended.check()
            _enter(job)
            future = dataset.submit(job)
            running[future.task_run_id] = job
            future.add_done_callback(ended.put)
            if len(running) >= ahead:
                done = ended.next()
                yield running.pop(done.task_run_id), done
        while running:
            done = ended.next()
            yield running.pop(done.task_run_id), done


def _enter(job: Job) -> None:
    """Write the ledger row before anything starts: what is submitted can be found again."""
    ledger_of(job.ledger).submit(job.campaign, job.id, job.run, context=job.context)


def _settle(job: Job, future: PrefectFuture[Outcome]) -> None:
    """Take a job's end; a worker that was lost with it becomes an error of that dataset."""
    try:
        future.result()
    except DatasetFailed:
        return
    except Exception as error:  # noqa: BLE001 - the boundary: one dataset stops no other
        _record_loss(job, error)


def _record_loss(job: Job, error: Exception) -> None:
    ledger = ledger_of(job.ledger)
    ledger.mark_dead_owners()
    row = ledger.jobs_of(job.id, campaign=job.campaign)[-1]
    if row.state in {"submitted", "processing"}:
        code = error.code if isinstance(error, HstflowError) else CONTAINER_MEMORY
        reason = f"the worker was lost: {type(error).__name__}: {error}"
        ledger.change_state(row.id, "error", reason, error_class=type(error).__name__, code=code)


def _final_state(ledger: Ledger, name: str) -> State[Any]:
    counts = ledger.count_states(campaign=name)
    total, text = sum(counts.values()), ", ".join(f"{n} {state}" for state, n in counts.items())
    left = total - sum(counts.get(state, 0) for state in FINISHED)
    if left:
        return Failed(message=f"{left} of {total} datasets are not finished: {text}")
    return Completed(message=f"all {total} datasets are finished: {text}")
