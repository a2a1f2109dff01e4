"""The loop of a campaign: hands out what fits, takes what ends, does what the operator wants.

The ledger decides what became of a dataset; a future only says that there is something to
look at. Nothing here waits for Prefect's server.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

from calib.campaigns.retries import decide
from calib.errors import GENERIC, HstflowError, OutOfMemory, WorkerLost
from calib.grants import Grant, Retry
from calib.ledger.campaign_reports import jobs_left
from calib.ledger.campaigns import cancel_jobs
from calib.ledger.dispatch import Loss, Standing, end_lost, standing
from calib.ledger.ledger import Ledger
from calib.records import Outcome
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.enrolment import job_of
from calib.stages.state_message import announce_end
from flows.backlog import Backlog, LedgerAway, Ticket, asking_ledger
from flows.fanout import Cancelled, Handle, Order, Pool, ending_of, is_lost
from flows.interrupts import Endings
from flows.placement import GB, Need, Refusal
from flows.work import FlowFrame, Work

log = logging.getLogger(__name__)

BEAT = 2.0  # seconds between two words with the ledger: what the operator wants, watched jobs
SWEEP = 30.0  # seconds between two looks for attempts of dead owners, and at the workers
NAP = 1.0  # seconds that the loop waits at most for something to end

# Jobs that wait here because they do not fit, and how many may be started before one of them.
MOST_WAITING = 32
MOST_OVERTAKING = 64

# Workers lost before the job had begun: then it is its own fault, or all workers die at once.
MOST_MISSES = 5

# Seconds that cancelled jobs have to end, before the workers are ended under them.
CANCEL_PATIENCE = 30.0

# Seconds after which a job is taken from a worker that Dask has lost, though its process is
# there: stopped, or cut off. Twice what other hosts are given (calib.ledger.owners).
LOST_PATIENCE = 600.0


class Frames(Protocol):
    """The flow runs of the chunks, as Prefect shows them."""

    def is_ready(self, chunk: int) -> bool:
        """Open a chunk's flow run; tell whether it is there, or has been given up."""

    def frame(self, chunk: int) -> FlowFrame | None:
        """Return what a dataset's tasks belong to; None: stages are plain functions."""

    def note(self, chunk: int, outcome: Outcome | None) -> None:
        """Count the end of a dataset."""

    def close(self, chunk: int) -> None:
        """End a chunk's flow run."""


class Heart(Protocol):
    """Says that the process lives, and what the operator wants of the campaign."""

    def beat(self) -> str:
        """Return ``run``, ``pause`` or ``cancel``."""


