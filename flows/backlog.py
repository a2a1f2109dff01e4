"""What a campaign still has to do, read from the ledger chunk by chunk.

Nothing here grows with the campaign: one chunk is held, and what is in flight.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, replace

from calib.errors import Unavailable
from calib.grants import Retry
from calib.ledger.campaign_reports import LeftJob, chunks_left, jobs_left
from calib.ledger.dispatch import hand_out
from calib.ledger.ledger import Ledger
from flows.placement import Need

# Seconds between two looks at the ledger for jobs that were rescued, or become due.
POLL = 2.0

HANDED_OUT = "handed out by the campaign"


class LedgerAway(Exception):
    """The ledger cannot be used now."""


class asking_ledger:  # noqa: N801 - a context manager, used as a function
    """Tell trouble of the ledger, which passes, from other trouble."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, Unavailable):
            raise LedgerAway(str(error)) from error


@dataclass
class Ticket:
    """One job in the hands of a session.

    Attributes
    ----------
    left
        The job as the ledger has it, with what it is granted.
    chunk
        Its chunk.
    overtaken
        How many that came later were started before it, because it did not fit.
    misses
        How often its worker was lost before it began.
    """

    left: LeftJob
    chunk: int
    overtaken: int = 0
    misses: int = 0

    @property
    def need(self) -> Need:
        """What it takes of a host or worker."""
        return Need(self.left.memory, self.left.disk)

    def again(self, retry: Retry) -> Ticket:
        """Return the ticket of the attempt that follows at once."""
        grant = retry.grant
        left = replace(
            self.left,
            state="submitted",
            memory=grant.memory,
            disk=grant.disk,
            time_scale=grant.time_scale,
            retries=grant.retries,
            attempts=self.left.attempts + 1,
        )
        return Ticket(left, self.chunk)


class Backlog:
    """The jobs that are left of a campaign, or of one of its chunks.

    Parameters
    ----------
    ledger
        Where they are.
    campaign_id
        Number of the campaign.
    only
        The chunk to run; None: all.
    """

    def __init__(self, ledger: Ledger, campaign_id: int, only: int | None = None) -> None:
        self.campaign_id = campaign_id
        self._ledger, self._only = ledger, only
        self._here: deque[Ticket] = deque()
        self._held: dict[int, int] = {}  # jobs in flight, and their chunks
        self._due: dict[int, tuple[float, int]] = {}  # delayed jobs: when, and their chunks
        self._next_look = 0.0
        self.is_empty = False  # as of the last look

    def next(self, now: float) -> Ticket | None:
        """Return the next job to start; None: there is none now."""
        if not self._here and now >= self._next_look:
            self._look(now)
        if not self._here:
            return None
        ticket = self._here.popleft()
        self._held[ticket.left.id] = ticket.chunk
        return ticket

    def put_back(self, ticket: Ticket) -> None:
        """Take a job back that is to start as soon as it can."""
        self._here.appendleft(ticket)

    def delay(self, ticket: Ticket, seconds: float, now: float) -> None:
        """Let a job rest; it comes again when it is due."""
        self._held.pop(ticket.left.id, None)
        self._due[ticket.left.id] = (now + seconds, ticket.chunk)

    def done(self, ticket: Ticket) -> None:
        """Forget a job that has ended."""
        self._held.pop(ticket.left.id, None)

    def drop(self) -> None:
        """Forget what was not started: the campaign is paused or cancelled."""
        for ticket in self._here:
            self._held.pop(ticket.left.id, None)
        self._here.clear()

    def open_in(self, chunk: int) -> int:
        """Return how many jobs of a chunk are waiting or in flight here."""
        waiting = sum(ticket.chunk == chunk for ticket in self._here)
        return waiting + sum(each == chunk for each in self._held.values())

    def chunks(self) -> dict[int, int]:
        """Return how many jobs each chunk has left, the most urgent first."""
        left = self._ledger.ask(lambda rows: chunks_left(rows, self.campaign_id))
        return left if self._only is None else {k: n for k, n in left.items() if k == self._only}

    def _look(self, now: float) -> None:
        """Read the most urgent chunk that has something to start."""
        self._due = {job: due for job, due in self._due.items() if due[0] > now}
        left = self.chunks()
        self.is_empty = not left
        known = Counter(self._held.values()) + Counter(chunk for _, chunk in self._due.values())
        for chunk, number in left.items():
            if number > known[chunk] and self._read(chunk):
                return
        self._next_look = now + POLL

    def _read(self, chunk: int) -> bool:
        """Take in the jobs of a chunk that nobody works on, and hand them out."""
        found = self._ledger.ask(lambda rows: jobs_left(rows, self.campaign_id, chunk))
        known = self._held.keys() | self._due.keys()
        mine = [each for each in found if each.state != "processing" and each.id not in known]
        planned = [each.id for each in mine if each.state == "planned"]
        if planned:
            self._ledger.write(lambda c: hand_out(c, planned, HANDED_OUT))
        self._here.extend(Ticket(each, chunk) for each in mine)
        return bool(mine)
