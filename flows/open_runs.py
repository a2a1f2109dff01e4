"""Flow runs that have not ended, as Prefect's server knows them."""

from __future__ import annotations

import logging

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Crashed

log = logging.getLogger(__name__)

_OPEN = (StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.PAUSED)

_PAGE = 200  # what the server gives at most


def open_runs(name: str) -> list[FlowRun]:
    """Return the runs of a deployment, NAME of the flow NAME, that have not ended.

    Raises
    ------
    PrefectException, HTTPError
        The server does not answer.
    """
    state = FlowRunFilterState(type=FlowRunFilterStateType(any_=list(_OPEN)))
    found: list[FlowRun] = []
    with get_client(sync_client=True) as client:
        while True:
            page = client.read_flow_runs(
                flow_filter=FlowFilter(name=FlowFilterName(any_=[name])),
                deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=[name])),
                flow_run_filter=FlowRunFilter(state=state),
                sort=FlowRunSort.EXPECTED_START_TIME_ASC,
                limit=_PAGE,
                offset=len(found),
            )
            found += page
            if len(page) < _PAGE:
                return found


def bury(run: FlowRun) -> None:
    """Say of a run what Prefect does not see by itself: its process is gone."""
    log.warning("flow run %s has no process any more", run.name)
    with get_client(sync_client=True) as client:
        message = "its process is gone, says the ledger"
        client.set_flow_run_state(run.id, Crashed(message=message), force=True)
