"""What a worker does with one dataset of a campaign, wherever it runs.

The stages may be Prefect tasks of the chunk's flow run. What they need of it is made ready
once for each worker thread and chunk; the settings of a whole process are not sent with
every dataset, which is what Prefect's own `submit` does.
"""

from __future__ import annotations

import importlib
import logging
import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, TypeVar

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.context import SettingsContext, hydrated_context
from prefect.exceptions import PrefectException

from calib.errors import ConfigError, HstflowError
from calib.records import Outcome
from calib.stages.job import Job
from calib.stages.sequence import Stages, process_dataset

log = logging.getLogger(__name__)
R = TypeVar("R")

# What Prefect raises of its own: its exceptions, and those of the connection to its server.
PREFECT_ERRORS = (PrefectException, httpx.HTTPError, httpx.StreamError)


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
    plain: str = "calib.stages.sequence:PLAIN"


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
        The attempt could not begin: see :func:`calib.stages.sequence.process_dataset`.
    """
    plain = load_stages(work.plain)
    if frame is None:
        return process_dataset(job, plain)
    with entered(frame):
        return process_dataset(job, _sturdy(load_stages(work.tasks), plain))


@cache
def load_stages(path: str) -> Stages:
    """Import stages.

    Raises
    ------
    ConfigError
        There is nothing of that name, or it is something else.
    """
    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        message = f"the stages cannot be imported: {error}"
        raise ConfigError(message, expected="module:NAME", found=path) from error
    if not isinstance(found, Stages):
        raise ConfigError("not the six stages", expected="Stages", found=path)
    return found


@contextmanager
def entered(frame: FlowFrame) -> Iterator[None]:
    """Be inside the flow run of a frame; without it where Prefect does not let us in."""
    with ExitStack() as stack:
        try:
            settings, context, client = _made_ready(frame)
            if settings is not None:
                stack.enter_context(settings.model_copy())
            stack.enter_context(hydrated_context(context, client=client))
        except PREFECT_ERRORS as error:
            log.warning("the flow run cannot be entered: %s", error)
        yield


_kept = threading.local()

Ready = tuple[SettingsContext | None, dict[str, Any], SyncPrefectClient]


def _made_ready(frame: FlowFrame) -> Ready:
    """Return what the frame needs; made once for a thread, until another frame comes."""
    if getattr(_kept, "key", None) != frame.key:
        _kept.ready = _make_ready(pickle.loads(frame.payload))  # noqa: S301 - the campaign's own
        _kept.key = frame.key
    ready: Ready = _kept.ready
    return ready


def _make_ready(context: dict[str, Any]) -> Ready:
    from flows.frames import show_chunk

    context["flow_run_context"]["flow"] = show_chunk
    told = context.pop("settings_context", None)
    settings = SettingsContext(**told) if told else None
    with ExitStack() as stack:
        if settings is not None:
            stack.enter_context(settings.model_copy())
        return settings, context, get_client(sync_client=True)


@cache
def _sturdy(tasks: Stages, plain: Stages) -> Stages:
    """Return stages that are tasks as long as Prefect works, and plain functions otherwise."""
    names = [field.name for field in fields(Stages)]
    return Stages(
        **{name: _either(name, getattr(tasks, name), getattr(plain, name)) for name in names}
    )


def _either(stage: str, task: Callable[..., R], plain: Callable[..., R]) -> Callable[..., R]:
    def call(*arguments: Any) -> R:
        try:
            return task(*arguments)
        except HstflowError:
            raise
        except PREFECT_ERRORS as error:
            # What a stage has finished is found again: doing it without Prefect is safe.
            log.warning("%s: Prefect failed, the stage is run without it: %s", stage, error)
            return plain(*arguments)

    return call
