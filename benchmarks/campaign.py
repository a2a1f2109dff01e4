"""What a campaign costs besides its datasets: CPU, time, memory, databases.

Run with ``python benchmarks/campaign.py``. The six stages do nothing (``campaign_stages.py``), so
all that is left is what hstflow, Prefect, Dask and the ledger do for each dataset. Each row runs
in a process of its own, with a Prefect server, a ledger and a work folder of its own:

tasks, plain
    six Prefect tasks for each dataset, or plain functions, on a Dask cluster of two processes or
    in two threads. The clock begins when the first datasets are through (workers have started
    and imported everything), and stops at the end of the last one. Entering the campaign in the
    ledger is counted too (in "client"), and so is all that
    the server does from then on until it has caught up.
Dask alone
    ``Client.map`` of six calls of nothing: no states, no history, no server.
Luigi
    six tasks for each dataset with files as targets, one worker and two. Needs
    ``--luigi PYTHON``: an interpreter that has it.

CPU is user and system time, milliseconds for each dataset. "ledger" is the database server of
``--ledger postgresql://...``; SQLite works inside client and workers. Memory is of the campaign's
process. Other work on the machine adds to everything, CPU too (caches): compare rows of one run.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from campaign_databases import ledger_at
from campaign_measuring import Row, measure_campaign, measure_plain

SIZES = (100, 1_000, 10_000)
QUICK = (100,)
MOST_VISIBLE = 1_000  # the server's queue has 10,000 messages: more tasks at once would be lost
LUIGI_MOST = 1_000  # Luigi's scheduler needs minutes for more

# CPU seconds for each dataset that the project asks of itself.
GOALS = {
    ("tasks", "local"): 0.18,
    ("tasks", "threads"): 0.06,
    ("plain", "local"): 0.06,
    ("plain", "threads"): 0.03,
}

# Megabytes that the campaign's process may grow by while 10,000 datasets pass through.
FLAT = 20.0

HEAD = (
    f"{'':>22} {'N':>6} {'client':>7} {'workers':>7} {'server':>7} {'ledger':>7} {'sum':>7} "
    f"{'wall':>7} {'start-up':>9} {'RSS':>6} {'grown':>6} {'ledger':>7} {'Prefect':>7} {'task':>6}"
)
UNITS = (
    f"{'':>22} {'':>6} {'ms CPU for each dataset':^39} {'ms':>7} {'s CPU':>9} "
    f"{'MB':>6} {'MB':>6} {'kB':>7} {'kB':>7} {'runs':>6}"
)


def main() -> int:
    """Print a table, or JSON; 1 where a goal is missed or something was lost."""
    options = parse_options()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # children, folders
    rows = []
    if not options.json:
        print(f"{HEAD}\n{UNITS}")
    for row in measure_all(options):
        rows.append(row)
        if not options.json:
            print_row(row)
    verdicts = judge(rows)
    if options.json:
        print(json.dumps({"rows": [row.record() for row in rows], "goals": verdicts}, indent=2))
    else:
        print_verdicts(verdicts)
    return 0 if all(each["met"] for each in verdicts) or options.no_verdict else 1


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="only N = 100: a smoke test")
    parser.add_argument("-n", type=int, action="append", help="datasets; may be repeated")
    parser.add_argument("--style", choices=("tasks", "plain"), help="only this one")
    parser.add_argument("--runner", choices=("local", "threads"), help="only this one")
    parser.add_argument(
        "--many-tasks", action="store_true", help=f"tasks for more than {MOST_VISIBLE} datasets too"
    )
    parser.add_argument("--ledger", help="postgresql://HOST/DATABASE; without it SQLite")
    parser.add_argument("--luigi", type=Path, help="an interpreter that has Luigi")
    parser.add_argument("--workers", type=int, default=2, help="processes or threads (default: 2)")
    parser.add_argument("--no-verdict", action="store_true", help="end with 0 in any case")
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    options = parser.parse_args()
    options.sizes = tuple(options.n or (QUICK if options.quick else SIZES))
    if min(options.sizes) < 1 or options.workers < 1:
        parser.error("-n and --workers: at least one is needed")
    return options


def measure_all(options: argparse.Namespace) -> Iterator[Row]:
    """Measure one row after the other, nothing at the same time."""
    for size in options.sizes:
        for style, runner in GOALS:
            if options.style not in (None, style) or options.runner not in (None, runner):
                continue
            if style == "plain" or size <= MOST_VISIBLE or options.many_tasks:
                yield one_campaign(options, style, runner, size)
        if options.style or options.runner:
            continue
        with tempfile.TemporaryDirectory(prefix="hstflow-") as folder:
            yield measure_plain("Dask alone", sys.executable, "dask", size, options.workers, folder)
        if options.luigi and size <= LUIGI_MOST:
            yield from with_luigi(options, size)


def with_luigi(options: argparse.Namespace, size: int) -> Iterator[Row]:
    """Measure Luigi with one worker and with several."""
    for workers in sorted({1, options.workers}):
        with tempfile.TemporaryDirectory(prefix="hstflow-") as folder:
            label = f"Luigi, {workers} worker{'s' if workers > 1 else ''}"
            yield measure_plain(label, str(options.luigi), "luigi", size, workers, folder)


def one_campaign(options: argparse.Namespace, style: str, runner: str, size: int) -> Row:
    """Measure one campaign, with databases and folders of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="hstflow-") as folder,
        ledger_at(options.ledger, Path(folder)) as ledger,
    ):
        return measure_campaign(Path(folder), ledger, style, runner, size, options.workers)


