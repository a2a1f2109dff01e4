"""What the page of a flow run in Prefect says of it: its name, its tags, lines of its log.

Nothing here is needed for the datasets: where there is no flow run, or no server, it is left out.
Tags are set on flow runs only. Each task with a tag asks the server for a slot, which has stopped
all workers for seconds; so they are not inherited (`prefect.tags`), but set on the run itself.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from prefect import get_run_logger
from prefect.context import FlowRunContext, SyncClientContext

from flows.prefect_errors import PREFECT_ERRORS

log = logging.getLogger(__name__)


def label_run(*, name: str | None = None, tags: Iterable[str] = ()) -> None:
    """Rename the flow run in which we are, and add tags to those that it has.

    Parameters
    ----------
    name
        Its new name; None: it keeps its own.
    tags
        Such as ``campaign:NAME``; those of the deployment stay.
    """
    here = FlowRunContext.get()
    if here is None or here.flow_run is None:
        return
    run = here.flow_run
    wanted = sorted({*run.tags, *tags})
    new_name = None if name == run.name else name
    if new_name is None and wanted == sorted(run.tags):
        return
    try:
        with SyncClientContext.get_or_create() as kept:
            kept.client.update_flow_run(run.id, name=new_name, tags=wanted)
    except PREFECT_ERRORS as error:
        log.info("the flow run has no labels: %s", error)
        return
    run.tags, run.name = wanted, new_name or run.name


def tags_of(
    campaign: str | None = None, context: str | None = None, instruments: Iterable[str] = ()
) -> list[str]:
    """Return the tags of a flow run: what it belongs to, so that runs can be found by it.

    Parameters
    ----------
    campaign, context
        Names; None: it belongs to none.
    instruments
        Those of its datasets: one is a tag, several say nothing.
    """
    names = sorted(set(instruments))
    found = {"campaign": campaign, "context": context}
    found |= {"instrument": names[0] if len(names) == 1 else None}
    return [f"{kind}:{value}" for kind, value in found.items() if value]


def tell(message: str, *arguments: object, level: int = logging.INFO) -> None:
    """Write a line into the log of the flow run in which we are; nowhere without one.

    Lines are sent by a thread of Prefect: nothing waits for the server.
    """
    if FlowRunContext.get() is not None:
        get_run_logger().log(level, message, *arguments)
