"""Where datasets run at the same time: threads of this process, or the workers of Dask.

Dask is given one plain function per dataset. Prefect's own `submit` would send the settings
of the whole process with each (32 to 90 ms of CPU).
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from calib.errors import GENERIC, Unavailable, WorkerLost
from calib.records import Outcome
from calib.stages.job import Job
from calib.stages.watch import stuck_threads
from flows.daemon_threads import DaemonThreads
from flows.placement import ClusterPlacement, HostPlacement, Need, Placement, offers_of
from flows.work import FlowFrame, Work, run_job

if TYPE_CHECKING:
    from distributed import Client

log = logging.getLogger(__name__)

# Seconds in which an end must come over that was reported: a worker may die in between.
FETCH_LIMIT = 10.0

Handle = Any  # a future: result(), cancel(), add_done_callback()


@dataclass(frozen=True)
class Order:
    """A dataset as it is handed to a pool.

    Attributes
    ----------
    job, work, frame
        What :func:`flows.work.run_job` is given.
    priority
        Higher ones go first.
    """

    job: Job
    work: Work
    frame: FlowFrame | None
    priority: int = 0


@dataclass(frozen=True)
class ClusterMeans:
    """How workers are used that say themselves what they offer.

    Attributes
    ----------
    ahead
        Jobs handed to the cluster for each that can run.
    most
        Workers that may come when there is work; 0: none come by themselves.
    patience
        Seconds to wait while there is no worker.
    check
        Is told the addresses of the workers: raises where they cannot do.
    """

    ahead: int
    most: int
    patience: float
    check: Callable[[list[str]], None] = lambda _: None


class Pool(Protocol):
    """Runs datasets, and says how many there is room for."""

    @property
    def placement(self) -> Placement:
        """What fits, and what runs."""

    def submit(self, order: Order) -> Handle:
        """Start a dataset as soon as a thread or worker is free; return its future."""

    def look(self) -> None:
        """Look after what changes soon; no more than a moment's work."""

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
    threads
        The threads.
    placement
        What this host can give.
    """

    def __init__(self, threads: DaemonThreads, placement: HostPlacement) -> None:
        self._threads = threads
        self.placement: Placement = placement

    def submit(self, order: Order) -> Handle:
        """Start a dataset as soon as a thread is free."""
        return self._threads.submit(run_job, order.job, order.work, order.frame)

    def look(self) -> None:
        """Give up threads that hang in a call of C; others take their places."""
        if stuck := stuck_threads():
            self._threads.give_up(stuck, WorkerLost("its thread does not come back"))

    def refresh(self) -> None:
        """Look at the disk; threads stay."""
        self.placement.refresh()


class DaskPool:
    """Workers of a Dask cluster.

    Parameters
    ----------
    client
        The connection to its scheduler.
    placement
        What this host can give, or that the workers say what they can.
    """

    def __init__(self, client: Client, placement: HostPlacement | ClusterMeans) -> None:
        self._client = client
        self._address = client.scheduler_info().get("address")
        self._numbers = itertools.count()
        self._alone_since: float | None = None
        self._means, self._cluster = None, None
        if isinstance(placement, ClusterMeans):
            self._means = placement
            known = (placement.ahead, placement.most, placement.patience)
            self._cluster = ClusterPlacement((), *known)
            self.placement: Placement = self._cluster
        else:
            self.placement = placement
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
            # A tuple, whose first word Dask groups by: a group per dataset would stay in the
            # scheduler's memory.
            key=("dataset", job.campaign, job.dataset, next(self._numbers)),
            pure=False,
            retries=0,
            priority=order.priority,
            resources=resources or None,
        )

    def look(self) -> None:
        """Look for workers oftener while there are none, or more may come."""
        if self._cluster is not None and len(self._cluster.offers) < max(1, self._cluster.most):
            self.refresh()

    def refresh(self) -> None:
        """Look again at the workers and what they offer.

        Raises
        ------
        Unavailable
            The scheduler is gone, or there was no worker for long.
        """
        if self._client.status != "running":
            raise Unavailable("the Dask scheduler is gone", path=self._address, code=GENERIC)
        self.placement.refresh()
        if self._cluster is not None and self._means is not None:
            workers = self._client.scheduler_info(n_workers=-1)["workers"]
            self._means.check(list(workers))
            self._cluster.see(offers_of(workers), time.monotonic())
            self._look_for_workers(len(workers), self._means.patience)

    def _look_for_workers(self, number: int, patience: float) -> None:
        """Say that there are no workers, and wait for some, but not for ever."""
        now = time.monotonic()
        if number or (self._cluster and self._cluster.most and not self._cluster.running):
            self._alone_since = None
            return
        if self._alone_since is None:
            self._alone_since = now
            log.warning("no Dask worker at %s; waiting for one up to %g s", self._address, patience)
        if now - self._alone_since > patience:
            message = f"no Dask worker came within {patience:g} s"
            raise Unavailable(message, path=self._address, code=GENERIC)


def ending_of(future: Handle) -> Outcome | BaseException:
    """Return how a dataset ended, or what came instead: a worker that was lost, an error."""
    if future.cancelled():
        return Cancelled()
    try:
        outcome: Outcome = future.result(timeout=FETCH_LIMIT)
    except CancelledError:  # between the two lines: its scheduler is gone
        return Cancelled()
    except Exception as error:  # noqa: BLE001 - the boundary: one dataset stops no other
        return error
    return outcome


class Cancelled(Exception):
    """The future was cancelled: by us, or because its scheduler is gone."""


def is_lost(error: BaseException) -> bool:
    """Tell whether the worker is gone, rather than that something is wrong with the job."""
    from distributed.comm.core import CommClosedError
    from distributed.scheduler import KilledWorker

    return isinstance(error, KilledWorker | Cancelled | CommClosedError | TimeoutError)
