"""What the flow run of one dataset shows in Prefect: its stages, why it failed, its pictures.

All of them have one key, `dataset`: a key for each would fill the page of artifacts.
"""

from __future__ import annotations

import logging

from prefect.context import FlowRunContext, SyncClientContext

from calib.ledger.campaign_excerpt import thumbnails_at
from calib.ledger.ledger import Ledger
from calib.ledger.reports import JobSummary, StageRun, jobs_of, stages_of
from calib.records import Outcome
from calib.stages.job import Job
from calib.stages.recording import ledger_of
from flows.artifacts import LARGEST_PICTURE, Shelf, plain
from flows.campaign_pages import CELLS, STAGES, dataset_url, table
from flows.pictures import read_picture
from tasks.settings import load_settings

log = logging.getLogger(__name__)

KEY = "dataset"
MOST_PICTURES = 6
_MB = 1e6


def show_dataset(job: Job, outcome: Outcome) -> None:
    """Show how a dataset ended in the page of its flow run; nothing outside of one."""
    here = FlowRunContext.get()
    if here is None or here.flow_run is None:
        return
    try:
        page = page_of(ledger_of(job.ledger), job, outcome, load_settings().dashboard_url)
        with SyncClientContext.get_or_create() as kept:
            Shelf(kept.client, here.flow_run.id).markdown(KEY, page, f"Dataset {job.dataset}")
    except Exception as error:  # noqa: BLE001 - the boundary: what is published has not failed
        log.info("%s is not shown: %s", job.dataset, error)


def page_of(ledger: Ledger, job: Job, outcome: Outcome, dashboard: str | None) -> str:
    """Return the page of a dataset as Markdown.

    Parameters
    ----------
    ledger
        Where its stages and pictures are known.
    job, outcome
        What it was, and how it ended.
    dashboard
        Address of the dashboard; None: it is not known.

    Raises
    ------
    HstflowError
        The ledger does not answer.
    """
    found = [
        each
        for each in ledger.ask(lambda rows: jobs_of(rows, job.dataset, campaign=job.campaign))
        if each.run == job.run
    ]
    parts = [f"# {job.dataset}: {outcome.state}", plain(outcome.reason, 1000)]
    parts += [f"- {plain(each)}" for each in outcome.warnings]
    parts += _stages(ledger, found[-1]) if found else []
    parts += _places(job, outcome, dashboard)
    parts += _pictures(ledger, outcome)
    return "\n\n".join(parts)


def _stages(ledger: Ledger, found: JobSummary) -> list[str]:
    runs = ledger.ask(lambda rows: stages_of(rows, found, last_only=True))
    last = {run.stage: run for run in runs}
    rows = [_row(last[stage]) for stage in STAGES if stage in last]
    return ["\n".join(table(("stage", "state", "seconds", "MB", "error"), rows))]


def _row(run: StageRun) -> tuple[str, ...]:
    wall = "-" if run.wall is None else f"{run.wall:.2f}"
    memory = "-" if run.peak_rss is None else f"{run.peak_rss / _MB:.0f}"
    return run.stage, CELLS.get(run.state, run.state), wall, memory, plain(run.error or "")


def _places(job: Job, outcome: Outcome, dashboard: str | None) -> list[str]:
    page = dataset_url(dashboard, job.dataset)
    lines = [f"Context: `{job.context}`", f"Products: `{outcome.uri}`" if outcome.uri else ""]
    lines.append(f"[Page of the dashboard]({page})" if page else "")
    return [line for line in lines if line]


def _pictures(ledger: Ledger, outcome: Outcome) -> list[str]:
    if outcome.uri is None:
        return []
    dataset, place = outcome.dataset, outcome.uri
    thumbs = ledger.ask(
        lambda rows: thumbnails_at(
            rows, dataset, place, most=MOST_PICTURES, largest=LARGEST_PICTURE
        )
    )
    shown = [(each, url) for each in thumbs if (url := read_picture(each))]
    return [f"{plain(each.name)}\n\n![{plain(each.name)}]({url})" for each, url in shown]
