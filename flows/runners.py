"""Where a campaign's datasets run: Dask here, Dask elsewhere, or threads."""

from __future__ import annotations

import ipaddress
import logging
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import dask
import psutil
from distributed.system import MEMORY_LIMIT
from prefect_dask.task_runners import DaskTaskRunner

from calib.compiled import cache_folder
from calib.errors import ConfigError
from calib.ledger.location import sqlite_file
from calib.ledger.owners import this_host
from calib.stages.campaign_plan import RUNNERS, CampaignPlan
from calib.stages.watch import GRACE, stop_all
from calib.stages.workplaces import DASK as DASK_FOLDER
from flows.cluster_files import ClusterFile, is_cluster_file, read_cluster_file
from flows.daemon_threads import DaemonThreads
from flows.fanout import ClusterMeans, DaskPool, Pool, ThreadPool
from flows.placement import HostPlacement
from flows.work import leave_flow_runs
from flows.worker_setup import SHARE_VARIABLE

log = logging.getLogger(__name__)

# Seconds that threads have to end at the end of a session: the watchdog closes the attempts of
# those that do not come back before that.
LAST_MOMENTS = 1.5 * GRACE

# Seconds that a campaign waits while a scheduler has no workers: time to start some again.
PATIENCE = 600.0

# Jobs handed to a pool and not ended, per worker: enough to keep each busy, few enough that
# little is lost with a worker, and that pausing is soon.
AHEAD = 2

# Workers that an interrupt ends leave their semaphores to multiprocessing's tracker, which
# frees them and warns on the terminal: nothing that a user could do anything about.
NO_TRACKER_WARNING = "ignore:resource_tracker:UserWarning"

# One thread per process and no threads inside NumPy: datasets are the parallelism, and
# threaded sums would make results depend on the machine.
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

# The first worker that dies with a job is reported, and the job climbs a rung; Dask would
# try it on three more. The profiler samples every worker a hundred times a second.
DASK = {
    "distributed.scheduler.allowed-failures": 0,
    "distributed.worker.profile.enabled": False,
    # Each process of a cluster wakes up 50 times a second to see whether it is late, and ten times
    # to look at its memory, which the watchdog of hstflow does too: a third of what a campaign
    # costs besides its datasets where each of them takes half a second.
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.worker.memory.monitor-interval": "500ms",
    # Nothing is kept on workers but ends of datasets, once each: there are no copies to remove.
    # And whoever needs to know the workers asks anew (DaskPool.refresh).
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.client.scheduler-info-interval": "30s",
    # A worker that died is started again by its nanny. Where that takes longer (15 s: a busy host
    # needs more for the imports) Dask closes the nanny for good, with the job that it has by then.
    "distributed.deploy.lost-worker-timeout": "10 minutes",
}


# What a client needs for a scheduler with TLS; the key may be in the file of its certificate.
TLS = "distributed.comm.tls"
CERTIFICATES = ("ca-file", "client.cert")


@contextmanager
def open_pool(plan: CampaignPlan) -> Iterator[Pool]:
    """Give a pool of workers for as long as a campaign runs.

    Raises
    ------
    ConfigError
        The runner of the plan is unknown, or its workers cannot reach the ledger.
    OSError
        There is no scheduler at the address.
    """
    work = Path(plan.request.work)
    work.mkdir(parents=True, exist_ok=True)
    if plan.runner == "threads":
        with _threads(plan) as pool:
            yield pool
        return
    scratch = work / DASK_FOLDER / f"{this_host()}-{os.getpid()}"
    with dask.config.set(DASK), make_runner(plan.runner, plan.workers, scratch) as runner:
        try:
            yield DaskPool(runner.client, _placement(plan))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _placement(plan: CampaignPlan) -> HostPlacement | ClusterMeans:
    if plan.runner == "local":
        return _host(plan, AHEAD)
    most, patience = 0, PATIENCE
    if is_cluster_file(plan.runner):
        found = read_cluster_file(Path(plan.runner))
        most, patience = int(found.adapt.get("maximum", 0)), found.patience
    return ClusterMeans(AHEAD, most, patience, lambda workers: _check(plan, workers))