@dataclass
class Loop:
    """The jobs of a campaign in this process, from the ledger to their ends.

    Attributes
    ----------
    plan, work
        How to run them.
    ledger, backlog, pool, frames, heart
        What the loop works with.
    ended
        Where futures report.
    """

    plan: CampaignPlan
    work: Work
    ledger: Ledger
    backlog: Backlog
    pool: Pool
    frames: Frames
    heart: Heart
    ended: Endings
    control: str = "run"
    _running: dict[int, tuple[Ticket, Handle]] = field(default_factory=dict)
    _waiting: deque[Ticket] = field(default_factory=deque)
    _watched: dict[int, tuple[Ticket, BaseException, float]] = field(default_factory=dict)
    _unsettled: deque[tuple[Ticket, Handle]] = field(default_factory=deque)
    _next_beat: float = 0.0
    _next_sweep: float = 0.0
    _stopped_at: float | None = None

    def run(self) -> str:
        """Go on until nothing is left, or the operator has stopped the campaign.

        Returns
        -------
        str
            What the operator wanted last: ``run``, ``pause`` or ``cancel``.

        Raises
        ------
        Interrupted
            Another process has taken the campaign over.
        Unavailable
            There is nothing to run on any more.
        KeyboardInterrupt, SystemExit
            A person or the system stopped us.
        """
        while True:
            now = time.monotonic()
            pause = NAP
            try:
                self._turn(now)
                if self._is_over(now):
                    return self.control
            except LedgerAway as error:
                log.warning("%s; trying again", error)
                pause = BEAT
            self._unsettled.extend(self.ended.wait(pause))

    def _turn(self, now: float) -> None:
        self._speak(now)
        while self._unsettled:
            self._settle(*self._unsettled[0])
            self._unsettled.popleft()
        if self.control == "run":
            self._fill(now)
        elif self._stopped_at is None:
            self._stop(now)

    def _is_over(self, now: float) -> bool:
        busy = bool(self._running or self._watched or self._unsettled or self._waiting)
        if self.control == "cancel" and self._stopped_at is not None:
            return not busy or now - self._stopped_at > CANCEL_PATIENCE
        if self.control == "pause":
            return not busy
        return not busy and self.backlog.is_empty

    def _speak(self, now: float) -> None:
        """Do what is to be done now and then."""
        if now >= self._next_beat:
            self._next_beat = now + BEAT
            with asking_ledger():
                wanted = self.heart.beat()
            if wanted == "run":
                self._stopped_at = None
            self.control = wanted
            self.pool.look()
            self._watch(now)
        if now >= self._next_sweep:
            self._next_sweep = now + SWEEP
            self.pool.refresh()
            self._refuse_waiting()
            with asking_ledger():
                self.ledger.mark_dead_owners()

    def _fill(self, now: float) -> None:
        """Start what fits."""
        while self.pool.placement.fits(Need()):
            ticket = self._choose(now)
            if ticket is None:
                return
            self._start(ticket)

    def _choose(self, now: float) -> Ticket | None:
        """Return the next job that fits: who waits goes first, and is not overtaken for ever."""
        for place, ticket in enumerate(self._waiting):
            if self._may_start(ticket):
                del self._waiting[place]
                self._overtake(place)
                return ticket
            # Nothing is kept free for one whose worker is away: that may take long.
            is_there = self.pool.placement.is_there(ticket.need)
            if ticket.overtaken >= MOST_OVERTAKING and is_there:
                return None
        while len(self._waiting) < MOST_WAITING:
            with asking_ledger():
                found = self.backlog.next(now)
            if found is None or self._may_start(found):
                self._overtake(len(self._waiting) if found else 0)
                return found
            self._wait_or_refuse(found)
        return None

    def _may_start(self, ticket: Ticket) -> bool:
        return self.frames.is_ready(ticket.chunk) and self.pool.placement.fits(ticket.need)

    def _overtake(self, number: int) -> None:
        for place in range(number):
            self._waiting[place].overtaken += 1

    def _wait_or_refuse(self, ticket: Ticket) -> None:
        refusal = self.pool.placement.refusal(ticket.need)
        if refusal is None:
            self._waiting.append(ticket)
            return
        try:
            self._lose(ticket, self._refused(ticket, refusal))
        except LedgerAway:
            self.backlog.done(ticket)  # it is found again
            raise

    def _refused(self, ticket: Ticket, refusal: Refusal) -> Loss:
        """Return the end of a job that fits nowhere: memory does not come by waiting, disk may.

        What brought it to a rung that is nowhere is said, too: that is what is wrong with it.
        """
        before = self._stand(ticket)
        why = f"{before.reason}; but {refusal.reason}" if before.attempts else refusal.reason
        name, code = refusal.error_class, refusal.code
        retry = None if name == OutOfMemory.__name__ else decide(name, code, self._grant(ticket))
        return Loss(why, name, code, retry)

    def _refuse_waiting(self) -> None:
        """End those that wait for workers that have gone for good."""
        for ticket in list(self._waiting):
            if self.pool.placement.refusal(ticket.need):
                self._waiting.remove(ticket)
                self._wait_or_refuse(ticket)

    def _start(self, ticket: Ticket) -> None:
        try:
            with asking_ledger():
                job = job_of(self.plan, ticket.left)
        except LedgerAway:
            self.backlog.put_back(ticket)
            raise
        frame = self.frames.frame(ticket.chunk)
        order = Order(job, self.work, frame, ticket.left.priority)
        number, memory = ticket.left.attempts + 1, (ticket.left.memory or 0) / GB
        log.info("%s #%d: handed out, memory %g GB", job.dataset, number, memory)
        future = self.pool.submit(order)
        self._running[ticket.left.id] = (ticket, future)
        self.pool.placement.take(ticket.need)
        future.add_done_callback(lambda done: self.ended.put((ticket, done)))

    def _settle(self, ticket: Ticket, future: Handle) -> None:
        """Take the end of an attempt: from its own word, or from the ledger without one."""
        if self._running.pop(ticket.left.id, None) is not None:
            self.pool.placement.give_back(ticket.need)
        end = ending_of(future)
        if isinstance(end, Outcome):
            self._take(ticket, end)
        else:
            self._examine(ticket, end)

    def _take(self, ticket: Ticket, outcome: Outcome) -> None:
        name, number = ticket.left.dataset, ticket.left.attempts + 1
        state = outcome.state if outcome.retry is None else f"again ({outcome.retry.reason})"
        level = logging.WARNING if outcome.state in {"error", "blocked"} else logging.INFO
        log.log(level, "%s #%d: %s: %s", name, number, state, outcome.reason)
        if outcome.retry is None:
            self._finish(ticket, outcome)
        else:
            self._again(ticket, outcome.retry)

    def _finish(self, ticket: Ticket, outcome: Outcome | None) -> None:
        self.backlog.done(ticket)
        self.frames.note(ticket.chunk, outcome)
        self._close_if_through(ticket.chunk)

    def _again(self, ticket: Ticket, retry: Retry) -> None:
        if self.control != "run":
            self.backlog.done(ticket)
        elif retry.delay > 0:
            self.backlog.delay(ticket, retry.delay, time.monotonic())
        else:
            self.backlog.put_back(ticket.again(retry))
        self._close_if_through(ticket.chunk)

    def _close_if_through(self, chunk: int) -> None:
        if not self.backlog.open_in(chunk):
            self.frames.close(chunk)

    def _examine(self, ticket: Ticket, error: BaseException) -> None:
        """Find out what became of a job whose worker did not say."""
        self.pool.refresh()
        now = self._stand(ticket)
        if now.at_work:
            self._watched[ticket.left.id] = (ticket, error, time.monotonic())
        else:
            self._judge(ticket, error, now)

    def _judge(self, ticket: Ticket, error: BaseException, now: Standing) -> None:
        """Do what follows where nobody is at work on a job: its own last word goes before ours."""
        is_begun = now.attempts > ticket.left.attempts
        if now.state not in {"submitted", "processing"}:
            self._finish(ticket, None)
        elif now.is_closed and is_begun:
            self._read_again(ticket, self._delay_after(ticket, now))
        elif isinstance(error, Cancelled) and self.control != "run":
            self._read_again(ticket)
        elif is_lost(error) and not is_begun and self._is_new(ticket):
            self.backlog.put_back(ticket)
        else:
            self._lose(ticket, self._loss(ticket, error))

    def _read_again(self, ticket: Ticket, delay: float = 0.0) -> None:
        """Let go of a job whose next attempt the ledger knows; it comes again when it is due."""
        goes_on = self.control == "run"
        if goes_on and delay > 0:
            self.backlog.delay(ticket, delay, time.monotonic())
        else:
            self.backlog.done(ticket)
        if delay > 0 or not goes_on:  # one that comes at once finds its chunk open
            self._close_if_through(ticket.chunk)

    def _delay_after(self, ticket: Ticket, now: Standing) -> float:
        """Return the rest that the worker's last word gave a job: the ledger has the rest of it."""
        if now.error_class is None or now.code is None:
            return 0.0
        retry = decide(now.error_class, now.code, self._grant(ticket))
        return retry.delay if retry else 0.0

    def _grant(self, ticket: Ticket) -> Grant:
        with asking_ledger():
            return job_of(self.plan, ticket.left).grant

    def _is_new(self, ticket: Ticket) -> bool:
        """Count a worker that was lost before the job began; tell whether that may happen."""
        ticket.misses += 1
        return ticket.misses <= MOST_MISSES

    def _loss(self, ticket: Ticket, error: BaseException) -> Loss:
        if is_lost(error):
            name, code = WorkerLost.__name__, WorkerLost.code
            reason = f"the worker was lost ({type(error).__name__})"
        else:
            name = type(error).__name__
            code = error.code if isinstance(error, HstflowError) else GENERIC
            reason = f"{name}: {error}"
        return Loss(reason, name, code, decide(name, code, self._grant(ticket)))

    def _lose(self, ticket: Ticket, loss: Loss) -> None:
        with asking_ledger():
            job = job_of(self.plan, ticket.left)
            state = self.ledger.write(lambda c: end_lost(c, ticket.left.id, loss))
        log.warning("%s #%d: %s", ticket.left.dataset, ticket.left.attempts + 1, loss.reason)
        if state == "submitted" and loss.retry is not None:
            self._read_again(ticket, loss.retry.delay)
            return
        if state == "error":  # no worker can tell: it is gone, or never had the job
            end = Outcome(job.dataset, state, loss.reason, loss.code, loss.error_class)
            announce_end(job, ticket.left.attempts + 1, end)
        self._finish(ticket, None)

    def _stand(self, ticket: Ticket) -> Standing:
        with asking_ledger():
            return self.ledger.ask(lambda rows: standing(rows, ticket.left.id))

    def _watch(self, now: float) -> None:
        """Look after the jobs whose workers Dask has lost, though their processes are there."""
        for number, (ticket, error, since) in list(self._watched.items()):
            stand = self._stand(ticket)
            if not stand.at_work:
                self._judge(ticket, error, stand)
            elif now - since < LOST_PATIENCE:
                continue
            else:
                silent = WorkerLost("its process is there, but does not answer")
                self._lose(ticket, self._loss(ticket, silent))
            del self._watched[number]

    def _stop(self, now: float) -> None:
        """Start nothing more; cancelled jobs are ended in the ledger, and so by their workers."""
        if self.control == "cancel":
            self._cancel_all()
        for ticket in self._waiting:
            self.backlog.done(ticket)
        self._waiting.clear()
        self.backlog.drop()
        for ticket, future in list(self._running.values()):
            if self._stand(ticket).attempts == ticket.left.attempts:  # it has not begun
                future.cancel()
        self._stopped_at = now

    def _cancel_all(self) -> None:
        with asking_ledger():
            for chunk in self.backlog.chunks():
                self._cancel_chunk(chunk)

    def _cancel_chunk(self, chunk: int) -> None:
        number = self.backlog.campaign_id
        left = [job.id for job in self.ledger.ask(lambda rows: jobs_left(rows, number, chunk))]
        self.ledger.write(lambda c: cancel_jobs(c, left, "campaign cancelled"))
