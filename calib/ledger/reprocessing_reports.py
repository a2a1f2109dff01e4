"""Questions about reprocessings, as portable SQL that runs on any connection.

No SQLAlchemy: the commands that show them answer at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from calib.ledger.owners import Owner, why_dead
from calib.ledger.reports import Rows

_ALL = """
SELECT id, name, old_context, new_context, trigger, origin, state, reason, plan, foresight, report,
  created_at, updated_at
FROM reprocessing
WHERE CAST(:name AS VARCHAR) IS NULL OR name = CAST(:name AS VARCHAR)
ORDER BY id
"""

# Without what may be large: plan and foresight (its graph has every marked dataset).
_LIGHT = _ALL.replace("plan, foresight,", "'{}' AS plan, '{}' AS foresight,")

_STATE = "SELECT state FROM reprocessing WHERE name = :name"

_COUNTS = """
SELECT instrument, kind, wave, is_canary, COUNT(*) AS number, COUNT(left_out) AS left_out
FROM marked_dataset WHERE reprocessing_id = :number
GROUP BY instrument, kind, wave, is_canary
"""

_MARKS = """
SELECT dataset, kind, instrument, wave, is_canary, changes, left_out
FROM marked_dataset WHERE reprocessing_id = :number AND (:wave = 0 OR wave = :wave)
ORDER BY wave, dataset
"""

_STEPS = """
SELECT at, from_state, to_state, who, note FROM reprocessing_step
WHERE reprocessing_id = :number ORDER BY id
"""

_HOLDER = """
SELECT host, pid, process_started, token, heartbeat_at FROM reprocessing
WHERE id = :number AND token IS NOT NULL
"""

_SEEN = """
SELECT source, context, seen_at FROM context_seen
WHERE CAST(:source AS VARCHAR) IS NULL OR source = CAST(:source AS VARCHAR)
ORDER BY id
"""


@dataclass(frozen=True)
class Reprocessing:
    """A reprocessing as it is now.

    Attributes
    ----------
    id, name, old_context, new_context, trigger, state, reason, report, created_at, updated_at
        As in the ledger.
    origin, foresight
        What was asked for, and what was predicted.
    plan
        How its campaigns run, as JSON (a CampaignPlan).
    """

    id: int
    name: str
    old_context: str | None
    new_context: str
    trigger: str
    origin: Mapping[str, Any]
    state: str
    reason: str | None
    plan: str
    foresight: Mapping[str, Any]
    report: str | None
    created_at: str
    updated_at: str


@dataclass(frozen=True)
class Mark:
    """A dataset that a reprocessing marks; `changes` has old and new reference by keyword."""

    dataset: str
    kind: str
    instrument: str
    wave: int
    is_canary: bool
    changes: Mapping[str, tuple[str | None, str | None]]
    left_out: str | None


@dataclass(frozen=True)
class MarkCount:
    """How many datasets of one kind a reprocessing marks, and how many of them it leaves out."""

    instrument: str
    kind: str
    wave: int
    is_canary: bool
    number: int
    left_out: int


@dataclass(frozen=True)
class Step:
    """What happened to a reprocessing, and who said so."""

    at: str
    from_state: str | None
    to_state: str
    who: str
    note: str | None


@dataclass(frozen=True)
class SeenContext:
    """An operational context, when it was first seen at its source."""

    source: str
    context: str
    seen_at: str


def state_of(rows: Rows, name: str) -> str | None:
    """Return the state of a reprocessing, and nothing else: for those who look often."""
    return next((str(row["state"]) for row in rows(_STATE, {"name": name})), None)


def reprocessings(
    rows: Rows, name: str | None = None, *, is_light: bool = False
) -> list[Reprocessing]:
    """Return reprocessings, oldest first; of one name, or all.

    Parameters
    ----------
    rows, name
        The ledger; one name, or None.
    is_light
        Leave out plan and foresight, which are large: both are empty then.
    """
    found = rows(_LIGHT if is_light else _ALL, {"name": name})
    return [
        Reprocessing(
            **{
                **row,
                "origin": json.loads(row["origin"]),
                "foresight": json.loads(row["foresight"] or "{}"),
            }
        )
        for row in found
    ]


def mark_counts(rows: Rows, number: int) -> list[MarkCount]:
    """Return how many datasets a reprocessing marks, by instrument, kind, wave and canary."""
    found = rows(_COUNTS, {"number": number})
    return [MarkCount(**{**row, "is_canary": bool(row["is_canary"])}) for row in found]


def marks(rows: Rows, number: int, *, wave: int = 0) -> list[Mark]:
    """Return the datasets of a reprocessing; of one wave, or of all (0)."""
    found = rows(_MARKS, {"number": number, "wave": wave})
    return [_mark(row) for row in found]


def history(rows: Rows, number: int) -> list[Step]:
    """Return what happened to a reprocessing, oldest first."""
    return [Step(**row) for row in rows(_STEPS, {"number": number})]


def holder(rows: Rows, number: int) -> Owner | None:
    """Return the live process that has a reprocessing in its hands, as far as can be told."""
    for row in rows(_HOLDER, {"number": number}):
        owner = Owner(row["host"], row["pid"], row["process_started"], row["token"])
        return owner if why_dead(owner, row["heartbeat_at"]) is None else None
    return None


def seen_contexts(rows: Rows, source: str | None = None) -> list[SeenContext]:
    """Return the operational contexts that were seen, oldest first."""
    return [SeenContext(**row) for row in rows(_SEEN, {"source": source})]


def _mark(row: Mapping[str, Any]) -> Mark:
    changes = {key: (old, new) for key, (old, new) in json.loads(row["changes"]).items()}
    return Mark(**{**row, "is_canary": bool(row["is_canary"]), "changes": changes})
