"""How benchmarks/campaign.py measures: processes looked at from outside, at three moments."""

from __future__ import annotations

import dataclasses
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from campaign_child import CONTEXT, MARKS, name_of
from campaign_databases import LedgerPlace, tree_cpu, tree_times

from flows.private_server import PrivateServer

ROOT = Path(__file__).parents[1]
FIRST = 20  # datasets before the clock begins: each worker has imported everything
LOOK = 0.01  # seconds between two looks for a mark
TASKS = 6  # Prefect tasks of one dataset
DRAIN = 15.0  # seconds without a new row after which the server is taken to have caught up
PAUSE = 1.0  # seconds between two looks at the server's rows
LIMIT = 3600.0  # seconds for one row


@dataclass(frozen=True)
class Row:
    """What one line shows; milliseconds for each dataset, bytes, seconds of start-up.

    Attributes
    ----------
    label, kind, number
        What ran; style and runner of a campaign; datasets.
    cpu, wall
        Milliseconds for each dataset.
    startup
        CPU seconds besides: imports, cluster, end.
    peak, grown
        Largest memory of the campaign's process, and by how much it grew while at work.
    size, shown_size
        Bytes for each dataset in the ledger and in Prefect's database.
    processed, stages, task_runs
        Jobs and stage runs in the ledger, finished task runs that Prefect has.
    """

    label: str
    kind: tuple[str, str]
    number: int
    cpu: dict[str, float]
    wall: float
    startup: float | None = None
    peak: int | None = None
    grown: int | None = None
    size: float | None = None
    shown_size: float | None = None
    processed: int = 0
    stages: int = 0
    task_runs: int | None = None

    @property
    def total(self) -> float:
        """CPU milliseconds for each dataset."""
        return sum(self.cpu.values())

    def record(self) -> dict[str, Any]:
        """Return what goes into JSON."""
        return {**dataclasses.asdict(self), "total": self.total}


@dataclass(frozen=True)
class Moment:
    """CPU seconds so far, task runs that Prefect has, time, memory of the campaign's process."""

    client: float = 0.0
    workers: float = 0.0
    server: float = 0.0
    ledger: float = 0.0
    runs: int = 0
    time: float = 0.0
    rss: int = 0


@dataclass
class Watched:
    """A campaign's process, with the moments at which its clock began and stopped."""

    process: subprocess.Popen[str]
    server: PrivateServer
    ledger: LedgerPlace
    folder: Path
    moments: dict[str, Moment] = field(default_factory=dict)
    peak: int = 0

    def watch(self) -> None:
        """Look for marks until the process ends."""
        deadline = time.monotonic() + LIMIT
        while self.process.poll() is None:
            for name in ("first", "last"):
                if name not in self.moments and (self.folder / name).exists():
                    self.moments[name] = self.look()
            self.peak = max(self.peak, peak_of(self.process.pid))
            if time.monotonic() > deadline:
                self.process.kill()
                raise TimeoutError(f"a campaign has not ended after {LIMIT:.0f} s")
            time.sleep(LOOK)

    def look(self) -> Moment:
        """Take all figures now."""
        times = tree_times(self.process.pid)
        client = times.pop(self.process.pid, 0.0)
        rss = psutil.Process(self.process.pid).memory_info().rss
        runs, served = task_runs(self.folder), server_cpu(self.server)
        workers, now = sum(times.values()), time.monotonic()
        return Moment(client, workers, served, self.ledger.cpu(), runs, now, rss)


def measure_campaign(
    folder: Path, ledger: LedgerPlace, style: str, runner: str, number: int, workers: int
) -> Row:
    """Run one campaign of stages that do nothing, and return what it has cost."""
    server = PrivateServer(folder / "prefect")
    try:
        server.wait()
        watched, said, spent = run(folder, ledger, server, style, runner, number, workers)
        runs = drain(folder, TASKS * (number + FIRST) if style == "tasks" else 0)
        served = server_cpu(server)
    finally:
        server.stop()
    first, last = watched.moments["first"], watched.moments["last"]
    served_sets = (runs - first.runs) / TASKS if style == "tasks" else number
    scale = 1e3 / number
    cpu = {
        "client": (last.client - first.client) * scale + said["enrolment"] * 1e3 / (number + FIRST),
        "workers": (last.workers - first.workers) * scale,
        "server": (served - first.server) * 1e3 / max(1.0, served_sets),
        "ledger": (last.ledger - first.ledger) * scale,
    }
    counted = (last.client - first.client) + (last.workers - first.workers) + said["enrolment"]
    shown = sum(each.stat().st_size for each in (folder / "prefect").glob("prefect.db*"))
    return Row(
        label=f"{style}, {'Dask' if runner == 'local' else runner}",
        kind=(style, runner),
        number=number,
        cpu=cpu,
        wall=(last.time - first.time) * scale,
        startup=spent - counted,
        peak=watched.peak,
        grown=last.rss - first.rss,
        size=ledger.size() / (number + FIRST),
        shown_size=shown / (number + FIRST),
        processed=ledger.ask("SELECT count(*) FROM job WHERE state = 'processed'") - FIRST,
        stages=ledger.ask("SELECT count(*) FROM stage_run WHERE state = 'done'") - FIRST * TASKS,
        task_runs=runs - FIRST * TASKS if style == "tasks" else None,
    )


