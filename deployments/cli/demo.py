"""`hstflow demo`: a programme of datasets through loopback MAST, CRDS, Prefect and Dask."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from deployments.cli.console import Flag, err, out, print_json, show_logs, styled

if TYPE_CHECKING:
    from calib.ledger.reports import JobSummary, StageRun
    from calib.references.profile import CrdsProfile
    from calib.simulate.programme import Programme
    from calib.stages.planning import Request

CAMPAIGN = "demo"
ENDED = ("processed", "skipped", "error", "blocked", "cancelled")


@dataclass(frozen=True)
class DemoFolder:
    """Where everything of the demo lies; nothing is written anywhere else."""

    root: Path

    @property
    def archive(self) -> Path:
        """Products."""
        return self.root / "archive"

    @property
    def ledger(self) -> str:
        """URL of the ledger."""
        return f"sqlite:///{self.root / 'ledger.db'}"

    @property
    def prefect(self) -> Path:
        """Home of the private Prefect server."""
        return self.root / "prefect"


def demo(
    folder: Path = Path("demo"),
    *,
    workers: int = 2,
    up: Flag = False,
    json: Flag = False,
) -> int:
    """Calibrate a simulated programme of sixteen datasets, with no network.

    A loopback MAST and CRDS serve simulated exposures and references to the real clients;
    Prefect and a Dask cluster run the datasets. One of them is broken on purpose and ends as
    a clear error while the others finish. A second run says that there is nothing to do.

    Parameters
    ----------
    folder
        Where everything goes: archive, ledger, caches, Prefect's database.
    workers
        Processes of the Dask cluster.
    up
        Submit it to the `hstflow up` of this PREFECT_HOME, or the server of PREFECT_API_URL,
        and end: it runs there, is in that ledger, and is followed in the dashboard.
    json
        Write JSON to stdout.
    """
    show_logs(verbose=False, quiet=True)
    where = DemoFolder(folder.absolute())
    if up:
        return _submit(where, json=json)
    started = time.monotonic()
    programme, ran = _run(where, workers)
    jobs = _jobs(where)
    if json:
        print_json([asdict(job) for job in jobs])
    else:
        _report(where, programme, jobs, seconds=time.monotonic() - started, ran=ran)
    good = {job.dataset for job in jobs if job.state in {"processed", "skipped"}}
    return int(good != set(programme.datasets) - {programme.broken})


def _submit(where: DemoFolder, *, json: bool) -> int:
    """Have the campaign run by what is up, and say where it is seen."""
    from deployments.cli.demo_up import ready_server, submit

    server = ready_server(os.environ)  # before a minute of simulation
    with err.status("simulating exposures, references and CRDS contexts"):
        found = submit(where.root, server, CAMPAIGN, os.environ)
    if json:
        print_json(asdict(found))
        return 0
    out.print(f"campaign {CAMPAIGN} of {found.datasets} datasets is submitted", soft_wrap=True)
    if found.page:
        out.print(f"it begins in some seconds: {escape(found.page)}", soft_wrap=True)
    out.print(
        f"{found.broken} is broken on purpose; a good copy of it can be fetched from",
        soft_wrap=True,
    )
    out.print(f"  {escape(found.redelivered)}", soft_wrap=True)
    return 0


def _run(where: DemoFolder, workers: int) -> tuple[Programme, bool]:
    """Run what is left of the campaign; tell whether there was anything."""
    from calib.simulate.programme import build_programme

    if not _is_finished(where):
        wait = _start_server(where)
        with err.status("simulating exposures, references and CRDS contexts"):
            programme = build_programme(where.root / "observatory")
        with err.status("starting the Prefect server"):
            wait()
        with _observatory_online(where, programme) as profile:
            request = _request(where, profile, programme.contexts[1])
            _start_campaign(request, programme, workers)
        return programme, True
    return build_programme(where.root / "observatory"), False


def _is_finished(where: DemoFolder) -> bool:
    """Tell whether every dataset has ended; the broken one stays broken."""
    return bool(_jobs(where)) and all(job.state in ENDED for job in _jobs(where))


def _jobs(where: DemoFolder) -> list[JobSummary]:
    """Return the jobs of the demo, in order of their names; none before the first run."""
    from calib.ledger.reading import open_reader
    from calib.ledger.reports import recent_jobs

    with open_reader(where.ledger) as rows:
        jobs = recent_jobs(rows, campaign=CAMPAIGN, number=1000) if rows else []
    return sorted(jobs, key=lambda job: job.dataset)


def _start_server(where: DemoFolder) -> Callable[[], None]:
    """Start a private Prefect server unless PREFECT_API_URL names one; return how to wait."""
    from flows.private_server import PrivateServer, set_defaults

    set_defaults()
    if os.environ.get("PREFECT_API_URL"):
        return lambda: None
    return PrivateServer(where.prefect).wait


@contextmanager
def _observatory_online(where: DemoFolder, programme: Programme) -> Iterator[CrdsProfile]:
    """Serve the programme: MAST to the workers by environment, CRDS by the profile given."""
    from calib.fetch.options import DOWNLOADS_VARIABLE, URL_VARIABLE
    from calib.references.profile import CrdsProfile
    from calib.simulate.crds_server import CrdsServer
    from calib.simulate.mast_server import MastServer

    with ExitStack() as stack:
        mast = stack.enter_context(MastServer(programme.raws, programme.associations))
        crds = stack.enter_context(CrdsServer(programme.crds_path))
        # The workers are processes: they find MAST as any process does, by its environment.
        os.environ[URL_VARIABLE] = mast.url
        os.environ[DOWNLOADS_VARIABLE] = str(where.root / "downloads")
        yield CrdsProfile(name="demo", server_url=crds.url, cache=where.root / "crds_cache")


def _request(where: DemoFolder, profile: CrdsProfile, context: str) -> Request:
    from calib.stages.planning import Request

    return Request(
        source="astroquery:",
        output=f"file:{where.archive}",
        profile=profile,
        work=str(where.root / "work"),
        ledger=where.ledger,
        context=context,
    )


def _start_campaign(request: Request, programme: Programme, workers: int) -> None:
    from calib.campaigns.manifest import entries_of
    from calib.compiled import warm_up
    from calib.stages.campaign_plan import CampaignPlan

    with err.status("compiling the loops, once"):
        warm_up()
    with err.status("starting Dask"):
        from flows.campaign import submit_campaign
    plan = CampaignPlan(replace(request, campaign=CAMPAIGN), workers=workers)
    with _progress(request.ledger, len(programme.datasets)):
        submit_campaign(plan, entries_of(programme.datasets))


@contextmanager
def _progress(ledger: str, total: int) -> Iterator[None]:
    """Show how many datasets have ended, read from the ledger while the campaign runs."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=err, transient=True) as progress:
        bar = progress.add_task("datasets", total=total)
        done = threading.Event()

        def follow() -> None:
            while not done.wait(0.3):
                progress.update(bar, completed=_ended(ledger))

        thread = threading.Thread(target=follow, name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def _ended(ledger: str) -> int:
    from calib.ledger.reading import open_reader
    from calib.ledger.reports import count_states

    with open_reader(ledger) as rows:
        counts = count_states(rows, campaign=CAMPAIGN) if rows else {}
    return sum(counts.get(state, 0) for state in ENDED)


def _report(
    where: DemoFolder, programme: Programme, jobs: list[JobSummary], *, seconds: float, ran: bool
) -> None:
    if not ran:
        out.print("nothing to do: every dataset of the demo has ended before")
    out.print(_table(where, jobs))
    if ran:
        out.print(f"{len(jobs)} datasets in {seconds:.0f} s")
    for job in jobs:
        if job.state == "error":
            planned = " (broken on purpose)" if job.dataset == programme.broken else ""
            out.print(f"{job.dataset}  {styled(job.state)}{planned}  {escape(job.reason or '')}")
    _say_where(where)


def _table(where: DemoFolder, jobs: list[JobSummary]) -> Table:
    """Return a table of dataset x stage with seconds."""
    from calib.ledger.reading import open_reader
    from calib.ledger.reports import stages_of
    from calib.stages.policy import STAGES

    table = Table("dataset", *STAGES, "state", title="seconds in each stage")
    with open_reader(where.ledger) as rows:
        if rows is None:
            return table
        for job in jobs:
            stages = {run.stage: run for run in stages_of(rows, job, last_only=True)}
            cells = [_cell(stages.get(stage)) for stage in STAGES]
            table.add_row(job.dataset, *cells, styled(job.state))
    return table


def _cell(run: StageRun | None) -> str:
    if run is None:
        return "-"
    if run.state == "error":
        return "[red]error[/red]"
    return f"{run.wall or 0:.2f}"


def _say_where(where: DemoFolder) -> None:
    lines: Mapping[str, str] = {
        "products": f"{where.archive}/data/acs/",
        "pictures": f"{where.archive}/data/acs/*/previews/*.jpg",
        "ledger": f"HSTFLOW_LEDGER={where.ledger} hstflow status",
        "Prefect": f"PREFECT_HOME={where.prefect} prefect server start, "
        "then open http://127.0.0.1:4200",
    }
    for name, text in lines.items():
        out.print(f"{name:9} {escape(text)}", soft_wrap=True)
