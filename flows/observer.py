"""Watches a campaign from a thread of its own, and shows in Prefect what there is to see.

It reads the ledger, and nothing waits for it: not the datasets, and not the campaign's end for
longer than a moment. So a server that is away, or slow, costs nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from contextvars import copy_context
from dataclasses import dataclass, field
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext

from calib.errors import HstflowError
from calib.ledger.alerts import Alert, AlertLimits, alerts_of
from calib.ledger.campaign_reports import Campaign
from calib.ledger.ledger import Ledger
from flows.alarms import Bell
from flows.artifacts import Shelf
from flows.campaign_board import Board
from flows.campaign_journal import Journal
from flows.campaign_results import Result
from flows.plans import campaign_of
from flows.prefect_errors import PREFECT_ERRORS

log = logging.getLogger(__name__)

# Seconds between two looks at the ledger, between two looks for what is wrong, and for what is
# shown at the end.
PERIOD = 5.0
CHECK = 30.0
LAST_WORDS = 5.0

# Seconds after which last words that could not be said are tried once more: within LAST_WORDS.
AGAIN = 2.0


@dataclass(frozen=True)
class Scene:
    """What is watched.

    Attributes
    ----------
    ledger, campaign
        Where, and its name.
    how
        Where it runs, for people.
    limits
        When its operator is told.
    dashboard
        Address of the dashboard; None: it is not known.
    """

    ledger: Ledger
    campaign: str
    how: str
    limits: AlertLimits = field(default_factory=AlertLimits)
    dashboard: str | None = None


class Observer:
    """Shows one session of a campaign in its flow run's page, until it is closed.

    Parameters
    ----------
    scene
        What is watched.
    flow_run
        In whose page it is shown.
    """

    def __init__(self, scene: Scene, flow_run: UUID) -> None:
        self._scene, self._flow_run = scene, flow_run
        self._journal = Journal(scene.how)
        self._bell: Bell | None = None
        self._board: Board | None = None
        self._alerts: Sequence[Alert] = ()
        self._next_check = 0.0
        self._ended: tuple[Result, Sequence[str]] | None = None
        self._closed = threading.Event()
        self._stack = ExitStack()
        context = copy_context()  # so that lines and events belong to the campaign's flow run
        self._thread = threading.Thread(
            target=context.run, args=(self._run,), name="observer", daemon=True
        )
        self._thread.start()

    def end(self, result: Result, remarks: Sequence[str]) -> None:
        """Note how the session ended, for its last words."""
        self._ended = (result, remarks)

    def close(self) -> None:
        """Show all for the last time; wait a moment for that."""
        self._closed.set()
        self._thread.join(LAST_WORDS)

    def _run(self) -> None:
        with self._stack:
            self._try(self._begin)
            while not self._closed.wait(PERIOD):
                self._try(self._look)
            if not self._try(self._say_last):
                time.sleep(AGAIN)
                self._try(self._say_last)
            self._try(self._show_last)

    def _try(self, step: Callable[[], object]) -> bool:
        """Tell whether a step went well; nothing that goes wrong here ends the watch."""
        try:
            step()
        except (HstflowError, *PREFECT_ERRORS) as error:
            log.info("the campaign is not shown: %s", error)
        except Exception:
            log.exception("the campaign is not shown")
        else:
            return True
        return False

    def _begin(self) -> Bell:
        """Say that it begins, once: a ledger that is busy is asked again at the next look."""
        if self._bell is None:
            found = self._found()
            details = {"context": found.context, "dashboard": self._scene.dashboard}
            self._journal.begin(found, time.monotonic())
            self._bell = Bell(found.name, details)
        return self._bell

    def _look(self) -> None:
        bell, ledger = self._begin(), self._scene.ledger
        found, now = self._found(), time.monotonic()
        self._journal.look(ledger, found, now)
        if now >= self._next_check:
            self._next_check = now + CHECK
            self._alerts = ledger.ask(lambda rows: alerts_of(rows, found, self._scene.limits))
            bell.look(self._alerts)
        self._shown_board().look(ledger, found, self._alerts, now)

    def _say_last(self) -> None:
        """Write the last lines, which need no answer of the server."""
        bell, found = self._begin(), self._found()
        self._journal.look(self._scene.ledger, found, time.monotonic())
        outcome, message, counts = "interrupted", "the process was stopped", found.counts
        if self._ended is not None:
            result, _ = self._ended
            outcome, message, counts = result.outcome, result.message, result.counts
        self._journal.end(found, outcome, time.monotonic())
        bell.end(outcome, message, counts)

    def _show_last(self) -> None:
        remarks = self._ended[1] if self._ended else ()
        outcome = self._ended[0].outcome if self._ended else "interrupted"
        self._shown_board().end(self._scene.ledger, self._found(), outcome, remarks)

    def _found(self) -> Campaign:
        return campaign_of(self._scene.ledger, self._scene.campaign)

    def _shown_board(self) -> Board:
        """Return the board; a client takes 25 ms of CPU to make, so there is one."""
        if self._board is None:
            client = self._stack.enter_context(get_client(sync_client=True))
            self._board = Board(Shelf(client, self._flow_run), self._scene.dashboard)
        return self._board


def observe(scene: Scene) -> Observer | None:
    """Watch a campaign from the flow run in which we are; None outside of one."""
    here = FlowRunContext.get()
    if here is None or here.flow_run is None:
        return None
    return Observer(scene, here.flow_run.id)
