"""What an operator asks of `hstflow up`, and what this host can give."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from deployments.operation.ports import Claims, choose_port

Part = Literal["server", "deploy", "worker", "dask", "dashboard"]
PARTS: tuple[Part, ...] = ("server", "deploy", "dask", "worker", "dashboard")

# CALCLOUD's smallest machine, and the smallest rung: a worker that offers less gets no job.
SMALLEST = 2.0
GB = 1e9


@dataclass(frozen=True)
class Ports:
    """Ports of the loopback interface."""

    prefect: int
    dashboard: int
    scheduler: int
    dask: int
    worker: int


@dataclass(frozen=True)
class Share:
    """What each of some Dask workers offers, GB."""

    workers: int
    memory: float
    disk: float


@dataclass(frozen=True)
class Asked:
    """Ports that the operator asked for; None: any."""

    prefect: int | None = None
    dashboard: int | None = None
    scheduler: int | None = None
    dask: int | None = None


def choose_ports(asked: Asked, parts: Collection[Part], claims: Claims) -> Ports:
    """Return a port for everything; those that were asked for are taken or refused.

    Parameters
    ----------
    asked
        What the operator said.
    parts
        What is to be started: ports of the others are nobody's.
    claims
        Ports that are ours; the new ones are added, and ours as long as they are claimed.

    Raises
    ------
    ConfigError
        Somebody listens at a port that was asked for.
    """

    def port(part: Part, wish: int | None, usual: int, option: str) -> int:
        return choose_port(wish, usual, option, claims) if part in parts else wish or usual

    return Ports(
        prefect=port("server", asked.prefect, 4200, "--port"),
        dashboard=port("dashboard", asked.dashboard, 8080, "--dashboard-port"),
        scheduler=port("dask", asked.scheduler, 8786, "--dask-port"),
        dask=port("dask", asked.dask, 8787, "--dask-pages-port"),
        worker=port("worker", None, 8790, ""),
    )


def share_out(workers: int | None, work: Path) -> Share:
    """Divide this host among Dask workers.

    Parameters
    ----------
    workers
        How many; None: one for each CPU, but none that could not take the smallest job.
    work
        The work folder, whose disk they use.
    """
    import shutil

    from distributed.system import MEMORY_LIMIT

    memory = MEMORY_LIMIT / GB
    number = workers or max(1, min(len(os.sched_getaffinity(0)), int(memory // SMALLEST)))
    nearest = next(path for path in (work, *work.parents) if path.exists())
    disk = shutil.disk_usage(nearest).free / GB
    return Share(number, max(SMALLEST, round(memory / number, 1)), round(disk / number, 1))
