"""CPU seconds of `hstflow status`, the whole command with its interpreter.

The budget is 0.5 s; run with ``python benchmarks/status.py``. Each figure is the median and the
largest of several runs.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from calib.ids import parse_dataset
from calib.ledger.ledger import Ledger, current_owner, open_ledger
from calib.records import Outcome

BUDGET = 0.5
RUNS = 9
SIZES = (0, 1_000, 10_000, 100_000)
PROCESSED = 200  # jobs of each ledger with attempts and stages: more than status lists
STAGES = ("fetch", "bestrefs", "calibrate", "preview", "archive", "state-message")


def main() -> None:
    """Print a table: ledger, command, CPU seconds."""
    print(f"{'jobs':>8}  {'command':<32} {'median s':>8} {'max s':>8}")
    print_row("", "python -c pass", measure(["-c", "pass"], {}))
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "ledger.db"
            fill(path, size)
            environment = {"HSTFLOW_LEDGER": str(path)}
            for words in ("status", "status --json", "status j00000000"):
                command = ["-m", "deployments.cli", *words.split()]
                print_row(str(size), f"hstflow {words}", measure(command, environment))


def fill(path: Path, size: int) -> None:
    """Make a ledger with this many jobs; none at all for 0."""
    if not size:
        return
    names = [parse_dataset(f"j{number:08d}") for number in range(size)]
    with open_ledger(str(path)) as ledger:
        ledger.plan("nightly", names, "hst_0729", context="hst_0729.pmap")
        for name in names[:PROCESSED]:
            process(ledger, name.name)


def process(ledger: Ledger, name: str) -> None:
    """Tell the ledger of one attempt with all stages."""
    job = ledger.submit("nightly", parse_dataset(name), "hst_0729", context="hst_0729.pmap")
    attempt = ledger.begin_attempt(job, current_owner())
    for stage in STAGES:
        ledger.close_stage(ledger.open_stage(attempt, stage), "done")
    ledger.finish_attempt(attempt, Outcome(name, "processed", "published"))


def measure(arguments: Sequence[str], environment: dict[str, str]) -> list[float]:
    """Return the CPU seconds of several runs of a Python command."""
    return [cpu_seconds(arguments, environment) for _ in range(RUNS)]


def cpu_seconds(arguments: Sequence[str], environment: dict[str, str]) -> float:
    """Return user and system seconds of one process."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=Path(__file__).parents[1],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        message = f"{' '.join(arguments)} ended with {process.returncode}"
        raise RuntimeError(message)
    return usage.ru_utime + usage.ru_stime


def print_row(size: str, command: str, seconds: Sequence[float]) -> None:
    """Print one line, marked where it is over the budget."""
    mark = "  over budget" if max(seconds) > BUDGET else ""
    figures = f"{statistics.median(seconds):8.3f} {max(seconds):8.3f}"
    print(f"{size:>8}  {command:<32} {figures}{mark}")


if __name__ == "__main__":
    main()
