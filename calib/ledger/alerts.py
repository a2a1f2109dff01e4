"""What an operator should be told about a campaign before it ends: one rule for all who tell.

The dashboard shows it, and a session tells it as an event. A rule reads the ends of the last
session alone: what was rescued, and what another session did, is another story.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from calib.ledger.campaign_overview import jobs_in
from calib.ledger.campaign_reports import LEFT, Campaign, CampaignSession
from calib.ledger.owners import STALE_AFTER
from calib.ledger.reports import Rows

Kind = Literal["failing", "stalled", "lost"]

# Ends that a rate is taken of, at least: three of the first four may fail by chance.
FEWEST = 10

# How many windows are looked back at, to know when an episode began.
_WINDOWS = 10

# A campaign is stalled when nothing has ended for this many times the time that nineteen in
# twenty of its last datasets took; but not before half an hour has passed (the longest wait of
# the retry table is a good part of it), and after two hours where none has ended yet: drizzling
# a large association takes one.
_TIMES = 3.0
_QUANTILE = 0.95
_AT_LEAST = timedelta(minutes=30)
_UNKNOWN = timedelta(hours=2)

_BAD = frozenset({"error", "blocked"})


@dataclass(frozen=True)
class AlertLimits:
    """When an operator is told.

    Attributes
    ----------
    last
        Datasets that ended last, of which the share that failed is taken.
    failing, recovered
        Shares, 0 to 1: from the first on a campaign is failing, until it is down to the second.
    stalled
        How long nothing may end; None: from how long its datasets take.
    silent
        How long a session may be silent.
    """

    last: int = 40
    failing: float = 0.25
    recovered: float = 0.10
    stalled: timedelta | None = None
    silent: timedelta = STALE_AFTER


@dataclass(frozen=True)
class Alert:
    """Something that is wrong with a campaign now.

    Attributes
    ----------
    kind
        ``failing``: too many datasets fail; ``stalled``: nothing ends; ``lost``: its process
        is gone, or silent.
    campaign, session
        Its name, and the number of the session that it is about.
    since
        When it began, ISO 8601, UTC. For as long as it lasts this stays the same for ``stalled``
        and ``lost``; of ``failing`` it is known as far back as ten times `AlertLimits.last`.
    reason
        One line for people.
    """

    kind: Kind
    campaign: str
    session: int
    since: str
    reason: str


@dataclass(frozen=True)
class End:
    """The end of a dataset: when, in which state, and when its last attempt began."""

    dataset: str
    state: str
    error_class: str | None
    ended_at: str
    started_at: str | None

    @property
    def is_bad(self) -> bool:
        """Whether the dataset has no result, and nobody wanted that."""
        return self.state in _BAD


# The sign keeps the database from the index on campaign and state: few jobs changed lately.
_ENDS = """
SELECT job.dataset AS dataset, job.state AS state, job.error_class AS error_class,
  job.updated_at AS ended_at, attempt.started_at AS started_at
FROM job LEFT JOIN attempt ON attempt.job_id = job.id AND attempt.number = job.attempts
WHERE job.updated_at >= :since AND +job.campaign_id = :campaign_id
  AND job.state NOT IN ('planned', 'submitted', 'processing', 'cancelled') AND job.attempts > 0
