"""Campaigns on Dask clusters that are not their own, or that come and go."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from campaign_sessions import Sessions, ended, names, running, wait_for

from calib.simulate.observatory import Observatory
from calib.stages.faults import parse_faults
from flows.placement import GB

pytestmark = pytest.mark.prefect

# One worker process that goes away when there is nothing to do, and comes again.
ADAPTIVE = """
class = "distributed.LocalCluster"
[kwargs]
threads_per_worker = 1
dashboard_address = "127.0.0.1:0"
preload = ["flows.worker_setup"]
silence_logs = "CRITICAL"
[adapt]
minimum = 0
maximum = 2
"""


@pytest.fixture
def sessions(
    observatory: Observatory, prefect_environment: dict[str, str], tmp_path: Path
) -> Sessions:
    """Return a campaign with the test server."""
    return Sessions(observatory, prefect_environment, tmp_path)


@contextmanager
def _process(sessions: Sessions, name: str, *command: str) -> Iterator[object]:
    log = sessions.folder / f"{name}.log"
    yield from running([sys.executable, "-m", *command], sessions.environment, log)


@contextmanager
def cluster(sessions: Sessions, workers: int) -> Iterator[tuple[str, object]]:
    """Run a scheduler and workers as an operator does; yield its address and process."""
    with ExitStack() as stack:
        found = sessions.folder / "scheduler.json"
        start = ("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0")
        pages = ("--no-dashboard", "--dashboard-address", "127.0.0.1:0")  # else port 8787
        scheduler = stack.enter_context(
            _process(sessions, "scheduler", *start, *pages, "--scheduler-file", f"{found}")
        )
        wait_for(lambda: found.exists() and "tcp://" in found.read_text(), "the scheduler")
        address = f"tcp://{found.read_text().split('tcp://')[1].split(chr(34))[0]}"
        offer = ("--resources", "MEM_GB=4 DISK_GB=10", "--preload", "flows.worker_setup")
        for number in range(workers):
            scratch = ("--local-directory", str(sessions.folder / "dask"), "--nthreads", "1")
            stack.enter_context(
                _process(
                    sessions,
                    f"worker-{number}",
                    *("distributed.cli.dask_worker", address, "--no-dashboard"),
                    *(*offer, *scratch),
                )
            )
        yield address, scheduler


def test_workers_of_a_scheduler_take_what_they_offer_to_hold(sessions: Sessions) -> None:
    """Six tasks for each dataset; one that needs more than any worker has says so."""
    large, *small = names(4)
    sessions.enrol([large, *small], stages="tasks", rungs=(4 * GB, 64 * GB))
    for each in small:
        sessions.set_memory(each, 4 * GB)
    sessions.set_memory(large, 64 * GB)

    with cluster(sessions, 2) as (address, _):
        said = sessions.run(address)

    assert "RESULT failed 1 of 4" in said, said
    assert sessions.rows_by_name() == {large: "error", **dict.fromkeys(small, "processed")}
    reason = sessions.ask("SELECT reason FROM job WHERE state = 'error'")[0]["reason"]
    assert "needs 64 GB of memory; the most that the workers can give is 4 GB" in reason


@pytest.mark.slow
def test_scheduler_that_dies_ends_the_session_and_another_goes_on(sessions: Sessions) -> None:
    """The error says what is gone; nothing stays at work; resumed in threads, all is done."""
    faults = parse_faults([f"calibrate=hang@{names(1)[0]}"])
    sessions.enrol(names(3), faults=faults)
    with cluster(sessions, 1) as (address, scheduler):
        child = sessions.start(address)
        wait_for(lambda: "processing" in sessions.states(), "the hang")
        scheduler.kill()  # type: ignore[attr-defined]
        said = ended(child, 60)

    assert "the Dask scheduler is gone" in said, said
    outcome = sessions.ask("SELECT outcome, message FROM campaign_session")[0]
    assert outcome["outcome"] == "interrupted"
    assert "scheduler is gone" in outcome["message"]
    assert "RESULT completed all 3" in sessions.run("threads")


@pytest.mark.slow
def test_adaptive_cluster_without_workers_gets_some_by_the_work(sessions: Sessions) -> None:
    """A cluster file with a minimum of none: the first jobs make the workers come."""
    path = sessions.folder / "cluster.toml"
    path.write_text(ADAPTIVE)
    sessions.enrol(names(12), runner=str(path))

    said = sessions.run()

    assert "RESULT completed all 12" in said, said
    assert "8787" not in said