def run(
    folder: Path,
    ledger: LedgerPlace,
    server: PrivateServer,
    style: str,
    runner: str,
    number: int,
    workers: int,
) -> tuple[Watched, dict[str, float], float]:
    """Run the campaign's process; return it, what it says, and all CPU seconds it has used."""
    asked = {
        "folder": str(folder),
        "ledger": ledger.url,
        "runner": runner,
        "style": style,
        "workers": workers,
        "number": number + FIRST,
    }
    write_rules(folder / "mappings" / "hst" / CONTEXT)
    marks = f"{folder}:{name_of(FIRST)}:{name_of(FIRST + number - 1)}"
    environment = {**environment_of(folder), "PREFECT_API_URL": server.url, MARKS: marks}
    before = os.times()
    process = start("campaign", sys.executable, asked, environment)
    watched = Watched(process, server, ledger, folder)
    with ended(process):
        watched.watch()
        said = answer(process)
    if watched.moments.keys() != {"first", "last"}:
        raise RuntimeError(f"the campaign did not get to its last dataset: {folder_log(folder)}")
    after = os.times()
    spent = (after.children_user + after.children_system) - (
        before.children_user + before.children_system
    )
    return watched, said, spent


def write_rules(path: Path) -> None:
    """Write a context without instruments: a campaign begins only where its rules are whole."""
    path.parent.mkdir(parents=True)
    header = {"mapping": "PIPELINE", "observatory": "HST", "name": path.name}
    path.write_text(f"header = {header}\n\nselector = {{}}\n")


def measure_plain(
    label: str, python: str, kind: str, number: int, workers: int, folder: str
) -> Row:
    """Let a child measure itself: Dask alone, or Luigi."""
    asked = {"folder": folder, "number": number, "workers": workers}
    process = start(kind, python, asked, environment_of(Path(folder)))
    with ended(process):
        said = answer(process)
    cpu = {name: said[name] * 1e3 / number for name in ("client", "workers")}
    return Row(label, ("", kind), number, cpu, said["wall"] * 1e3 / number)


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """End a child and all below it where we are stopped before it ends."""
    try:
        yield
    finally:
        if process.poll() is None:
            below = psutil.Process(process.pid).children(recursive=True)
            for each in (process, *below):
                with suppress(psutil.NoSuchProcess, ProcessLookupError):
                    each.kill()
            process.wait()


def environment_of(folder: Path) -> dict[str, str]:
    """Return the environment of a child: our code first, all its files in a folder of ours."""
    paths = [str(ROOT), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PREFECT_HOME": str(folder / "prefect"),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }


def start(
    kind: str, python: str, asked: dict[str, Any], environment: dict[str, str]
) -> subprocess.Popen[str]:
    """Start a child; what it says to people goes to a file beside its data."""
    child = str(Path(__file__).with_name("campaign_child.py"))
    with (Path(asked["folder"]) / "child.log").open("w") as log:
        return subprocess.Popen(
            [python, child, kind, json.dumps(asked)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )


def answer(process: subprocess.Popen[str]) -> dict[str, float]:
    """Return what a child has found: its last line."""
    out, _ = process.communicate(timeout=LIMIT)
    if process.returncode:
        raise RuntimeError(f"a process ended with {process.returncode}: {process.args}")
    found: dict[str, float] = json.loads(out.splitlines()[-1])
    return found


def folder_log(folder: Path) -> str:
    """Return the end of what a child has said, and of the log of one of its datasets."""
    logs = [folder / "child.log", *sorted((folder / "work").glob("*/*/process.txt"))[:1]]
    ends = [log.read_text(errors="replace").splitlines()[-3:] for log in logs if log.exists()]
    return " / ".join(line for lines in ends for line in lines)


def drain(folder: Path, wanted: int) -> int:
    """Wait until the server has all task runs, or gets no further; return how many it has."""
    found, since = task_runs(folder), time.monotonic()
    while found < wanted and time.monotonic() - since < DRAIN:
        time.sleep(PAUSE)
        now = task_runs(folder)
        if now != found:
            found, since = now, time.monotonic()
    time.sleep(2 * PAUSE)  # rows of events follow those of the task runs
    return found


def task_runs(folder: Path) -> int:
    """Return how many finished task runs Prefect's database has."""
    place = f"file:{folder / 'prefect' / 'prefect.db'}?mode=ro"
    connection = sqlite3.connect(place, uri=True, timeout=30)
    try:
        query = "SELECT count(*) FROM task_run WHERE state_type = 'COMPLETED'"
        return int(connection.execute(query).fetchone()[0])
    finally:
        connection.close()


def server_cpu(server: PrivateServer) -> float:
    """Return CPU seconds of Prefect's server so far."""
    port = server.url.split(":")[2].split("/")[0]
    mine = [child for child in psutil.Process().children() if port in child.cmdline()]
    return sum(tree_cpu(child.pid, with_ended=True) for child in mine)


def peak_of(pid: int) -> int:
    """Return the largest memory of a process so far, bytes; 0 where the system does not tell."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
