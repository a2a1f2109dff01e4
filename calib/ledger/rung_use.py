"""Memory rungs of a campaign: what waits and runs on each, and how well they were chosen.

No SQLAlchemy. The database sums up; a campaign may have a million attempts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from calib.ledger.reports import Rows
from calib.ledger.states import FINISHED

# Classes of errors that say that memory was short (calib.campaigns.retries has them too, and is
# above this module).
_STARVED = ("OutOfMemory", "WorkerLost", "MemoryError")

_NOW = """
SELECT memory, state, COUNT(*) AS number FROM job
WHERE campaign_id = :campaign_id AND state IN ('planned', 'submitted', 'processing')
GROUP BY memory, state
"""

# `enough` is the rung below: a peak within it would have fitted there.
_PAST = """
SELECT memory, COUNT(*) AS attempts,
  SUM(CASE WHEN outcome IN ({finished}) THEN 1 ELSE 0 END) AS finished,
  SUM(CASE WHEN outcome IN ({finished}) AND number = 1 THEN 1 ELSE 0 END) AS at_once,
  SUM(CASE WHEN error_class IN ({starved}) THEN 1 ELSE 0 END) AS starved,
  MAX(peak) AS peak,
  SUM(CASE WHEN outcome IN ({finished}) AND peak IS NOT NULL THEN peak END) AS used,
  SUM(CASE WHEN outcome IN ({finished}) AND peak IS NOT NULL THEN memory END) AS granted,
  SUM(CASE WHEN outcome IN ({finished}) AND number = 1 AND peak <= {below} THEN 1 ELSE 0 END)
    AS generous
FROM (
  SELECT attempt.memory AS memory, attempt.outcome AS outcome, attempt.number AS number,
    attempt.error_class AS error_class,
    (SELECT MAX(stage_run.peak_rss) FROM stage_run WHERE stage_run.attempt_id = attempt.id)
      AS peak
  FROM attempt JOIN job ON job.id = attempt.job_id WHERE job.campaign_id = :campaign_id
) AS cost
GROUP BY memory
"""


@dataclass(frozen=True)
class RungPast:
    """What attempts on one rung came to.

    Attributes
    ----------
    attempts, finished, starved
        How many there were, how many ended well, and how many ran out of memory.
    at_once
        How many datasets finished here at their first attempt.
    generous
        How many of these would have fitted on the rung below.
    peak
        Most that one took, bytes; None: nothing was measured.
    used, granted
        Sums over those that ended well and were measured, bytes.
    """

    attempts: int = 0
    finished: int = 0
    starved: int = 0
    at_once: int = 0
    generous: int = 0
    peak: int | None = None
    used: int = 0
    granted: int = 0


def rungs_now(rows: Rows, campaign_id: int) -> dict[int | None, dict[str, int]]:
    """Return how many datasets wait and run by memory, bytes; None is not limited."""
    found: dict[int | None, dict[str, int]] = {}
    for row in rows(_NOW, {"campaign_id": campaign_id}):
        found.setdefault(row["memory"], {})[row["state"]] = int(row["number"])
    return found


def rungs_past(
    rows: Rows, campaign_id: int, ladder: Sequence[int]
) -> Mapping[int | None, RungPast]:
    """Return what attempts came to by the memory that they were granted.

    Parameters
    ----------
    rows, campaign_id
        The ledger and the campaign.
    ladder
        Its rungs, bytes, ascending.
    """
    query = _PAST.format(
        finished=_listed(FINISHED), starved=_listed(_STARVED), below=_below(ladder)
    )
    return {row.pop("memory"): _past(row) for row in rows(query, {"campaign_id": campaign_id})}


def _past(row: Mapping[str, int | None]) -> RungPast:
    counted = {key: int(value or 0) for key, value in row.items() if key != "peak"}
    return RungPast(peak=row["peak"], **counted)


def _below(ladder: Sequence[int]) -> str:
    """Return SQL for the rung below the one that was granted; 0 below the first."""
    pairs = zip(ladder[1:], ladder, strict=False)
    cases = "".join(f" WHEN {int(rung)} THEN {int(below)}" for rung, below in pairs)
    return f"(CASE memory{cases} ELSE 0 END)" if cases else "0"


def _listed(words: Sequence[str] | frozenset[str]) -> str:
    """Return words of ours as SQL has them in a list."""
    return ", ".join(f"'{word}'" for word in sorted(words))
