"""The project's `task` decorator: retries, retry test, timeout and run name of each stage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas import TaskRun
from prefect.client.schemas.objects import State

from calib.stages.policy import POLICIES, is_retryable

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
    return task(
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
