"""A reprocessing before it begins: what it marks, what that needs, what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from calib.ledger.reprocessings import NewMark
from calib.references.changes import AffectedExposure
from calib.reprocessing.foresight import Foresight
from calib.stages.campaign_plan import CampaignPlan

Trigger = Literal["context", "list", "query", "reference"]


@dataclass(frozen=True)
class Asked:
    """What a person or a watcher asked for.

    Attributes
    ----------
    name
        Of the reprocessing, and of its campaign.
    old, new
        From which context to which; no old one where a list or a query asked.
    trigger
        ``context``: there may be one from old to new only. ``list``, ``query``, ``reference``.
    plan
        How its campaigns run; its request knows the ledger, too.
    origin
        With which words it was asked for, as JSON can have them.
    """

    name: str
    old: str | None
    new: str
    trigger: Trigger
    plan: CampaignPlan
    origin: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Planned:
    """A reprocessing that can be entered.

    Attributes
    ----------
    asked
        With all that is open resolved: context, places.
    marks
        Its datasets, with what is left out and why.
    foresight
        What it will take, and what is missing.
    """

    asked: Asked
    marks: tuple[NewMark, ...]
    foresight: Foresight


def plan_reprocessing(
    asked: Asked, found: Iterable[AffectedExposure] | Iterable[NewMark]
) -> Planned:
    """Plan a reprocessing; nothing is written.

    Parameters
    ----------
    asked
        What was asked for.
    found
        The exposures that are affected, or datasets that are marked already.

    Raises
    ------
    ConfigError
        The name cannot be a campaign's, or a place cannot be used.
    """
    raise NotImplementedError


def enter(planned: Planned, who: str) -> str:
    """Write a planned reprocessing in the ledger.

    Returns
    -------
    str
        Its name; that of the one that is there already for this change of context: nothing is
        written then.

    Raises
    ------
    ConfigError
        Another reprocessing has the name.
    """
    raise NotImplementedError
