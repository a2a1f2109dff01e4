"""`hstflow demo`: a simulated exposure with its references, through all six stages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.table import Table

from deployments.cli.console import err, out, print_json, show_logs, styled

if TYPE_CHECKING:
    from calib.ledger.reports import StageRun
    from calib.records import Outcome
    from calib.stages.job import Job


def demo(
    folder: Path = Path("demo"), *, json: Annotated[bool, Parameter(negative=())] = False
) -> int:
    """Simulate one HRC exposure with references and a tiny CRDS context, and process it.

    No network is needed. A second run says that there is nothing to do.

    Parameters
    ----------
    folder
        Where to put everything: raws, CRDS cache, products, work folder and ledger.
    json
        Write the outcome as JSON to stdout.
    """
    import dataclasses

    from calib.stages.sequence import process_dataset

    show_logs(verbose=False, quiet=json)
    with err.status("simulating an exposure, its references and a CRDS context"):
        job = plan_demo(folder.absolute())
    with err.status(f"processing {job.dataset}"):
        outcome = process_dataset(job)
    if json:
        print_json(dataclasses.asdict(outcome))
    else:
        _report(folder.absolute(), job, outcome)
    return outcome.code


def plan_demo(folder: Path) -> Job:
    """Build the observatory, or find the one built before, and plan its first dataset."""
    from calib.simulate.observatory import build_observatory
    from calib.stages.planning import Request, plan_jobs

    observatory = build_observatory(folder / "observatory")
    request = Request(
        source=f"file:{observatory.raws}",
        output=f"file:{folder / 'archive'}",
        profile=observatory.profile,
        work=str(folder / "work"),
        ledger=f"sqlite:///{folder / 'ledger.db'}",
        context=observatory.contexts[0],
    )
    return plan_jobs(request, observatory.datasets[:1])[0]


def _report(folder: Path, job: Job, outcome: Outcome) -> None:
    table = Table("stage", "seconds", "CPU", title=f"{job.dataset} on {job.context}")
    for stage in _last_stages(job):
        table.add_row(stage.stage, f"{stage.wall or 0:.2f}", f"{stage.cpu or 0:.2f}")
    if outcome.state == "processed":
        out.print(table)
    out.print(f"{styled(outcome.state)}  {outcome.reason}", soft_wrap=True)
    current = folder / "archive" / "data" / job.id.instrument / job.dataset
    if current.exists():
        out.print(f"products  {current}", soft_wrap=True)
        for preview in sorted((current / "previews").glob("*_flt.jpg")):
            out.print(f"picture   {preview}", soft_wrap=True)
        out.print(f"ledger    HSTFLOW_LEDGER={job.ledger} hstflow status", soft_wrap=True)


def _last_stages(job: Job) -> list[StageRun]:
    """Return the stage runs of the last attempt, from the ledger."""
    from calib.ledger.reports import stages_of
    from calib.stages.recording import ledger_of

    ledger = ledger_of(job.ledger)
    last = ledger.jobs_of(job.id)[-1]
    return ledger.ask(lambda rows: stages_of(rows, last, last_only=True))
