"""The question whether a reprocessing may run: a pause of the flow run, with a form.

An answer may also come by ``hstflow campaign approve``, into the ledger. While the run is paused
a thread looks there; what it finds resumes the run. So there is one way on, whoever answers.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import pause_flow_run
from prefect.input import RunInput

from calib.errors import HstflowError
from calib.ledger.ledger import Ledger
from calib.ledger.reprocessing_reports import Reprocessing, state_of
from calib.ledger.reprocessings import Overtaken, advance
from flows.prefect_errors import PREFECT_ERRORS

log = logging.getLogger(__name__)

LOOK = 5.0  # seconds between two looks into the ledger, and at the state of the flow run

# A person may be away for a week; a run that nobody answers then ends at the review, and the
# reprocessing goes on in another run once it is approved.
PATIENCE = 7 * 24 * 3600.0
_MARGIN = 600.0  # Prefect's own limit comes after ours: it would fail the run

FORM = """\
**{name}**: {reason}

Report: `{report}`

Approve: it runs. Reject: it never does. Later: this run ends, and
`hstflow campaign approve {name}` decides.
"""


class Approval(RunInput):
    """What a person says of a reprocessing, in the form of a paused flow run."""

    decision: Literal["approve", "reject", "later"] = "later"
    note: str = ""
    who: str = ""


def ask_approval(ledger: Ledger, found: Reprocessing, *, patience: float = PATIENCE) -> bool:
    """Pause the flow run of this process until somebody has decided; tell whether it is decided.

    Parameters
    ----------
    ledger, found
        The reprocessing, which is at its review.
    patience
        Seconds to wait.
    """
    here = FlowRunContext.get()
    if here is None or here.flow_run is None:
        return False
    text = FORM.format(name=found.name, reason=found.reason, report=found.report or "none")
    form = Approval.with_initial_data(description=text)
    with _listening(ledger, found.name, here.flow_run.id, time.monotonic() + patience):
        try:
            # A coroutine only where it is awaited.
            answer = pause_flow_run(
                wait_for_input=form, timeout=int(patience + _MARGIN), poll_interval=int(LOOK)
            )
        except FlowPauseTimeout:
            return False
    return _take(ledger, found.name, answer)


def _take(ledger: Ledger, name: str, answer: Approval) -> bool:
    """Write an answer into the ledger, unless that has one already."""
    if _state(ledger, name) != "review":
        return True
    state = {"approve": "approved", "reject": "rejected"}.get(answer.decision)
    if state is None:
        return False
    who, note = answer.who or "somebody at the Prefect server", answer.note or None
    try:
        ledger.write(lambda c: advance(c, name, state, who=who, note=note, seen="review"))
    except Overtaken as error:  # another answer came first
        log.info("%s", error)
    return True


@contextmanager
def _listening(ledger: Ledger, name: str, run: UUID, deadline: float) -> Iterator[None]:
    """Resume the flow run once the ledger has a decision, or the time is over."""
    over = threading.Event()
    arguments = (ledger, name, run, deadline, over)
    thread = threading.Thread(target=_listen, args=arguments, name="approval", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _listen(ledger: Ledger, name: str, run: UUID, deadline: float, over: threading.Event) -> None:
    while not over.wait(LOOK):
        try:
            if _state(ledger, name) != "review" or time.monotonic() > deadline:
                _resume(run)
        except (HstflowError, *PREFECT_ERRORS) as error:
            log.info("the paused run is not resumed yet: %s", error)


def _resume(run: UUID) -> None:
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(run).state
        if state is not None and state.is_paused():
            client.resume_flow_run(run, run_input=Approval().model_dump())


def _state(ledger: Ledger, name: str) -> str | None:
    return ledger.ask(lambda rows: state_of(rows, name))
