"""The dashboard on a ledger of 100,000 datasets, with fifty readers and a campaign that writes.

``python benchmarks/dashboard.py [--keep FOLDER] [--ledger postgresql://...]`` starts the real
``hstflow dashboard`` on a ledger of ``dashboard_ledger.py`` and asks for its pages: each reader has
a connection of its own, draws pages and filters at random, and follows "Next" half of the time,
so that hardly two ask for the same. Meanwhile a writer brings datasets through six stages, as
``hstflow process`` tells the ledger, in the same database. With ``--keep`` the ledger is made once:
a file in the folder, or a database beside the one that is named.

first
    Each page once, one after the other, in a process that has just begun: nothing is known yet of
    the campaigns.
think
    Readers look at a page for 5 s on average (exponential: ``--think``), which is also how often
    an open live page asks again by itself. This is what the goals are for.
loop
    Readers ask again at once: how much the process can do. Times then are those of a queue of
    fifty, on one Python process.

Times are from the request to the last byte, milliseconds; CPU is that of the dashboard's process.
A page that the dashboard does not have is left out, and named. Readers, writer and dashboard share
the machine.
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from statistics import quantiles
from typing import Any, Self

import psutil
from campaign_databases import ledger_at
from dashboard_files import put_files
from dashboard_ledger import (
    CAMPAIGN,
    CONTEXT,
    STAGES,
    N,
    analyse,
    kept_database,
    ledger_in,
    make_ledger,
    wake,
)
from dashboard_pages import Draw, drawn_pages

from calib.ids import parse_dataset
from calib.ledger.ledger import current_owner, open_ledger
from calib.ledger.rescued import last_change
from calib.ledger.stage_runs import StageMetrics
from calib.records import Outcome

ROOT = Path(__file__).parents[1]
READERS = 50
SECONDS = 100.0  # forty answers of each page in the first part
THINK = 5.0
WRITES = 2.0  # datasets a second: two hundred workers at a hundred seconds each
GOAL_MS = 200.0
GOAL_BYTES = 200e6
ENOUGH = 30  # answers of a page, of which a 95th percentile is taken
PARTS = ("first", "think", "loop")
START = 30.0  # seconds in which the dashboard must answer
NEXT = re.compile(r'href="([^"]+)" rel="next"')
METRICS = StageMetrics(wall=1.0, cpu=0.5, peak_rss=10**8)


@dataclass
class Seen:
    """What readers have seen: milliseconds by page, answers that are no page, by code."""

    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    bad: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, page: str, code: int, milliseconds: float) -> None:
        """Note an answer."""
        with self.lock:
            self.times[page].append(milliseconds)
            if code != http.client.OK:
                self.bad[f"{page}: {code}"] += 1


def main() -> int:
    """Print a table, or JSON; 1 where a goal is missed."""
    options = parse_options()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="hstflow-") as name:
        folder = Path(name)
        with ledger_for(options, folder) as url:
            wake(url)
            pages = drawn_pages(options.n, put_files(url, folder), last_change_of(url))
            with dashboard(url, folder) as (port, process):
                result = measure(url, port, process, pages, options)
                result["log"] = (folder / "dashboard.log").read_text().splitlines()[-5:]
    verdicts = judge(result)
    show(result, verdicts, as_json=options.json)
    return 0 if options.no_verdict or all(each["met"] for each in verdicts) else 1


def measure(
    url: str,
    port: int,
    process: psutil.Process,
    pages: Mapping[str, Draw],
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Return the figures of all parts."""
    result: dict[str, Any] = {"ledger": url.partition(":")[0], "datasets": options.n}
    result["rss_at_start"] = process.memory_info().rss
    with Peak(process) as peak, Writer(url) as writer:
        began = cpu_of(process)
        seen, missing = there(port, pages)
        result["first"] = table(seen, None, cpu_of(process) - began) | {"rss": peak.most}
        found = {page: draw for page, draw in pages.items() if page not in missing}
        for word, think in (("think", options.think), ("loop", 0.0)):
            began = cpu_of(process)
            seen = read(port, found, options, think)
            spent = cpu_of(process) - began
            result[word] = table(seen, options.seconds, spent) | {"rss": peak.most}
    return result | {"left_out": missing, "rss": peak.most, "written": writer.written}


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-n", type=int, default=N, help="datasets (default: 100,000)")
    parser.add_argument("--keep", type=Path, help="folder in which the SQLite ledger is kept")
    parser.add_argument(
        "--keep-database", action="store_true", help="keep that of PostgreSQL for the next time"
    )
    parser.add_argument("--ledger", help="postgresql://HOST/DATABASE; without it SQLite")
    parser.add_argument("--readers", type=int, default=READERS, help="default: 50")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each part")
    parser.add_argument("--think", type=float, default=THINK, help="seconds (default: 5)")
    parser.add_argument("--no-verdict", action="store_true", help="end with 0 in any case")
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    return parser.parse_args()


