"""What a worker does with one dataset of a campaign, wherever it runs.

The stages may be Prefect tasks of the chunk's flow run. What they need of it is made ready
once for each worker thread and chunk; the settings of a whole process are not sent with
every dataset, which is what Prefect's own `submit` does.
"""

from __future__ import annotations

import atexit
import importlib
import logging
import pickle
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from contextvars import copy_context
from dataclasses import dataclass, fields
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

from prefect import Task
from prefect.context import FlowRunContext, SettingsContext, SyncClientContext, hydrated_context
from prefect.exceptions import MissingContextError

from calib.errors import ConfigError, HstflowError
from calib.records import Outcome
from calib.stages.job import Job
from flows.event_queue import let_events_go
from flows.prefect_errors import PREFECT_ERRORS, is_prefects
from flows.task_runs import call_task

if TYPE_CHECKING:
    from calib.stages.sequence import Stages

log = logging.getLogger(__name__)
R = TypeVar("R")


@dataclass(frozen=True)
class Work:
    """The stages of a campaign, by import path, so that workers anywhere find the same.

    Attributes
    ----------
    tasks, plain
        ``module:NAME`` of a :class:`calib.stages.sequence.Stages`: as Prefect tasks, and as
        plain functions.
    """

    tasks: str = "flows.dataset:TASKS"
    plain: str = "flows.dataset:PLAIN"


@dataclass(frozen=True)
class FlowFrame:
    """The flow run that a dataset's tasks belong to, in a form that travels.

    Attributes
    ----------
    key
        Number of the flow run.
    payload
        The context of Prefect, without the flow itself, which every worker can import.
    """

    key: str
    payload: bytes


def run_job(job: Job, work: Work, frame: FlowFrame | None) -> Outcome:
    """Take one dataset through its stages; what a worker is sent.

    Parameters
    ----------
    job
        The dataset and what it may use.
    work
        The stages.
    frame
        The flow run to which the stages belong as tasks; None: they are plain functions.

    Returns
    -------
    Outcome
        How the attempt ended; the ledger says the same.

    Raises
    ------
    HstflowError
        The attempt could not begin: see :func:`calib.stages.sequence.process_dataset`. Where
        Dask brings a job a second time, after the loss of the worker that had begun it, this
        is WorkerLost: the campaign decides what follows.
    """
    from calib.stages.sequence import process_dataset

    plain = load_stages(work.plain)
    place = None if frame is None else place_of(frame)
    if place is None:
        return process_dataset(job, plain)
    stages = _sturdy(load_stages(work.tasks), plain)
    return place.run(lambda: process_dataset(job, stages))


@cache
def load_stages(path: str) -> Stages:
    """Import stages.

    Raises
    ------
    ConfigError
        There is nothing of that name, or it is something else.
    """
    from calib.stages.sequence import Stages

    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        message = f"the stages cannot be imported: {error}"
        raise ConfigError(message, expected="module:NAME", found=path) from error
    if not isinstance(found, Stages):
        raise ConfigError("not the six stages", expected="Stages", found=path)
    return found


class Place:
    """The inside of a flow run, for one thread; it stays open from one dataset to the next.

    A client of Prefect's server takes 25 ms of CPU to make, and each task would make its own;
    to enter the flow run takes 3 ms.

    Parameters
    ----------
    frame
        The flow run.
    """

    def __init__(self, frame: FlowFrame) -> None:
        from flows.frames import show_chunk

        self.key = frame.key
        told = pickle.loads(frame.payload)  # noqa: S301 - made by the campaign itself
        told["flow_run_context"]["flow"] = show_chunk
        self._stack, self._context = ExitStack(), copy_context()
        self._run = self._context.run(self._open, told)

    def run(self, call: Callable[[], R]) -> R:
        """Call a function inside the flow run."""
        let_events_go()
        try:
            return self._context.run(call)
        finally:
            # Prefect keeps the result of every task until its flow run ends, to tell which
            # task a later one got its arguments from: this would grow with the chunk, and
            # numbers of objects that are gone come again.
            self._run.run_results.clear()

    def close(self) -> None:
        """Leave the flow run, and give the connection back."""
        self._context.run(self._stack.close)

    def _open(self, told: dict[str, Any]) -> FlowRunContext:
        settings = told.pop("settings_context", None)
        with ExitStack() as opening:
            if settings:
                opening.enter_context(SettingsContext(**settings))
            client = opening.enter_context(SyncClientContext()).client
            opening.enter_context(hydrated_context(told, client=client))
            found = FlowRunContext.get()
            if found is None:
                raise MissingContextError("no flow run was entered")
            self._stack = opening.pop_all()
        return found


_kept: dict[int, Place] = {}  # by thread


def place_of(frame: FlowFrame) -> Place | None:
    """Return the inside of a flow run for this thread; None where Prefect does not let us in."""
    thread = threading.get_ident()
    place = _kept.get(thread)
    if place is not None and place.key == frame.key:
        return place
    if place is not None:
        del _kept[thread]
        place.close()
    try:
        _kept[thread] = place = Place(frame)
    except PREFECT_ERRORS as error:
        log.warning("the flow run cannot be entered, stages are run without it: %s", error)
        return None
    return place


def leave_flow_runs() -> None:
    """Close what the threads of this process keep open; once they have ended, or at its end."""
    while _kept:
        _, place = _kept.popitem()
        with suppress(RuntimeError):  # its thread still works in it: a process that is ended
            place.close()


atexit.register(leave_flow_runs)


@cache
def _sturdy(tasks: Stages, plain: Stages) -> Stages:
    """Return stages that are tasks as long as Prefect works, and plain functions otherwise."""
    from calib.stages.sequence import Stages

    names = [field.name for field in fields(Stages)]
    return Stages(
        **{name: _either(name, getattr(tasks, name), getattr(plain, name)) for name in names}
    )


def _either(stage: str, task: Callable[..., R], plain: Callable[..., R]) -> Callable[..., R]:
    shown: Callable[..., R] = partial(call_task, task) if isinstance(task, Task) else task

    def call(*arguments: Any) -> R:
        try:
            return shown(*arguments)
        except HstflowError:
            raise
        except PREFECT_ERRORS as error:
            if not is_prefects(error):
                raise
            # What a stage has finished is found again: doing it without Prefect is safe.
            log.warning("%s: Prefect failed, the stage is run without it: %s", stage, error)
            return plain(*arguments)

    return call
