"""The project's `task` decorator: retries, retry test, timeout and run name of each stage."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas import TaskRun
from prefect.client.schemas.objects import State

from calib.stages.job import Job
from calib.stages.policy import POLICIES, is_retryable
from tasks.run_log import warnings_shown

P = ParamSpec("P")
R = TypeVar("R")


async def retry_if_transient(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Retry what may pass by itself; Prefect asks this after every failed try."""
    error = await state.aresult(raise_on_failure=False)
    return isinstance(error, BaseException) and is_retryable(error)


def stage_task(stage: str) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a task of a stage function, under the stage's policy.

    Results are records in memory: nothing is pickled to result storage, because work folder,
    manifest and ledger already hold what the next attempt needs.
    """
    policy = POLICIES[stage]
    decorate = task(
        name=stage,
        task_run_name=f"{stage}-{{job.dataset}}",
        retries=len(policy.delays),
        retry_delay_seconds=list(policy.delays),
        retry_jitter_factor=policy.jitter,
        retry_condition_fn=retry_if_transient,
        timeout_seconds=policy.timeout,
        persist_result=False,
        cache_policy=NO_CACHE,
    )

    def stage_with_log(function: Callable[P, R]) -> Task[P, R]:
        return decorate(_telling(stage, function))

    return stage_with_log


def _telling(stage: str, function: Callable[P, R]) -> Callable[P, R]:
    """Return a stage whose warnings are in the log of its task run, too."""

    @wraps(function)
    def told(*arguments: P.args, **named: P.kwargs) -> R:
        job = cast("Job", arguments[0])
        with warnings_shown(job.dataset, stage):
            return function(*arguments, **named)

    return told