@contextmanager
def ledger_for(options: argparse.Namespace, folder: Path) -> Iterator[str]:
    """Give a ledger of our own: a copy of the one that is kept, or a database of PostgreSQL."""
    if options.ledger and options.keep_database:
        kept = kept_database(options.ledger, options.n)
        with ledger_at(options.ledger, folder, template=kept) as place:
            analyse(place.url)
            yield place.url
        return
    if options.ledger:
        with ledger_at(options.ledger, folder) as place:
            make_ledger(place.url, options.n)
            yield place.url
        return
    kept = ledger_in(options.keep or folder / "kept", options.n).removeprefix("sqlite:///")
    shutil.copy(kept, folder / "ledger.db")
    yield f"sqlite:///{folder / 'ledger.db'}"


def last_change_of(url: str) -> int:
    """Return the number of the last row of the history."""
    with open_ledger(url) as ledger:
        return ledger.ask(last_change)


@contextmanager
def dashboard(url: str, folder: Path) -> Iterator[tuple[int, psutil.Process]]:
    """Run the dashboard, and end it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "HSTFLOW_LEDGER": url,
        "HSTFLOW_WORK": str(folder / "work"),
        "PREFECT_HOME": str(folder / "prefect"),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    command = [sys.executable, "-m", "deployments.cli", "dashboard", "--port", str(port)]
    with (folder / "dashboard.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        wait_for(port, process)
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=START)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until the dashboard answers."""
    until = time.monotonic() + START
    while time.monotonic() < until and process.poll() is None:
        try:
            if ask(http.client.HTTPConnection("127.0.0.1", port), "/health")[0]:
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"the dashboard does not answer: it ended with {process.poll()}")


