"""What benchmarks/campaign.py measures, each in a process of its own.

``python campaign_child.py KIND JSON`` prints what it found as JSON on its last line.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Where it is noted that a certain dataset has begun or ended: the benchmark's clock begins when
# the workers are at work. ``FOLDER:FIRST:LAST``, FIRST and LAST being names of datasets.
MARKS = "HSTFLOW_BENCHMARK_MARKS"

# The module that has the stages, TASKS and PLAIN; that of stages that do nothing by default.
STAGES = "HSTFLOW_BENCHMARK_STAGES"

CONTEXT = "hst_0001.pmap"
PIECES = 6  # calls, or Luigi's tasks, of one dataset: as many as there are stages


def run_campaign(asked: dict[str, Any]) -> dict[str, float]:
    """Run a campaign of stages that do nothing; tell what entering it cost."""
    from calib.campaigns.manifest import entries_of
    from calib.references.profile import CrdsProfile
    from calib.stages.campaign_plan import CampaignPlan
    from calib.stages.enrolment import enrol
    from calib.stages.job import Options
    from calib.stages.planning import Request
    from flows.campaign import resume_campaign
    from flows.work import Work

    folder = Path(asked["folder"])
    request = Request(
        source=f"file:{folder}",
        output="none",
        profile=CrdsProfile("benchmark", "http://127.0.0.1:9", folder),
        work=str(folder / "work"),
        ledger=asked["ledger"],
        context=CONTEXT,
        campaign="benchmark",
        options=Options(engine="native"),
    )
    plan = CampaignPlan(request, asked["runner"], asked["workers"], asked["style"])
    start = time.process_time()
    enrol(plan, entries_of(name_of(number) for number in range(asked["number"])))
    entered = time.process_time() - start
    module = os.environ.get(STAGES, "campaign_stages")
    work = Work(f"{module}:TASKS", f"{module}:PLAIN")
    resume_campaign("benchmark", asked["ledger"], work=work)
    return {"enrolment": entered}


def run_dask(asked: dict[str, Any]) -> dict[str, float]:
    """Map six calls of nothing over the datasets with Dask alone: no states, no history."""
    import psutil
    from distributed import Client, LocalCluster

    def cpu() -> tuple[float, float]:
        workers = [child.cpu_times() for child in psutil.Process().children(recursive=True)]
        return time.process_time(), sum(each.user + each.system for each in workers)

    with (
        LocalCluster(
            n_workers=asked["workers"], threads_per_worker=1, dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster) as client,
    ):
        client.gather(client.map(six_calls, range(100), pure=False))
        before, start = cpu(), time.perf_counter()
        client.gather(client.map(six_calls, range(asked["number"]), pure=False))
        after = cpu()
        return {
            "client": after[0] - before[0],
            "workers": after[1] - before[1],
            "wall": time.perf_counter() - start,
        }


def run_luigi(asked: dict[str, Any]) -> dict[str, float]:
    """Let Luigi run six tasks of nothing per dataset, with targets in a folder."""
    luigi = importlib.import_module("luigi")
    chain = luigi_chain(luigi, Path(asked["folder"]))
    lasts = [chain(number=number, piece=PIECES - 1) for number in range(asked["number"])]
    before, start = luigi_cpu(), time.perf_counter()
    done = luigi.build(lasts, local_scheduler=True, workers=asked["workers"], log_level="CRITICAL")
    if not done:
        raise RuntimeError("Luigi has failed")
    after = luigi_cpu()
    return {
        "client": after[0] - before[0],
        "workers": after[1] - before[1],
        "wall": time.perf_counter() - start,
    }


def luigi_chain(luigi: Any, folder: Path) -> Any:
    """Return the class of Luigi's tasks: each needs the one before, and leaves an empty file."""

    class Piece(luigi.Task):  # type: ignore[misc]
        number = luigi.IntParameter()
        piece = luigi.IntParameter()

        def requires(self) -> list[Any]:
            return [Piece(number=self.number, piece=self.piece - 1)] if self.piece else []

        def output(self) -> Any:
            return luigi.LocalTarget(str(folder / f"{self.number}-{self.piece}"))

        def run(self) -> None:
            Path(self.output().path).touch()

    return Piece


def luigi_cpu() -> tuple[float, float]:
    """Return CPU seconds of this process, and of the children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time(), usage.ru_utime + usage.ru_stime


def six_calls(number: int) -> int:
    """Call nothing six times."""
    for _ in range(PIECES):
        number = nothing(number)
    return number


def nothing(number: int) -> int:
    """Return what was given."""
    return number


def name_of(number: int) -> str:
    """Return the name of a dataset."""
    return f"j{number:08d}"


KINDS: dict[str, Callable[[dict[str, Any]], dict[str, float]]] = {
    "campaign": run_campaign,
    "dask": run_dask,
    "luigi": run_luigi,
}

if __name__ == "__main__":
    found = KINDS[sys.argv[1]](json.loads(sys.argv[2]))
    sys.stdout.write("\n" + json.dumps(found) + "\n")
    sys.stdout.flush()
