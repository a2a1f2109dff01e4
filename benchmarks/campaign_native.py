"""A campaign of full WFC frames beside ``hstflow calibrate`` on the same files.

Run with ``python benchmarks/campaign_native.py``. Both calibrate the same frames (simulated, one
exposure each) in two processes; inputs and products are in memory where that is possible:

tasks, plain
    a campaign on local Dask workers, with six visible Prefect tasks for each dataset or none.
    Fetch, bestrefs, preview and archive do nothing, since ``hstflow calibrate`` does none of
    them. The clock begins when the first datasets are through.
hstflow calibrate
    one command in each process, on its half of the files, of which there are 60 at most: it keeps
    its products, 10 GB. Its start-up is taken off: the difference of two runs, on few files and
    on all, over the difference in files.

When the clock begins and ends some frames are half done, which moves the CPU of a campaign of 60
frames by two parts in a hundred: ``-n 240`` is what the goals are judged by.

Orchestration is all CPU of the campaign's process, the workers, the Prefect server and the ledger
that the stage `calibrate` has not used, as the ledger has it. Goals: 5 % of the CPU at most, and
nine tenths of the throughput of the command at least.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from calibrate import CASES, ROOT, TMPFS
from campaign_child import STAGES, name_of
from campaign_databases import ledger_at
from campaign_measuring import FIRST, TASKS, environment_of, measure_campaign
from campaign_native_stages import CASE, TRASH

from calib.simulate.golden import write_case

NAME = "acs_wfc_full"
MOST_ORCHESTRATION = 0.05
LEAST_THROUGHPUT = 0.9
LOOK = 0.2  # seconds between two looks for products to remove
STYLES = (("plain", "local"), ("plain", "threads"), ("tasks", "local"))
MOST = 60  # files of the command, whose products are kept until it ends: 168 MB each
FEW = 5  # files of each process in the run that tells what a command's start-up takes


def main() -> int:
    """Print the figures; 1 where no style meets both goals."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-n", type=int, default=40, help="frames (default: 40)")
    parser.add_argument("--style", choices=("tasks", "plain"), help="only this one")
    parser.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    options = parser.parse_args()
    if options.workers < 1 or options.n <= FEW * options.workers:
        parser.error(f"-n: more than {FEW} frames for each process are needed")
    parent = TMPFS if os.access(TMPFS, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="hstflow-", dir=parent) as scratch:
        rows = measure(Path(scratch), options.n, options.workers, options.style)
    print(json.dumps(rows, indent=2) if options.json else table(rows))
    return 0 if any(is_good(row) for row in rows) else 1


def is_good(row: dict[str, Any]) -> bool:
    """Tell whether a campaign meets both goals."""
    small = row.get("orchestration", 1.0) <= MOST_ORCHESTRATION
    return small and bool(row["throughput"] >= LEAST_THROUGHPUT)


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows for people."""
    keys = (
        "cpu",
        "calibrate",
        "client",
        "workers",
        "server",
        "orchestration",
        "wall",
        "throughput",
    )
    lines = [f"{'seconds for each frame':>22} " + " ".join(f"{key:>13}" for key in keys)]
    for row in rows:
        cells = (f"{row[key]:>13.3f}" if key in row else f"{'-':>13}" for key in keys)
        lines.append(f"{row['what']:>22} " + " ".join(cells))
    return "\n".join(lines)


def measure(scratch: Path, number: int, workers: int, style: str | None) -> list[dict[str, Any]]:
    """Make the frames, and measure the command and the campaigns."""
    write_case(NAME, scratch)
    raws, references = scratch / "raws", scratch / CASES[NAME]
    raws.mkdir()
    original = next((scratch / NAME / "in").glob("*_raw.fits"))
    for each in range(number + FIRST):
        os.link(original, raws / f"{name_of(each)}_raw.fits")
    command = measure_command(raws, references, scratch, number, workers)
    os.environ[CASE] = json.dumps([NAME, str(raws), str(references)])
    os.environ[STAGES] = "campaign_native_stages"
    found = [command]
    for each, runner in STYLES:
        if style not in {None, each}:
            continue
        row = measure_style(scratch / f"{each}-{runner}", each, runner, number, workers)
        found.append({**row, "throughput": command["wall"] / row["wall"]})
    return found


def measure_style(
    folder: Path, style: str, runner: str, number: int, workers: int
) -> dict[str, Any]:
    """Run a campaign; return seconds for each frame, and what of the CPU is orchestration."""
    trash = folder / "trash"
    trash.mkdir(parents=True)
    os.environ[TRASH] = str(trash)
    asked = "SELECT 1000000 * avg(cpu) FROM stage_run WHERE stage = 'calibrate' AND id > %d"  # µs
    with ledger_at(None, folder) as ledger, emptied(trash):
        row = measure_campaign(folder, ledger, style, runner, number, workers)
        spent = ledger.ask(asked % (TASKS * FIRST)) / 1e6
    shutil.rmtree(folder)
    total = row.total / 1e3
    return {
        "what": f"{style}, {'Dask' if runner == 'local' else runner}",
        "frames": row.processed,
        "cpu": total,
        **{name: each / 1e3 for name, each in row.cpu.items()},
        "wall": row.wall / 1e3,
        "calibrate": spent,
        "orchestration": (total - spent) / total,
    }


@contextmanager
def emptied(trash: Path) -> Iterator[None]:
    """Remove whatever comes into a folder, in this process: its CPU is not that of the campaign."""
    ended = threading.Event()

    def empty() -> None:
        while not ended.wait(LOOK):
            for each in trash.iterdir():
                shutil.rmtree(each)

    thread = threading.Thread(target=empty)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def measure_command(
    raws: Path, references: Path, scratch: Path, number: int, workers: int
) -> dict[str, Any]:
    """Return the seconds that one more frame takes, with a command in each process."""
    files = sorted(raws.glob("*_raw.fits"))[: min(number, MOST)]
    some = files[: FEW * workers]
    run_commands(some, references, scratch, workers)  # the compiled loops, the page cache
    few = run_commands(some, references, scratch, workers)
    many = run_commands(files, references, scratch, workers)
    cpu, wall = ((b - a) / (len(files) - len(some)) for a, b in zip(few, many, strict=True))
    return {"what": "hstflow calibrate", "cpu": cpu, "wall": wall, "throughput": 1.0}


def run_commands(
    files: list[Path], references: Path, scratch: Path, workers: int
) -> tuple[float, float]:
    """Run a command in each process, on its share of the files; return CPU and wall seconds."""
    command = [sys.executable, "-m", "deployments.cli", "calibrate", "--threads=1"]
    command += ["--references", str(references), "--quiet", "--output"]
    start, before = time.perf_counter(), children_cpu()
    with tempfile.TemporaryDirectory(dir=scratch) as output:
        processes = [
            subprocess.Popen(
                [*command, f"{output}/{place}", *map(str, files[place::workers])],
                env=environment_of(scratch),
                cwd=ROOT,
                stdout=subprocess.DEVNULL,
            )
            for place in range(workers)
        ]
        if any(each.wait() for each in processes):
            message = "hstflow calibrate has failed"
            raise RuntimeError(message)
        return children_cpu() - before, time.perf_counter() - start


def children_cpu() -> float:
    """Return the CPU seconds of the processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main())
