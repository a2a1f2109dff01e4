"""`hstflow status`: what happened to datasets, at once: it reads the ledger and nothing else."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Annotated, Any, Literal

from cyclopts import Parameter, validators
from rich.markup import escape
from rich.table import Table

from calib.ids import parse_dataset
from calib.ledger.location import hide_credentials, ledger_url
from calib.ledger.reading import open_reader
from calib.ledger.reports import (
    JobSummary,
    Rows,
    count_states,
    current_run_of,
    history_of,
    jobs_of,
    recent_jobs,
    stages_of,
)
from deployments.cli.console import Flag, expand_names, out, print_json, styled
from deployments.cli.tables import plain_table, time_text

# The last column of a table keeps this many characters on a narrow terminal.
REASON_WIDTH = 20

State = Literal[
    "planned",
    "submitted",
    "processing",
    "processed",
    "synced",
    "archived",
    "skipped",
    "blocked",
    "error",
    "cancelled",
]


def status(
    *datasets: str,
    campaign: str | None = None,
    state: State | None = None,
    number: Annotated[int, Parameter(validator=validators.Number(gte=1))] = 20,
    json: Flag = False,
) -> int:
    """Show how many jobs are in each state and which changed last, or the story of datasets.

    Parameters
    ----------
    datasets
        Names, or @FILE with one name a line: their history, and what each stage cost.
    campaign
        Only jobs of this campaign.
    state
        Only jobs in this state.
    number
        How many jobs to list.
    json
        Write JSON to stdout.
    """
    names = [parse_dataset(name).name for name in expand_names(datasets)]
    url = ledger_url(os.environ)
    found: dict[str, Any] = {"ledger": hide_credentials(url), "exists": False}
    with open_reader(url) as rows:
        if rows is not None:
            found["exists"] = True
            found["counts"] = count_states(rows, campaign=campaign)
            found["datasets"] = [_story(rows, name, campaign, state) for name in names]
            found["jobs"] = [] if names else _recent(rows, campaign, state, number)
    if json:
        print_json(found)
    else:
        _print(found)
    return 0


def _recent(
    rows: Rows, campaign: str | None, state: str | None, number: int
) -> list[dict[str, Any]]:
    jobs = recent_jobs(rows, campaign=campaign, state=state, number=number)
    return [_with_stages(rows, job, last_only=True) for job in jobs]


def _story(rows: Rows, dataset: str, campaign: str | None, state: str | None) -> dict[str, Any]:
    jobs = jobs_of(rows, dataset, campaign=campaign)
    wanted = {job.id: job for job in jobs if state in {None, job.state}}
    return {
        "dataset": dataset,
        "current_run": current_run_of(rows, dataset),
        "jobs": [_with_stages(rows, job, last_only=False) for job in wanted.values()],
        "history": [asdict(c) for c in history_of(rows, dataset) if c.job_id in wanted],
    }


def _with_stages(rows: Rows, job: JobSummary, *, last_only: bool) -> dict[str, Any]:
    stages = stages_of(rows, job, last_only=last_only)
    return {**asdict(job), "stages": [asdict(stage) for stage in stages]}


def _print(found: dict[str, Any]) -> None:
    if not found["exists"]:
        message = f"nothing was processed yet: there is no ledger at {escape(found['ledger'])}"
        out.print(message, soft_wrap=True)
    elif found["datasets"]:
        for story in found["datasets"]:
            _print_story(story)
    else:
        _print_overview(found)


def _print_overview(found: dict[str, Any]) -> None:
    counts = [f"{styled(state)} {number}" for state, number in found["counts"].items()]
    out.print("jobs: " + (", ".join(counts) or "none"))
    if found["jobs"]:
        columns = ("dataset", "state", "stage", "changed (UTC)", "run", "context", "reason")
        table = _table(*columns)
        for job in found["jobs"]:
            cells = (_stage(job), time_text(job["updated_at"]), job["run"], job["context"])
            table.add_row(job["dataset"], styled(job["state"]), *cells, _reason(job))
        out.print(table)


def _print_story(story: dict[str, Any]) -> None:
    if not story["jobs"]:
        out.print(f"[bold]{story['dataset']}[/bold]: no job")
        return
    for job in story["jobs"]:
        names = f"run {job['run']}, campaign {job['campaign']}, context {job['context']}"
        out.print(f"[bold]{job['dataset']}[/bold] {styled(job['state'])}: {escape(names)}")
        if job["uri"]:
            mark = " (current)" if story["current_run"] == job["run"] else ""
            out.print(f"  products: {escape(job['uri'])}{mark}")
        _print_history([c for c in story["history"] if c["job_id"] == job["id"]])
        _print_stages(job["stages"])


def _print_history(history: list[dict[str, Any]]) -> None:
    table = _table("when (UTC)", "attempt", "state", "why")
    for change in history:
        attempt = "" if change["attempt"] is None else str(change["attempt"])
        reason = escape(change["reason"] or "")
        table.add_row(time_text(change["at"]), attempt, styled(change["to_state"]), reason)
    out.print(table)


def _print_stages(stages: list[dict[str, Any]]) -> None:
    if not stages:
        return
    table = _table("attempt", "stage", "ended", "wall s", "CPU s", "peak MB", "read MB", "wrote MB")
    for stage in stages:
        costs = (_number(stage["wall"]), _number(stage["cpu"]), *_megabytes(stage))
        end = styled(stage["state"])
        table.add_row(str(stage["attempt"]), stage["stage"], end, *costs)
    out.print(table)


def _table(*columns: str) -> Table:
    whole = tuple(each for each in columns[:-1] if each not in {"run", "context"})
    table = plain_table(*columns, whole=whole)
    table.columns[-1].min_width = REASON_WIDTH
    return table


def _stage(job: dict[str, Any]) -> str:
    """Name the stage that the last attempt reached, and how it ended if not well."""
    if not job["stages"]:
        return ""
    last = job["stages"][-1]
    fine = last["state"] in {"done", "reused"}
    return str(last["stage"]) if fine else f"{last['stage']} ({last['state']})"


def _reason(job: dict[str, Any]) -> str:
    kind = f"{job['error_class']} {job['code']}: " if job["error_class"] else ""
    return escape(f"{kind}{job['reason'] or ''}")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _megabytes(stage: dict[str, Any]) -> list[str]:
    return [
        "" if stage[name] is None else f"{stage[name] / 1e6:.1f}"
        for name in ("peak_rss", "bytes_in", "bytes_out")
    ]
