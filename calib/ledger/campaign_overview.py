"""How a campaign stands: in one word, how fast, and when it may end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from calib.ledger.campaign_reports import LEFT, UNFINISHED, Campaign, ended_lately
from calib.ledger.reports import Rows

# Throughput is that of the last minutes: datasets of one kind often come together.
SPAN = timedelta(minutes=10)

# States of a campaign that a process is at work on, by what is wanted of it.
_LIVE = {"run": "running", "pause": "pausing", "cancel": "cancelling"}
LIVE_STATES = frozenset(_LIVE.values())

# Why nobody is at work on a campaign that has jobs left.
_AT_REST = {"pause": "paused", "cancel": "cancelled"}


@dataclass(frozen=True)
class Overview:
    """A campaign with what follows from its counts.

    Attributes
    ----------
    campaign
        As the ledger has it.
    state
        See :func:`state_of`.
    rate
        Datasets that come to an end per minute; None where nobody is at work, or none has yet.
    seconds_left
        How long the rest takes at that rate; None where it is not known.
    """

    campaign: Campaign
    state: str
    rate: float | None = None
    seconds_left: float | None = None

    @property
    def is_live(self) -> bool:
        """Whether a process is at work on it."""
        return self.state in LIVE_STATES

    @property
    def failed(self) -> int:
        """How many datasets ended without a result."""
        return failed_in(self.campaign)


def overview_of(rows: Rows, campaign: Campaign) -> Overview:
    """Return how a campaign stands now."""
    rate = _rate(rows, campaign)
    left = jobs_in(campaign, LEFT)
    return Overview(campaign, state_of(campaign), rate, 60 * left / rate if rate else None)


def state_of(campaign: Campaign) -> str:
    """Name the state of a campaign.

    Returns
    -------
    str
        With a process at work: ``running``, ``pausing`` or ``cancelling``. At its end:
        ``finished`` (every dataset is), ``failed`` (some are not) or ``cancelled``. With jobs
        left and nobody at work: ``planned`` (nobody was yet), ``paused``, ``cancelled``,
        ``interrupted``, ``lost`` (the process died) or ``stopped``. ``unplanned``: what
        `hstflow process` runs.
    """
    if campaign.session is not None and campaign.session.is_live:
        return _LIVE[campaign.control]
    if not campaign.plan:
        return "unplanned"
    if campaign.total and campaign.finished == campaign.total:
        return "finished"
    if campaign.total and not jobs_in(campaign, LEFT):
        return "cancelled" if campaign.control == "cancel" else "failed"
    return _AT_REST.get(campaign.control) or _why_at_rest(campaign)


def jobs_in(campaign: Campaign, states: tuple[str, ...]) -> int:
    """Return how many jobs of a campaign are in one of these states."""
    return sum(campaign.counts.get(state, 0) for state in states)


def failed_in(campaign: Campaign) -> int:
    """Return how many jobs ended without a result: error, blocked or cancelled."""
    return jobs_in(campaign, UNFINISHED)


def _why_at_rest(campaign: Campaign) -> str:
    if campaign.session is None:
        return "planned"
    if campaign.session.ended_at is None:
        return "lost"
    return "interrupted" if campaign.session.outcome == "interrupted" else "stopped"


def _rate(rows: Rows, campaign: Campaign) -> float | None:
    if campaign.session is None or not campaign.session.is_live:
        return None
    span = min(SPAN, datetime.now(UTC) - datetime.fromisoformat(campaign.session.started_at))
    minutes = span.total_seconds() / 60
    return ended_lately(rows, campaign.id, span) / minutes or None if minutes > 0 else None
