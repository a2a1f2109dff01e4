"""The flow runs of a campaign's chunks: what Prefect shows, and what stage tasks belong to.

They are shown by threads of their own. A server that is away never holds a dataset up for
longer than a moment: its stages are then run as plain functions.
"""

from __future__ import annotations

import logging
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext, serialize_context
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.states import Completed, Failed

from calib.records import Outcome
from flows.prefect_errors import PREFECT_ERRORS
from flows.run_page import label_run
from flows.tally import Tally
from flows.work import FlowFrame

log = logging.getLogger(__name__)

# Seconds for which the datasets of a chunk wait for its flow run.
PATIENCE = 30.0

# Seconds between two tries to reach the server, and for how long a flow run's end is tried.
PAUSE = 1.0
LAST_WORDS = 20.0


@dataclass(frozen=True)
class Label:
    """What the flow runs of a campaign's chunks are known by: its name, and their tags."""

    campaign: str
    tags: tuple[str, ...] = ()


@flow(
    name="campaign-chunk",
    flow_run_name="campaign-{campaign}-chunk{chunk}",
    persist_result=False,
    validate_parameters=False,
    description="A part of a campaign's datasets, as one flow run.",
)
def show_chunk(campaign: str, chunk: int) -> State[Any]:
    """Be the flow run of a chunk until its datasets have ended."""
    return _shown[campaign, chunk].stay()


_shown: dict[tuple[str, int], ChunkFlow] = {}


class ChunkFlow:
    """The flow run of one chunk, in a thread of its own.

    Parameters
    ----------
    label, chunk
        Of which campaign it is, and its number.
    wake
        Called when it is there, or given up.
    sends_settings
        Whether workers need the settings of this process (they are on other hosts).
    """

    def __init__(
        self, label: Label, chunk: int, wake: Callable[[], None], *, sends_settings: bool
    ) -> None:
        self.campaign, self.chunk = label.campaign, chunk
        self.frame: FlowFrame | None = None
        self.is_settled = False
        self.tally = Tally()
        self._tags = label.tags
        self._wake, self._sends_settings = wake, sends_settings
        self._through = threading.Event()
        self._number: UUID | None = None
        _shown[self.campaign, chunk] = self
        context = copy_context()  # so that it is a part of the campaign's flow run
        self._thread = threading.Thread(
            target=context.run, args=(self._show,), name=f"chunk-{chunk}", daemon=True
        )
        self._thread.start()

    def stay(self) -> State[Any]:
        """Say that the flow run is there, and wait for the end of the chunk."""
        context = FlowRunContext.get()
        if context is not None and context.flow_run is not None:
            self._number = context.flow_run.id
            self.frame = frame_here(sends_settings=self._sends_settings)
        self._settle()
        label_run(tags=self._tags)
        self._through.wait()
        return self.state()

    def state(self) -> State[Any]:
        """Return how the flow run ends: what its datasets have come to here."""
        text = str(self.tally)
        return Failed(message=text) if self.tally.bad else Completed(message=text)

    def close(self) -> None:
        """End the flow run."""
        self._through.set()

    @property
    def is_gone(self) -> bool:
        """Whether its last words are said."""
        return not self._thread.is_alive()

    def join(self, seconds: float) -> None:
        """Wait for its last words."""
        self._thread.join(seconds)

    def _show(self) -> None:
        deadline = time.monotonic() + PATIENCE
        try:
            while not self._try() and time.monotonic() < deadline:
                if self._through.wait(PAUSE):
                    break
        finally:
            self._settle()
            if _shown.get((self.campaign, self.chunk)) is self:  # it may be open again
                del _shown[self.campaign, self.chunk]

    def _try(self) -> bool:
        """Show the flow run; False where the server did not let it begin."""
        try:
            with without_heartbeat():
                show_chunk(self.campaign, self.chunk, return_state=True)
        except PREFECT_ERRORS as error:
            log.warning("chunk %d: its flow run is not shown: %s", self.chunk, error)
            if self._number is None:
                return False
            self._through.wait()
            end_flow_run(self._number, self.state())
        return True

    def _settle(self) -> None:
        self.is_settled = True
        self._wake()