def ask(connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
    """Ask for a page: code and bytes; anew where the server has closed an idle connection."""
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
    except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
        connection.close()
        connection.request("GET", path)
        answer = connection.getresponse()
    return answer.status, answer.read()


def there(port: int, pages: Mapping[str, Draw]) -> tuple[Seen, list[str]]:
    """Ask for each page once; return what was seen, and which pages the dashboard has not."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    chance = random.Random(1)  # noqa: S311 - no secret
    seen, missing = Seen(), []
    for page, draw in pages.items():
        begin = time.perf_counter()
        code, _ = ask(connection, draw(chance))
        if code == http.client.NOT_FOUND:
            missing.append(page)
        else:
            seen.add(page, code, 1e3 * (time.perf_counter() - begin))
    connection.close()
    return seen, missing


def cpu_of(process: psutil.Process) -> float:
    """Return seconds of processor that a process took so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def read(port: int, pages: Mapping[str, Draw], options: argparse.Namespace, think: float) -> Seen:
    """Let all readers read."""
    seen = Seen()
    until = time.monotonic() + options.seconds
    readers = [
        threading.Thread(target=read_one, args=(port, pages, seen, number, think, until))
        for number in range(options.readers)
    ]
    for each in readers:
        each.start()
    for each in readers:
        each.join()
    return seen


def read_one(
    port: int, pages: Mapping[str, Draw], seen: Seen, number: int, think: float, until: float
) -> None:
    """Read pages until the time is over."""
    chance = random.Random(number)  # noqa: S311 - no secret
    connection = http.client.HTTPConnection("127.0.0.1", port)
    following: str | None = None
    deck: list[str] = []  # each page as often as every other
    while True:
        time.sleep(chance.expovariate(1 / think) if think else 0.0)
        if time.monotonic() > until:
            break
        deck = deck or chance.sample(tuple(pages), len(pages))
        page = deck.pop()
        path = pages[page](chance)
        if page == "matrix" and following is not None and chance.random() < 0.5:  # noqa: PLR2004
            path = following
        begin = time.perf_counter()
        code, text = ask(connection, path)
        seen.add(page, code, 1e3 * (time.perf_counter() - begin))
        if page.startswith("matrix"):
            found = NEXT.search(text.decode())
            following = unescape(found[1]) if found else None
    connection.close()


class Peak:
    """The largest memory of a process while it is looked at, bytes."""

    def __init__(self, process: psutil.Process) -> None:
        self.most = 0
        self._process = process
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._end.wait(0.2):
            self.most = max(self.most, self._process.memory_info().rss)


class Writer:
    """Tells the ledger of datasets that go through, as a campaign does, some each second."""

    def __init__(self, url: str) -> None:
        self.written = 0
        self._url = url
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _write(self) -> None:
        with open_ledger(self._url) as ledger:
            query = "SELECT dataset FROM job WHERE state = 'submitted' ORDER BY id"
            for row in ledger.ask(lambda rows: rows(query, {})):
                if self._end.wait(1 / WRITES):
                    return
                dataset = parse_dataset(row["dataset"])
                job = ledger.submit(CAMPAIGN, dataset, CAMPAIGN, context=CONTEXT)
                attempt = ledger.begin_attempt(job, current_owner())
                for stage in STAGES:
                    ledger.close_stage(ledger.open_stage(attempt, stage), "done", metrics=METRICS)
                ledger.finish_attempt(attempt, Outcome(dataset.name, "processed", "published"))
                self.written += 1


def table(seen: Seen, seconds: float | None, cpu: float) -> dict[str, Any]:
    """Return figures by page, and the milliseconds of processor that one took on average."""
    pages = {page: figures(times) for page, times in sorted(seen.times.items())}
    every = [each for times in seen.times.values() for each in times]
    found = {"pages": pages, "all": figures(every), "bad": dict(seen.bad)}
    rate = None if seconds is None else round(len(every) / seconds, 1)
    return found | {"a_second": rate, "cpu_ms_a_page": round(1e3 * cpu / len(every), 1)}


def figures(times: list[float]) -> dict[str, float]:
    """Return number, median, 95th percentile and worst."""
    cuts = quantiles(times, n=20, method="inclusive") if len(times) > 1 else times * 19
    found = {"number": len(times), "p50": cuts[9], "p95": cuts[18], "worst": max(times)}
    return {name: round(value, 1) for name, value in found.items()}


def judge(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Say which goals are met."""
    found = [
        {"goal": f"{page}: p95, ms", "found": each["p95"], "most": GOAL_MS}
        for page, each in result["think"]["pages"].items()
    ]
    first = result["first"]["all"]["worst"]
    found.append({"goal": "the slowest first look, ms", "found": first, "most": GOAL_MS})
    found.append({"goal": "memory, MB", "found": result["rss"] / 1e6, "most": GOAL_BYTES / 1e6})
    bad = sum(sum(result[part]["bad"].values()) for part in PARTS)
    found.append({"goal": "answers that are no page", "found": bad, "most": 0})
    fewest = min(each["number"] for each in result["think"]["pages"].values())
    found.append({"goal": "the fewest answers of a page", "found": fewest, "least": ENOUGH})
    return [{**each, "met": is_met(each)} for each in found]


def is_met(goal: Mapping[str, Any]) -> bool:
    """Tell whether a goal is met: at most, or at least, so much."""
    return bool(goal.get("least", goal["found"]) <= goal["found"] <= goal.get("most", math.inf))


def show(result: Mapping[str, Any], verdicts: list[dict[str, Any]], *, as_json: bool) -> None:
    """Print the figures."""
    if as_json:
        print(json.dumps({**result, "goals": verdicts}, indent=2))
        return
    print(f"{result['ledger']}, {result['datasets']:,} datasets; {result['written']} written")
    for part in PARTS:
        found = result[part]
        rate = f"{found['a_second']} pages a second, " if found["a_second"] else ""
        print(f"\n{part}: {rate}{found['cpu_ms_a_page']} ms of processor each")
        print(f"{'page':<18} {'number':>7} {'p50':>8} {'p95':>8} {'worst':>8}")
        for page, each in [*found["pages"].items(), ("all", found["all"])]:
            print(f"{page:<18} {each['number']:>7}", end="")
            print(f" {each['p50']:>8.1f} {each['p95']:>8.1f} {each['worst']:>8.1f}")
        if found["bad"]:
            print(f"no page: {found['bad']}")
    parts = ", ".join(
        f"{word} {rss / 1e6:.0f}"
        for word, rss in (
            ("at start", result["rss_at_start"]),
            ("until the end of first", result["first"]["rss"]),
            ("until the end of think", result["think"]["rss"]),
            ("of all", result["rss"]),
        )
    )
    print(f"\nmemory, MB: {parts}")
    if any(result[part]["bad"] for part in PARTS):
        print("log: " + "\n     ".join(result["log"]))
    if result["left_out"]:
        print(f"not there: {', '.join(result['left_out'])}")
    for each in verdicts:
        word = "met    " if each["met"] else "NOT MET"
        goal = f"at most {each['most']:g}" if "most" in each else f"at least {each['least']:g}"
        print(f"{word} {each['goal']}: {each['found']:g} (goal: {goal})")
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"load of the machine now (1, 5, 15 minutes): {load}; CPUs: {os.cpu_count()}")


if __name__ == "__main__":
    sys.exit(main())
