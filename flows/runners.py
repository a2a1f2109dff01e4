"""Where a campaign's datasets run: Dask here, Dask elsewhere, or threads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from distributed.system import MEMORY_LIMIT
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from prefect_dask.task_runners import DaskTaskRunner

from calib.compiled import cache_folder
from calib.errors import ConfigError

Runner = TaskRunner[Any]

# Workers that an interrupt ends leave their semaphores to multiprocessing's tracker, which
# frees them and warns on the terminal: nothing that a user could do anything about.
NO_TRACKER_WARNING = "ignore:resource_tracker:UserWarning"

# One thread per process and no threads inside NumPy: datasets are the parallelism, and
# threaded sums would make results depend on the machine.
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def make_runner(name: str, workers: int, scratch: Path) -> Runner:
    """Return a task runner.

    Parameters
    ----------
    name
        ``local`` (a Dask cluster of processes on this host), ``threads``, or the address of
        a Dask scheduler (``tcp://host:8786``).
    workers
        Processes or threads; ignored for an address.
    scratch
        Folder for Dask's own files.

    Raises
    ------
    ConfigError
        The name is none of these.
    """
    if name == "threads":
        return ThreadPoolTaskRunner(max_workers=workers)
    if name.startswith(("tcp://", "tls://")):
        return DaskTaskRunner(address=name)
    if name != "local":
        raise ConfigError("not a runner", expected="local, threads or tcp://HOST:PORT", found=name)
    for variable in ONE_THREAD:
        os.environ.setdefault(variable, "1")
    _share_compiled_code()
    os.environ.setdefault("PYTHONWARNINGS", NO_TRACKER_WARNING)
    return DaskTaskRunner(
        cluster_kwargs={
            "n_workers": workers,
            "threads_per_worker": 1,
            "processes": True,
            # Dask's own share goes by cores: two workers on 64 cores would get a 64th each.
            "memory_limit": MEMORY_LIMIT // workers,
            "dashboard_address": None,
            "local_directory": str(scratch),
            "preload": ["flows.worker_setup"],
            "silence_logs": "CRITICAL",
        }
    )


def _share_compiled_code() -> None:
    """Let the workers load what this process compiled, also from a folder of last resort."""
    if folder := cache_folder():
        os.environ.setdefault("HSTFLOW_CACHE", str(folder.parent))
