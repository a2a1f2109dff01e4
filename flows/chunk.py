"""A chunk of a campaign as a flow run of its own process: the deployment `campaign-chunk`."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Annotated, Any
from uuid import UUID

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.deployments import run_deployment
from prefect.states import Completed, Failed

from calib.ledger.campaign_reports import control_of, count_by_instrument
from calib.ledger.ledger import Ledger
from calib.stages.recording import ledger_of
from flows.backlog import Backlog, LedgerAway, asking_ledger
from flows.form import CampaignName, asked
from flows.frames import OneFlow, frame_here
from flows.interrupts import Endings, interruptible
from flows.plans import campaign_of, plan_of
from flows.prefect_errors import PREFECT_ERRORS
from flows.run_page import label_run, tags_of
from flows.session import BEAT, Heart, Loop
from flows.work import Work
from tasks.settings import limit_reference_memory, load_settings

log = logging.getLogger(__name__)

DEPLOYMENT = "campaign-chunk/campaign-chunk"

# Runs of chunks that wait or work at the same time; the work pool may allow fewer.
MOST_OPEN = 4

# How often a chunk is given to a run again whose own run ended before its datasets.
MOST_RUNS = 5


@flow(
    name="campaign-chunk",
    flow_run_name="campaign-{campaign}-chunk{chunk}",
    persist_result=False,
    description="Run what is left of a chunk of a campaign that the ledger knows.",
)
def run_chunk(
    campaign: CampaignName,
    chunk: Annotated[
        int,
        asked("Chunk", "Number of the part of the campaign, from 0.", examples=[0], ge=0),
    ],
) -> State[Any]:
    """Run what is left of a chunk; the ledger of HSTFLOW_LEDGER says what and how.

    Parameters
    ----------
    campaign, chunk
        Name of the campaign, number of the chunk.

    Returns
    -------
    State
        Completed where the datasets that ended here ended well, else Failed with counts.

    Raises
    ------
    ConfigError
        There is no such campaign, or nobody planned it.
    """
    from flows.runners import open_pool

    settings = load_settings()
    limit_reference_memory(settings)
    ledger = ledger_of(settings.ledger)
    plan, found = plan_of(ledger, campaign, settings.ledger), campaign_of(ledger, campaign)
    instruments = ledger.ask(lambda rows: count_by_instrument(rows, found.id))
    label_run(tags=tags_of(campaign, found.context, instruments))
    with_tasks = plan.style(found.total) == "tasks"
    frames = OneFlow(frame_here(sends_settings=not plan.runs_here) if with_tasks else None)
    with open_pool(plan) as pool, interruptible() as ended:
        backlog = Backlog(ledger, found.id, only=chunk)
        Loop(plan, Work(), ledger, backlog, pool, frames, Wishes(ledger, campaign), ended).run()
    text = str(frames.tally)
    return Failed(message=text) if frames.tally.bad else Completed(message=text)


@dataclass
class Wishes:
    """What the operator wants of a campaign, for a process that does not hold its session."""

    ledger: Ledger
    campaign: str

    def beat(self) -> str:
        """Return ``run``, ``pause`` or ``cancel``."""
        return self.ledger.ask(lambda rows: control_of(rows, self.campaign))


@dataclass
class ChunkRuns:
    """The chunks of a campaign as runs of the deployment, followed in the ledger.

    Attributes
    ----------
    campaign, session
        Name of the campaign, and number of the session: a part of the idempotency keys.
    backlog, heart, ended
        What is left, what the operator wants, and the signals.
    """

    campaign: str
    session: int
    backlog: Backlog
    heart: Heart
    ended: Endings
    _open: dict[int, UUID] = field(default_factory=dict)
    _runs: dict[int, int] = field(default_factory=dict)

    def run(self) -> str:
        """Go on until no chunk has anything left; return what the operator wanted last.

        Raises
        ------
        KeyboardInterrupt, SystemExit
            A person or the system stopped us; runs that are open go on.
        """
        while True:
            try:
                if (wanted := self._turn()) is not None:
                    return wanted
            except LedgerAway as error:
                log.warning("%s; trying again", error)
            self.ended.wait(BEAT)

    def _turn(self) -> str | None:
        """Look at the ledger and start runs; return the operator's wish if nothing is left."""
        with asking_ledger():
            wanted, left = self.heart.beat(), self.backlog.chunks()
        self._forget(left)
        if wanted == "run":
            self._start(left)
        is_over = not self._open and (wanted != "run" or not self._may_start(left))
        return wanted if is_over else None

    def _forget(self, left: dict[int, int]) -> None:
        """Forget runs that have ended, and those whose datasets have."""
        for chunk, number in list(self._open.items()):
            if chunk not in left or _has_ended(number):
                del self._open[chunk]

    def _may_start(self, left: dict[int, int]) -> list[int]:
        return [
            chunk
            for chunk in left
            if chunk not in self._open and self._runs.get(chunk, 0) < MOST_RUNS
        ]

    def _start(self, left: dict[int, int]) -> None:
        for chunk in self._may_start(left)[: MOST_OPEN - len(self._open)]:
            number = self._runs.get(chunk, 0)
            key = f"{self.campaign}:{chunk}:{self.session}:{number}"
            parameters = {"campaign": self.campaign, "chunk": chunk}
            try:
                run: Any = run_deployment(  # a coroutine only where it is awaited
                    DEPLOYMENT, parameters=parameters, idempotency_key=key, timeout=0
                )
            except PREFECT_ERRORS as error:
                log.warning("chunk %d is not submitted yet: %s", chunk, error)
                return
            self._open[chunk], self._runs[chunk] = run.id, number + 1


def _has_ended(number: UUID) -> bool:
    try:
        with get_client(sync_client=True) as client:
            state = client.read_flow_run(number).state
    except PREFECT_ERRORS as error:
        log.warning("flow run %s cannot be looked at: %s", number, error)
        return False
    return state is not None and state.is_final()
