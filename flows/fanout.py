"""Where datasets run at the same time: threads of this process, or the workers of Dask.

Dask is given one plain function per dataset. Prefect's own `submit` would send the settings
of the whole process with each (32 to 90 ms of CPU).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Protocol

from distributed import Client
from distributed.scheduler import KilledWorker

from calib.errors import Unavailable
from calib.records import Outcome
from calib.stages.job import Job
from flows.placement import ClusterPlacement, HostPlacement, Need, Placement, offers_of
from flows.work import FlowFrame, Work, run_job

Handle = Any  # a future: result(), cancel(), add_done_callback()


@dataclass(frozen=True)
class Order:
    """A dataset as it is handed to a pool.

    Attributes
    ----------
    job, work, frame
        What :func:`flows.work.run_job` is given.
    before
        How many attempts the job had.
    priority
        Higher ones go first.
    """

    job: Job
    work: Work
    frame: FlowFrame | None
    before: int
    priority: int = 0


class Pool(Protocol):
    """Runs datasets, and says how many there is room for."""

    @property
    def placement(self) -> Placement:
        """What fits, and what runs."""

    def submit(self, order: Order) -> Handle:
        """Start a dataset as soon as a thread or worker is free; return its future."""

    def refresh(self) -> None:
        """Look again at what there is to run on.

        Raises
        ------
        Unavailable
            There is nothing any more.
        """


class ThreadPool:
    """Threads of this process.

    Parameters
    ----------
    executor
        The threads.
    placement
        What this host can give.
    """

    def __init__(self, executor: Executor, placement: HostPlacement) -> None:
        self._executor = executor
        self.placement = placement

    def submit(self, order: Order) -> Handle:
        """Start a dataset as soon as a thread is free."""
        return self._executor.submit(run_job, order.job, order.work, order.frame, order.before)

    def refresh(self) -> None:
        """Threads stay."""


class DaskPool:
    """Workers of a Dask cluster.

    Parameters
    ----------
    client
        The connection to its scheduler.
    placement
        What this host can give; None: what the workers offer.
    ahead
        Jobs handed to the cluster for each that can run.
    check
        Is told the addresses of the workers: raises where they cannot do.
    """

    def __init__(
        self,
        client: Client,
        placement: HostPlacement | None,
        ahead: int,
        check: Callable[[list[str]], None] = lambda _: None,
    ) -> None:
        self._client, self._check = client, check
        self._numbers = itertools.count()
        self._cluster = None if placement else ClusterPlacement((), ahead)
        self.placement: Placement = placement or self._cluster or ClusterPlacement((), ahead)
        self.refresh()

    def submit(self, order: Order) -> Handle:
        """Hand a dataset to the scheduler; a worker that dies with it is reported at once."""
        job = order.job
        resources = self._cluster.resources(Need.of(job.grant)) if self._cluster else None
        return self._client.submit(
            run_job,
            job,
            order.work,
            order.frame,
            order.before,
            # A tuple, whose first word Dask groups by: a group per dataset would stay in the
            # scheduler's memory.
            key=("dataset", job.campaign, job.dataset, next(self._numbers)),
            pure=False,
            retries=0,
            priority=order.priority,
            resources=resources or None,
        )

    def refresh(self) -> None:
        """Look again at the workers and what they offer.

        Raises
        ------
        Unavailable
            The scheduler is gone.
        """
        if self._client.status != "running":
            message = "the Dask scheduler is gone"
            raise Unavailable(message, path=self._client.scheduler_info().get("address"), code=1)
        if self._cluster is not None:
            workers = self._client.scheduler_info(n_workers=-1)["workers"]
            self._check(list(workers))
            self._cluster.offers = offers_of(workers)


def ending_of(future: Handle) -> Outcome | BaseException:
    """Return how a dataset ended, or what came instead: a worker that was lost, an error."""
    if future.cancelled():
        return Cancelled()
    try:
        outcome: Outcome = future.result()
    except Exception as error:  # noqa: BLE001 - the boundary: one dataset stops no other
        return error
    return outcome


class Cancelled(Exception):
    """The future was cancelled: by us, or because its scheduler is gone."""


def is_lost(error: BaseException) -> bool:
    """Tell whether the worker is gone, rather than that something is wrong with the job."""
    return isinstance(error, KilledWorker | Cancelled | OSError)