class ChunkFlows:
    """The flow runs of the chunks that are open.

    Parameters
    ----------
    label
        Of which campaign they are.
    with_tasks
        Whether the stages of the datasets are tasks of them.
    wake
        Called when one is there.
    sends_settings
        Whether workers need the settings of this process.
    """

    def __init__(
        self, label: Label, wake: Callable[[], None], *, with_tasks: bool, sends_settings: bool
    ) -> None:
        self._label, self._wake = label, wake
        self._with_tasks, self._sends_settings = with_tasks, sends_settings
        # Outside of a flow run there is no server: Prefect would start one of its own.
        self._is_shown = FlowRunContext.get() is not None
        self._open: dict[int, ChunkFlow] = {}
        self._closing: list[ChunkFlow] = []

    def is_ready(self, chunk: int) -> bool:
        """Open a chunk's flow run; tell whether its datasets may start."""
        if not self._is_shown:
            return True
        if chunk not in self._open:
            self._open[chunk] = ChunkFlow(
                self._label, chunk, self._wake, sends_settings=self._sends_settings
            )
        return not self._with_tasks or self._open[chunk].is_settled

    def frame(self, chunk: int) -> FlowFrame | None:
        """Return what a dataset's tasks belong to; None: its stages are plain functions."""
        shown = self._open.get(chunk)
        return shown.frame if shown and self._with_tasks else None

    def note(self, chunk: int, outcome: Outcome | None) -> None:
        """Count the end of a dataset; None: the ledger alone knows it."""
        if chunk in self._open:
            self._open[chunk].tally.note(outcome)

    def close(self, chunk: int) -> None:
        """End a chunk's flow run."""
        if shown := self._open.pop(chunk, None):
            shown.close()
            self._closing = [each for each in self._closing if not each.is_gone] + [shown]

    def close_all(self) -> None:
        """End all flow runs, and give them a moment for their last words."""
        for chunk in list(self._open):
            self.close(chunk)
        deadline = time.monotonic() + LAST_WORDS
        for shown in self._closing:
            shown.join(max(0.0, deadline - time.monotonic()))


class OneFlow:
    """All datasets belong to the flow run in which we are; without one they are plain.

    Parameters
    ----------
    frame
        The flow run.
    """

    def __init__(self, frame: FlowFrame | None) -> None:
        self._frame = frame
        self.tally = Tally()

    def is_ready(self, _chunk: int) -> bool:
        """Nothing is waited for."""
        return True

    def frame(self, _chunk: int) -> FlowFrame | None:
        """Return what a dataset's tasks belong to."""
        return self._frame

    def note(self, _chunk: int, outcome: Outcome | None) -> None:
        """Count the end of a dataset."""
        self.tally.note(outcome)

    def close(self, _chunk: int) -> None:
        """Do nothing: the flow run ends with its function."""


def frame_here(*, sends_settings: bool) -> FlowFrame | None:
    """Return the flow run in which we are, in a form that travels; None outside of one."""
    here = FlowRunContext.get()
    if here is None or here.flow_run is None:
        return None
    context = serialize_context()
    del context["flow_run_context"]["flow"]  # every worker can import one
    context["task_run_context"] = {}
    if not sends_settings:
        context["settings_context"] = {}
    return FlowFrame(str(here.flow_run.id), pickle.dumps(context))


@contextmanager
def without_heartbeat() -> Iterator[None]:
    """Run flows without Prefect's heartbeat thread, which costs each a second at its end."""
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield


def end_flow_run(number: UUID, state: State[Any]) -> None:
    """Set the end of a flow run whose server was away when it ended; try for a while."""
    deadline = time.monotonic() + LAST_WORDS
    while True:
        try:
            with get_client(sync_client=True) as client:
                client.set_flow_run_state(number, state, force=True)
        except PREFECT_ERRORS as error:
            if time.monotonic() > deadline:
                log.warning("flow run %s is left behind: %s", number, error)
                return
            time.sleep(PAUSE)
        else:
            return
