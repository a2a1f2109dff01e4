"""Runs of Prefect tasks that are begun at once, and so tell one state less.

Prefect tells each state of a task as an event, which this process and the server spend CPU on. A
task that is called is Pending for no time: its run begins as Running.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast
from uuid import uuid4

from prefect import Task
from prefect.client.schemas import TaskRun
from prefect.client.schemas.objects import State, TaskRunPolicy
from prefect.context import FlowRunContext, TagsContext
from prefect.states import Pending
from prefect.task_engine import run_task
from prefect.utilities.annotations import opaque
from prefect.utilities.callables import get_call_parameters

R = TypeVar("R")


def call_task(task: Task[..., R], *arguments: object) -> R:
    """Call a task as ``task(*arguments)`` does, in the flow run in which we are.

    The arguments are not looked through for results of other tasks.

    Parameters
    ----------
    task
        The task.
    *arguments
        Its arguments.

    Returns
    -------
    R
        What the task returns.

    Raises
    ------
    Exception
        What the task raises, when it is not tried again.
    """
    given = get_call_parameters(task.fn, tuple(map(opaque, arguments)), {})
    # A run that Prefect is handed is one that has told that it is Pending.
    result: Any = run_task(task, task_run=new_run(task), parameters=given)
    return cast("R", result)


def new_run(task: Task[..., Any]) -> TaskRun:
    """Return a run of a task that is about to begin; the server hears of it when it runs."""
    here = FlowRunContext.get()
    state: State[None] = Pending()
    return TaskRun(
        name=task.name,
        flow_run_id=here.flow_run.id if here and here.flow_run else None,
        task_key=task.task_key,
        dynamic_key=str(uuid4()),
        task_version=task.version,
        empirical_policy=TaskRunPolicy(
            retries=task.retries,
            retry_delay=task.retry_delay_seconds,
            retry_jitter_factor=task.retry_jitter_factor,
        ),
        tags=sorted(task.tags | TagsContext.get().current_tags),
        expected_start_time=state.timestamp,
        state_id=state.id,
        state_type=state.type,
        state_name=state.name,
        state=state,
    )