def judge(rows: list[Row]) -> list[dict[str, Any]]:
    """Say which goals are met: CPU by row, all datasets in the ledger, memory."""
    found = []
    for row in rows:
        if row.kind not in GOALS:
            continue
        where = f"{row.label}, N = {row.number:,}"
        goal, cost = GOALS[row.kind], row.total / 1e3
        found.append(verdict(f"{where}: CPU s for each dataset", cost, goal, cost <= goal))
        all_in = row.processed == row.number and row.stages == row.number * 6
        found.append(
            verdict(f"{where}: processed in the ledger", row.processed, row.number, all_in)
        )
        if row.grown is not None:
            grown = row.grown / 1e6
            found.append(verdict(f"{where}: growth in memory, MB", grown, FLAT, grown <= FLAT))
    return found


def verdict(goal: str, found: float, limit: float, met: bool) -> dict[str, Any]:
    """Return one line about a goal."""
    return {"goal": goal, "found": round(found, 4), "limit": limit, "met": met}


def print_row(row: Row) -> None:
    """Print one line."""
    cpu = [row.cpu.get(name) for name in ("client", "workers", "server", "ledger")]
    cells = [*(cell(each, 7) for each in (*cpu, row.total, row.wall)), cell(row.startup, 9)]
    memory = [cell(None if each is None else each / 1e6, 6) for each in (row.peak, row.grown)]
    sizes = [cell(None if each is None else each / 1e3, 7) for each in (row.size, row.shown_size)]
    runs = cell(row.task_runs, 6)
    print(f"{row.label:>22} {row.number:>6}", *cells, *memory, *sizes, runs, flush=True)


def cell(value: float | None, width: int) -> str:
    """Return a figure with as many digits as make sense."""
    if value is None:
        return f"{'-':>{width}}"
    return f"{value:>{width}.{0 if isinstance(value, int) or value >= 1000 else 1}f}"  # noqa: PLR2004


def print_verdicts(verdicts: list[dict[str, Any]]) -> None:
    """Print the goals, met or not."""
    print()
    for each in verdicts:
        word = "met    " if each["met"] else "NOT MET"
        print(f"{word} {each['goal']}: {each['found']:g} (goal: {each['limit']:g})")
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"load of the machine now (1, 5, 15 minutes): {load}; CPUs: {os.cpu_count()}")


if __name__ == "__main__":
    sys.exit(main())
