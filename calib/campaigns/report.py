"""How a campaign went: what became of its jobs, what they cost, how good the predictions were."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from calib.campaigns.retries import classes_of
from calib.ledger.campaign_overview import state_of
from calib.ledger.campaign_reports import Campaign, CampaignSession, sessions_of
from calib.ledger.cost_summaries import (
    AttemptCost,
    FailureGroup,
    RetriedGroup,
    StageSummary,
    failure_groups,
    longest_stage,
    read_attempts,
    retried_groups,
    span_of,
    stage_summaries,
    undrizzled,
)
from calib.ledger.published_contexts import kept_back
from calib.ledger.reports import Rows
from calib.ledger.states import FINISHED

# Bars of the chart of throughput: more cannot be told apart on paper.
BINS = 60

# How many of the slowest attempts are named.
SLOWEST = 10

# Attempts drawn for each rung: more dots hide each other.
DRAWN = 150


# Classes of errors for which more memory is the remedy.
MEMORY_ERRORS = frozenset(classes_of("memory"))


@dataclass(frozen=True)
class Slow:
    """One of the longest attempts; `stage` is where most of its time went."""

    dataset: str
    attempt: int
    outcome: str | None
    seconds: float
    peak_rss: int | None
    stage: str | None


@dataclass(frozen=True)
class RungUse:
    """One size of memory and what became of the attempts that were granted it.

    Attributes
    ----------
    memory
        Bytes; None: not limited.
    attempts, finished, out_of_memory
        How many there were, ended well, and ended for want of memory (or with their worker).
    first
        How many jobs began here.
    peaks
        Peak memory of some of the attempts, evenly taken, bytes.
    most
        The highest peak of all of them.
    """

    memory: int | None
    attempts: int
    finished: int
    out_of_memory: int
    first: int
    peaks: tuple[int, ...]
    most: int | None


@dataclass(frozen=True)
class PredictionQuality:
    """How the first rung of finished jobs compares with the smallest that was enough.

    Attributes
    ----------
    right, larger, smaller
        How many jobs began on that rung, on a larger one, or had to climb.
    granted, used
        Sums over those jobs of what they were granted in the end and of their peaks, bytes.
    """

    right: int
    larger: int
    smaller: int
    granted: int
    used: int

    @property
    def total(self) -> int:
        """How many jobs were compared."""
        return self.right + self.larger + self.smaller


@dataclass(frozen=True)
class Bin:
    """How many attempts ended from a moment on, until the next bin begins."""

    begins_at: str
    finished: int
    failed: int


@dataclass(frozen=True)
class CampaignReport:
    """How a campaign went, as the ledger has it.

    Attributes
    ----------
    name, context, state, created_at
        The campaign, and how it stands in one word.
    written_at
        When it was reported.
    counts
        Jobs by state.
    total, finished
        Jobs, and those that need nothing more.
    begun_at, ended_at
        Begin of the first attempt and end of the last one; None before.
    attempts
        How many there were.
    stages, failures, retried, rungs, slowest, sessions
        See their records.
    prediction
        None where no job was granted memory.
    kept_back
        How many finished datasets stay current as a later context made them, by that context.
    undrizzled
        How many finished datasets asked for stage 2 and ended without it.
    bin_seconds, throughput
        Length of a bin, and the bins.
    """

    name: str
    context: str | None
    state: str
    created_at: str
    written_at: str
    counts: dict[str, int]
    total: int
    finished: int
    begun_at: str | None
    ended_at: str | None
    attempts: int
    stages: tuple[StageSummary, ...]
    failures: tuple[FailureGroup, ...]
    retried: tuple[RetriedGroup, ...]
    rungs: tuple[RungUse, ...]
    prediction: PredictionQuality | None
    slowest: tuple[Slow, ...]
    bin_seconds: float
    throughput: tuple[Bin, ...]
    sessions: tuple[CampaignSession, ...]
    kept_back: Mapping[str, int] = field(default_factory=dict)
    undrizzled: int = 0

    @property
    def seconds(self) -> float | None:
        """Time between the first begin and the last end."""
        if self.begun_at is None or self.ended_at is None:
            return None
        span = datetime.fromisoformat(self.ended_at) - datetime.fromisoformat(self.begun_at)
        return span.total_seconds()


def report_of(rows: Rows, campaign: Campaign) -> CampaignReport:
    """Read how a campaign went; memory does not grow with it."""
    begun_at, ended_at = span_of(rows, campaign.id)
    tally = _Tally(_rungs_of(campaign), _Clock(begun_at, ended_at))
    tally.count(read_attempts(rows, campaign.id))
    return CampaignReport(
        name=campaign.name,
        context=campaign.context,
        state=state_of(campaign),
        created_at=campaign.created_at,
        written_at=datetime.now(UTC).isoformat(timespec="seconds"),
        counts=dict(campaign.counts),
        total=campaign.total,
        finished=campaign.finished,
        begun_at=begun_at,
        ended_at=ended_at,
        attempts=tally.attempts,
        stages=tuple(stage_summaries(rows, campaign.id)),
        failures=tuple(failure_groups(rows, campaign.id)),
        retried=tuple(retried_groups(rows, campaign.id)),
        rungs=tally.rungs(),
        prediction=tally.prediction(),
        slowest=tuple(_slow(rows, campaign.id, each) for each in tally.slowest()),
        bin_seconds=tally.clock.step,
        throughput=tally.clock.bins(),
        sessions=tuple(sessions_of(rows, campaign.id)),
        kept_back=kept_back(rows, campaign.id),
        undrizzled=undrizzled(rows, campaign.id),
    )


def _rungs_of(campaign: Campaign) -> tuple[int, ...]:
    found = campaign.plan.get("rungs")
    return tuple(sorted(map(int, found))) if isinstance(found, list) else ()


def _slow(rows: Rows, campaign_id: int, cost: AttemptCost) -> Slow:
    stage = longest_stage(rows, campaign_id, cost.dataset, cost.number)
    return Slow(cost.dataset, cost.number, cost.outcome, cost.seconds or 0.0, cost.peak_rss, stage)


class _Clock:
    """Counts what ended in bins of equal length between two moments."""

    def __init__(self, first: str | None, last: str | None) -> None:
        self._start = datetime.fromisoformat(first) if first else None
        end = datetime.fromisoformat(last) if last else self._start
        span = (end - self._start).total_seconds() if end and self._start else 0.0
        self.step = max(span / BINS, 1.0)
        # What ends at the very end belongs into the last bin.
        self._number = min(int(span / self.step) + 1, BINS) if last else 0
        self._counts: Counter[tuple[int, bool]] = Counter()

    def count(self, ended_at: str | None, *, finished: bool) -> None:
        if ended_at is None or self._start is None:
            return
        passed = (datetime.fromisoformat(ended_at) - self._start).total_seconds()
        place = min(max(int(passed / self.step), 0), self._number - 1)
        self._counts[place, finished] += 1

    def bins(self) -> tuple[Bin, ...]:
        if self._start is None:
            return ()
        return tuple(
            Bin(
                (self._start + timedelta(seconds=place * self.step)).isoformat(timespec="seconds"),
                self._counts[place, True],
                self._counts[place, False],
            )
            for place in range(self._number)
        )


@dataclass
class _Rung:
    """What is counted of one size of memory."""

    attempts: int = 0
    finished: int = 0
    starved: int = 0
    first: int = 0
    most: int | None = None
    peaks: list[int] = field(default_factory=list)
    every: int = 1  # one of how many peaks is kept

    def see(self, peak: int | None) -> None:
        """Keep an even sample of the peaks: when there are too many, every second one goes."""
        if peak is None:
            return
        self.most = peak if self.most is None else max(self.most, peak)
        if self.attempts % self.every == 0:
            self.peaks.append(peak)
        if len(self.peaks) > 2 * DRAWN:
            self.peaks = self.peaks[::2]
            self.every *= 2


class _Tally:
    """Counts attempts in one pass."""

    def __init__(self, rungs: Sequence[int], clock: _Clock) -> None:
        self.attempts = 0
        self.clock = clock
        self._ladder = rungs
        self._rungs: dict[int | None, _Rung] = {}
        self._heap: list[tuple[float, int, AttemptCost]] = []
        self._quality: Counter[str] = Counter()

    def count(self, found: Iterable[AttemptCost]) -> None:
        for cost in found:
            self.attempts += 1
            finished = cost.outcome in FINISHED
            self.clock.count(cost.ended_at, finished=finished)
            self._use(cost, finished=finished)
            if finished and cost.is_last:
                self._compare(cost)
            if cost.seconds is not None:
                entry = (cost.seconds, self.attempts, cost)
                keep = heapq.heappush if len(self._heap) < SLOWEST else heapq.heappushpop
                keep(self._heap, entry)

    def rungs(self) -> tuple[RungUse, ...]:
        order = sorted(self._rungs, key=lambda memory: (memory is None, memory or 0))
        return tuple(
            RungUse(
                memory,
                rung.attempts,
                rung.finished,
                rung.starved,
                rung.first,
                tuple(rung.peaks[:: 1 + len(rung.peaks) // DRAWN]),
                rung.most,
            )
            for memory in order
            for rung in [self._rungs[memory]]
        )

    def prediction(self) -> PredictionQuality | None:
        if not self._quality:
            return None
        names = ("right", "larger", "smaller", "granted", "used")
        return PredictionQuality(*(self._quality[name] for name in names))

    def slowest(self) -> list[AttemptCost]:
        return [cost for _, _, cost in sorted(self._heap, reverse=True)]

    def _use(self, cost: AttemptCost, *, finished: bool) -> None:
        rung = self._rungs.setdefault(cost.memory, _Rung())
        rung.attempts += 1
        rung.finished += finished
        rung.first += cost.number == 1
        rung.see(cost.peak_rss)
        rung.starved += cost.error_class in MEMORY_ERRORS

    def _compare(self, cost: AttemptCost) -> None:
        """Compare the first rung with the smallest that the peak would have fitted in."""
        first, peak, last = cost.first_memory, cost.peak_rss, cost.memory
        if first is None or peak is None or last is None:
            return
        enough = next((rung for rung in self._ladder if peak <= rung), last)
        climbed = first < last or first < enough
        word = "smaller" if climbed else "larger" if first > enough else "right"
        self._quality.update({word: 1, "granted": last, "used": peak})