@contextmanager
def _threads(plan: CampaignPlan) -> Iterator[Pool]:
    threads = DaemonThreads(plan.workers)
    try:
        yield ThreadPool(threads, _host(plan, 1))
    finally:
        stop_all("the campaign's process ends")
        if not threads.shutdown(LAST_MOMENTS):
            log.warning("some datasets did not come back; they are left with the process")
        leave_flow_runs()


def _host(plan: CampaignPlan, ahead: int) -> HostPlacement:
    """Return what this host can give: its memory, and what is free below the work folder."""
    memory = max(MEMORY_LIMIT, min(plan.rungs, default=0))  # the smallest rung is tried anywhere
    work = Path(plan.request.work)
    placement = HostPlacement(memory, None, ahead * plan.workers, work)
    placement.refresh()
    return placement


def make_runner(name: str, workers: int, scratch: Path) -> DaskTaskRunner:
    """Return the task runner whose cluster a campaign uses.

    Parameters
    ----------
    name
        ``local`` (a Dask cluster of processes on this host), the address of a Dask scheduler
        (``tcp://host:8786``, ``tls://host:8786``), or the path of a cluster file.
    workers
        Processes of ``local``; ignored otherwise.
    scratch
        Folder for Dask's own files.

    Raises
    ------
    ConfigError
        The name is none of these, the cluster file cannot be used, or the scheduler wants
        certificates and none are set.
    """
    if name.startswith("tls://"):
        _check_certificates(name)
    if name.startswith(("tcp://", "tls://")):
        return DaskTaskRunner(address=name)
    if is_cluster_file(name):
        return _from_file(read_cluster_file(Path(name)))
    if name != "local":
        raise ConfigError("not a runner", expected=RUNNERS, found=name)
    for variable in ONE_THREAD:
        os.environ.setdefault(variable, "1")
    _share_compiled_code()
    os.environ.setdefault("PYTHONWARNINGS", NO_TRACKER_WARNING)
    os.environ[SHARE_VARIABLE] = str(workers)
    os.environ.setdefault("DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED", "False")
    return DaskTaskRunner(
        cluster_kwargs={
            "n_workers": workers,
            "threads_per_worker": 1,
            "processes": True,
            # Only a last backstop: what a job may use is watched over by its own process, and
            # the sum of what is granted stays within the host.
            "memory_limit": MEMORY_LIMIT,
            "dashboard_address": "127.0.0.1:0",  # None would be port 8787, often taken
            "local_directory": str(scratch),
            "preload": ["flows.worker_setup"],
            "silence_logs": "CRITICAL",
        }
    )


def _check_certificates(name: str) -> None:
    """Say in our words what Dask would say of an argument of its own."""
    missing = [each for each in CERTIFICATES if not dask.config.get(f"{TLS}.{each}", None)]
    if missing:
        variables = (f"DASK_{TLS}.{each}".upper().replace(".", "__") for each in missing)
        raise ConfigError(
            f"the Dask scheduler {name} wants certificates, and none are set",
            expected=f"{', '.join(variables).replace('-', '_')}; or `hstflow up` on this host",
        )


def _from_file(found: ClusterFile) -> DaskTaskRunner:
    return DaskTaskRunner(
        cluster_class=found.cluster_class,
        cluster_kwargs=found.kwargs,
        adapt_kwargs=found.adapt or None,
    )


def _share_compiled_code() -> None:
    """Let the workers load what this process compiled, also from a folder of last resort."""
    if folder := cache_folder():
        os.environ.setdefault("HSTFLOW_CACHE", str(folder.parent))


def _check(plan: CampaignPlan, workers: list[str]) -> None:
    """Refuse workers on other hosts where the ledger is a file of this one."""
    if sqlite_file(plan.request.ledger) is None:
        return
    elsewhere = [address for address in workers if not _is_here(urlsplit(address).hostname)]
    if elsewhere:
        raise ConfigError(
            "a SQLite ledger cannot be used by workers on other hosts",
            expected="a PostgreSQL ledger (HSTFLOW_LEDGER), or workers on this host",
            found=", ".join(elsewhere[:3]),
        )


def _is_here(host: str | None) -> bool:
    """Tell whether an address is one of this host's own."""
    if host is None:  # inproc://
        return True
    try:
        if ipaddress.ip_address(host).is_loopback:
            return True
    except ValueError:
        return host in {"localhost", socket.gethostname()}
    return host in {each.address for some in psutil.net_if_addrs().values() for each in some}
