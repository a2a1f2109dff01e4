"""Which contexts were seen, which are used, and by what: questions to the ledger.

No SQLAlchemy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from calib.ids import is_later_context
from calib.ledger.published_contexts import current_contexts
from calib.ledger.reports import Rows
from calib.ledger.reprocessing_reports import (
    Reprocessing,
    SeenContext,
    reprocessings,
    seen_contexts,
)
from calib.ledger.reprocessing_states import ENDED

_CAMPAIGNS = """
SELECT name, context FROM campaign WHERE context IS NOT NULL ORDER BY id DESC
"""


@dataclass(frozen=True)
class ContextUse:
    """A context and what there is of it.

    Attributes
    ----------
    name
        Such as ``hst_1234.pmap``.
    seen
        When and where it became operational, as far as that was seen.
    operational_at
        Sources that call it operational now.
    current
        How many datasets are current as it made them.
    campaigns
        Names of campaigns on it, the latest first.
    reprocessings
        Those that lead to it.
    """

    name: str
    seen: Sequence[SeenContext] = ()
    operational_at: Sequence[str] = ()
    current: int = 0
    campaigns: Sequence[str] = ()
    reprocessings: Sequence[Reprocessing] = field(default=())


@dataclass(frozen=True)
class Behind:
    """Datasets that are current on an older context than the operational one of a source."""

    source: str
    context: str
    number: int
    reprocessing: Reprocessing | None


def context_uses(rows: Rows) -> list[ContextUse]:
    """Return every context that the ledger knows, the latest first."""
    seen = seen_contexts(rows)
    now = {each.source: each.context for each in seen}
    current = current_contexts(rows)
    campaigns: dict[str, list[str]] = {}
    for row in rows(_CAMPAIGNS, {}):
        campaigns.setdefault(str(row["context"]), []).append(str(row["name"]))
    leading = reprocessings(rows, is_light=True)
    names = {each.context for each in seen} | {*current, *campaigns}
    names |= {each.new_context for each in leading}
    return [
        ContextUse(
            name,
            seen=[each for each in seen if each.context == name],
            operational_at=[source for source, context in now.items() if context == name],
            current=current.get(name, 0),
            campaigns=campaigns.get(name, []),
            reprocessings=[each for each in leading if each.new_context == name],
        )
        for name in sorted(names, reverse=True)
    ]


def behind(uses: Sequence[ContextUse]) -> list[Behind]:
    """Return what is current on older contexts than the operational ones; nothing: all is new.

    With the reprocessing that leads there, the one at work before those that have ended.
    """
    found = []
    for use in uses:
        for source in use.operational_at:
            old = sum(each.current for each in uses if is_later_context(use.name, each.name))
            if old:
                at_work = [one for one in use.reprocessings if one.state not in ENDED]
                known = [*use.reprocessings, *at_work]
                found.append(Behind(source, use.name, old, known[-1] if known else None))
    return found