ORDER BY job.updated_at DESC LIMIT :most
"""


def alerts_of(
    rows: Rows, campaign: Campaign, limits: AlertLimits | None = None, now: datetime | None = None
) -> list[Alert]:
    """Return what is wrong with a campaign now; nothing for one that nobody should be at work on.

    Parameters
    ----------
    rows
        Asks the ledger.
    campaign
        As it is now.
    limits
        When to tell; None: the defaults.
    now
        The time, with its zone; None: of the clock.
    """
    limits, now = limits or AlertLimits(), now or datetime.now(UTC)
    session = campaign.session
    if session is None or not _should_run(campaign, session):
        return []
    why = why_lost(session, limits.silent, now)
    if why is not None:
        return [Alert("lost", campaign.name, session.id, session.heartbeat_at, why)]
    ends = ends_since(rows, campaign.id, session.started_at, _WINDOWS * limits.last)
    found = (failing(ends, limits), stalled(ends, session.started_at, limits, now))
    kinds: tuple[Kind, Kind] = ("failing", "stalled")
    return [
        Alert(kind, campaign.name, session.id, *each)
        for kind, each in zip(kinds, found, strict=True)
        if each is not None
    ]


def ends_since(rows: Rows, campaign_id: int, since: str, most: int) -> list[End]:
    """Return the last ends of a campaign's datasets since a moment, the oldest first."""
    asked = {"campaign_id": campaign_id, "since": since, "most": most}
    return [End(**row) for row in reversed(rows(_ENDS, asked))]


def failing(ends: Sequence[End], limits: AlertLimits) -> tuple[str, str] | None:
    """Tell since when too many of the last datasets fail, and which; None: they do not.

    Parameters
    ----------
    ends
        The oldest first.
    limits
        `last`, `failing` and `recovered` of them.
    """
    window: deque[End] = deque(maxlen=limits.last)
    since, bad = None, 0
    for end in ends:
        bad += end.is_bad - (window[0].is_bad if len(window) == limits.last else 0)
        window.append(end)
        share = bad / len(window)
        if since is None and len(window) >= min(limits.last, FEWEST) and share >= limits.failing:
            since = end.ended_at
        elif share <= limits.recovered:
            since = None
    return None if since is None else (since, _words(window, bad))


def stalled(
    ends: Sequence[End], started_at: str, limits: AlertLimits, now: datetime
) -> tuple[str, str] | None:
    """Tell since when nothing has ended that should have; None: something has.

    Parameters
    ----------
    ends
        The oldest first.
    started_at
        When the session began, which counts where nothing has ended since.
    limits
        `stalled` of them.
    now
        The time.
    """
    since = ends[-1].ended_at if ends else started_at
    silence, most = now - datetime.fromisoformat(since), limits.stalled or expected(ends)
    if silence <= most:
        return None
    expectation = f"something should end every {_minutes(most)}"
    return since, f"no dataset has ended for {_minutes(silence)}; {expectation}"


def expected(ends: Iterable[End]) -> timedelta:
    """Return the longest time in which nothing ends where all is well."""
    took = sorted(
        datetime.fromisoformat(end.ended_at) - datetime.fromisoformat(end.started_at)
        for end in ends
        if end.started_at is not None
    )
    if not took:
        return _UNKNOWN
    return max(_AT_LEAST, _TIMES * took[int(_QUANTILE * (len(took) - 1))])


def why_lost(session: CampaignSession, silent: timedelta, now: datetime) -> str | None:
    """Tell why a session that is open has nobody at work in it; None: it may have."""
    death = session.death
    if death is not None:
        return f"the process is gone: {death}"
    silence = now - datetime.fromisoformat(session.heartbeat_at)
    if silence <= silent:
        return None
    return f"pid {session.pid} on {session.host} has been silent for {_minutes(silence)}"


def _should_run(campaign: Campaign, session: CampaignSession) -> bool:
    is_wanted = campaign.control == "run" and session.ended_at is None
    return is_wanted and jobs_in(campaign, LEFT) > 0


def _words(window: Sequence[End], bad: int) -> str:
    classes = Counter(str(end.error_class or end.state) for end in window if end.is_bad)
    names = ", ".join(f"{number} {name}" for name, number in classes.most_common(3))
    return f"{bad} of the last {len(window)} datasets failed ({bad / len(window):.0%}): {names}"


def _minutes(span: timedelta) -> str:
    minutes = round(span.total_seconds() / 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes / 60:.0f} hours"  # noqa: PLR2004 - two hours
