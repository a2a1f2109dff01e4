"""What a campaign cost, as the dashboard shows it: counted beside the requests.

Counting reads every attempt and stage run of a campaign: some seconds for a hundred thousand
datasets. It is done again while the campaign changes, and then so seldom that it takes a
twentieth of one processor at most (see :class:`deployments.dashboard.reader.Later`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from calib.campaigns.report import CampaignReport, report_of
from calib.errors import NotFound
from calib.ledger.campaign_reports import Campaign, campaigns, count_by_instrument
from calib.ledger.reports import Rows

if TYPE_CHECKING:
    from deployments.dashboard.app import Desk
    from deployments.dashboard.reader import Reader

# Seconds that the first look at a campaign waits: a small one is counted by then.
PATIENCE = 0.06

# Seconds that one question of counting may take: sorting the stage runs of a million datasets on a
# busy machine. Each question has a look at the ledger of its own: while a look lasts, a SQLite
# ledger cannot shorten its write-ahead log, and counting takes minutes there.
COUNTING = 600.0

# Gives the digest of a campaign; None: it is being counted.
Look = Callable[[Rows, Campaign], "Digest | None"]


@dataclass(frozen=True)
class Digest:
    """What was counted of a campaign.

    Attributes
    ----------
    report
        What it cost; `written_at` says when it was counted.
    instruments
        Jobs by instrument and state.
    """

    report: CampaignReport
    instruments: Mapping[str, Mapping[str, int]]


def digest_of(rows: Rows, campaign: Campaign) -> Digest:
    """Count a campaign now."""
    return Digest(report_of(rows, campaign), count_by_instrument(rows, campaign.id))


def look_later(desk: Desk, _rows: Rows, campaign: Campaign) -> Digest | None:
    """Return what was counted last of a campaign, and have it counted again where it changed."""
    make = partial(_count, partial(_ask_alone, desk.reader), campaign.name)
    key = ("digest", campaign.id)
    return desk.later.get(key, make, mark_of(campaign), patience=PATIENCE)


def mark_of(campaign: Campaign) -> Hashable:
    """Return what tells that a campaign changed since it was counted."""
    session = campaign.session
    ended_at = None if session is None else (session.id, session.ended_at)
    return campaign.name, tuple(campaign.counts.items()), ended_at


def _ask_alone(reader: Reader, query: str, given: Mapping[str, Any]) -> list[dict[str, Any]]:
    return reader.ask(lambda rows: rows(query, given), COUNTING)


def _count(rows: Rows, name: str) -> Digest:
    for found in campaigns(rows, name):
        return digest_of(rows, found)
    raise NotFound("there is no such campaign", found=name)
