"""A campaign of full WFC frames beside ``hstflow calibrate`` on the same files.

Run with ``python benchmarks/campaign_native.py``. Both calibrate the same frames (simulated, one
exposure each) with two processes, products and inputs in memory where that is possible:

campaign
    local Dask workers, six visible Prefect tasks for each dataset, of which fetch, bestrefs,
    preview and archive do nothing. The clock begins when the first datasets are through.
hstflow calibrate
    one command in each process, on its half of the files. Its start-up is taken off: a second
    run on two files each gives the seconds that one more file takes.

Orchestration is all CPU of the campaign's process, the workers and the Prefect server that the
stage `calibrate` has not used, as the ledger has it. Goals: 5 % of the CPU at most, and nine
tenths of the throughput of the command at least.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from calibrate import CASES, ROOT, TMPFS
from campaign_child import STAGES, name_of
from campaign_databases import ledger_at
from campaign_measuring import FIRST, environment_of, measure_campaign
from campaign_native_stages import CASE

from calib.simulate.golden import write_case

NAME = "acs_wfc_full"
MOST_ORCHESTRATION = 0.05
LEAST_THROUGHPUT = 0.9
FEW = 2  # files of each process in the run that tells what a command's start-up takes


def main() -> int:
    """Print the figures; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-n", type=int, default=40, help="frames (default: 40)")
    parser.add_argument("--style", choices=("tasks", "plain"), default="tasks")
    parser.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    options = parser.parse_args()
    if options.workers < 1 or options.n <= FEW * options.workers:
        parser.error(f"-n: more than {FEW} frames for each process are needed")
    parent = TMPFS if os.access(TMPFS, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="hstflow-", dir=parent) as scratch:
        found = measure(Path(scratch), options.n, options.workers, options.style)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        for name, value in found.items():
            print(f"{name:42} {value:10.3f}")
    met = found["orchestration"] <= MOST_ORCHESTRATION and found["throughput"] >= LEAST_THROUGHPUT
    return 0 if met else 1


def measure(scratch: Path, number: int, workers: int, style: str) -> dict[str, Any]:
    """Make the frames, and measure both ways."""
    write_case(NAME, scratch)
    raws, references = scratch / "raws", scratch / CASES[NAME]
    raws.mkdir()
    original = next((scratch / NAME / "in").glob("*_raw.fits"))
    for each in range(number + FIRST):
        os.link(original, raws / f"{name_of(each)}_raw.fits")
    command = seconds_of_command(raws, references, scratch, number, workers)
    os.environ[CASE] = json.dumps([NAME, str(raws), str(references)])
    os.environ[STAGES] = "campaign_native_stages"
    folder = scratch / "campaign"
    folder.mkdir()
    with ledger_at(None, folder) as ledger:
        row = measure_campaign(folder, ledger, style, "local", number, workers)
        asked = "SELECT avg(cpu) FROM stage_run WHERE stage = 'calibrate' AND id > 6 * %d"
        spent = float(ledger.ask(asked % FIRST))
    total, wall = row.total / 1e3, row.wall / 1e3
    return {
        "frames": row.processed,
        "campaign: wall s for each frame": wall,
        "campaign: CPU s for each frame": total,
        "campaign: of which calibrate": spent,
        "hstflow calibrate: wall s for each frame": command,
        "orchestration": (total - spent) / total,
        "throughput": command / wall,
    }


def seconds_of_command(
    raws: Path, references: Path, scratch: Path, number: int, workers: int
) -> float:
    """Return the seconds that one more frame takes, with a command in each process."""
    files = sorted(raws.glob("*_raw.fits"))[:number]
    few = run_commands(files[: FEW * workers], references, scratch, workers)
    many = run_commands(files, references, scratch, workers)
    return (many - few) / (len(files) - FEW * workers)


def run_commands(files: list[Path], references: Path, scratch: Path, workers: int) -> float:
    """Run a command in each process, on its share of the files; return the seconds."""
    command = [sys.executable, "-m", "deployments.cli", "calibrate", "--threads=1"]
    command.append(f"--references={references}")
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=scratch) as output:
        processes = [
            subprocess.Popen(
                [
                    *command,
                    *map(str, files[place::workers]),
                    "--references",
                    str(references),
                    "--output",
                    f"{output}/{place}",
                ],
                env=environment_of(scratch),
                cwd=ROOT,
                stdout=subprocess.DEVNULL,
            )
            for place in range(workers)
        ]
        if any(each.wait() for each in processes):
            message = "hstflow calibrate has failed"
            raise RuntimeError(message)
        return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
