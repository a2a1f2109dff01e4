"""On which contexts what is current was made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from calib.ids import is_later_context
from calib.ledger.reports import Rows

_NEWEST = """
SELECT run.context AS context
FROM publication
  JOIN run ON run.id = publication.run_id
  JOIN current_run
    ON current_run.dataset = publication.dataset AND current_run.run_id = publication.run_id
WHERE publication.removed_at IS NULL AND run.kind = 'processed'
ORDER BY publication.published_at DESC, publication.id DESC LIMIT 1
"""

_COUNTS = """
SELECT run.context AS context, COUNT(*) AS number
FROM current_run JOIN run ON run.id = current_run.run_id
WHERE run.kind = 'processed'
GROUP BY run.context ORDER BY run.context
"""

_BESIDE = """
SELECT run.context AS context, job.context AS mine, COUNT(*) AS number
FROM job
  JOIN current_run ON current_run.dataset = job.dataset
  JOIN run ON run.id = current_run.run_id
WHERE job.campaign_id = :campaign_id AND job.state IN ('processed', 'synced', 'archived', 'skipped')
  AND run.kind = 'processed' AND run.context <> job.context
GROUP BY run.context, job.context ORDER BY run.context
"""

# Of whatever is current, also where it came from elsewhere.
_BASES = """
SELECT DISTINCT run.context AS context FROM current_run JOIN run ON run.id = current_run.run_id
ORDER BY run.context
"""


def newest_context(rows: Rows) -> str | None:
    """Return the context of what was published last and is current; None: nothing is."""
    found = rows(_NEWEST, {})
    return str(found[0]["context"]) if found else None


SUMS = (_COUNTS,)


def current_contexts(rows: Rows) -> dict[str, int]:
    """Return how many datasets are current as each context made them."""
    return {str(row["context"]): int(row["number"]) for row in rows(_COUNTS, {})}


def kept_back(rows: Rows, campaign_id: int) -> dict[str, int]:
    """Return how many finished datasets of a campaign stay current as a later context made them.

    By that context. What the campaign made of them waits in its run.
    """
    counts: Counter[str] = Counter()
    for row in rows(_BESIDE, {"campaign_id": campaign_id}):
        if is_later_context(row["context"], row["mine"]):
            counts[str(row["context"])] += int(row["number"])
    return dict(counts)


def kept_back_text(counts: Mapping[str, int]) -> str | None:
    """Say how many datasets stay current on which later contexts; None: none does."""
    said = [f"{number:,} of the later {context}" for context, number in counts.items()]
    return f"not current, as others are: {', '.join(said)}" if said else None


def base_contexts(rows: Rows) -> list[str]:
    """Return every context that something current was made on, as its run says.

    Runs of products from elsewhere may say ``mixed``, or nothing.
    """
    return [str(row["context"]) for row in rows(_BASES, {})]


def usual_context(rows: Rows, new: str) -> str | None:
    """Return which context what is current has to leave for a new one; None: it is nowhere else.

    That of what was published last; where that is the new one, of the most that is current.
    """
    newest = newest_context(rows)
    if newest != new:
        return newest
    others = elsewhere(rows, new)
    return max(others, key=lambda context: (others[context], context)) if others else None


def elsewhere(rows: Rows, context: str) -> dict[str, int]:
    """Return how many datasets are current on other contexts than one, by their own."""
    return {name: n for name, n in current_contexts(rows).items() if name != context}


def elsewhere_text(others: Mapping[str, int], context: str) -> str:
    """Return in words what is not on a context: ``3 current datasets are not on hst_2.pmap``."""
    number = sum(others.values())
    counts = ", ".join(f"{name} {n:,}" for name, n in sorted(others.items()))
    datasets = "dataset is" if number == 1 else "datasets are"
    return f"{number:,} current {datasets} not on {context} ({counts})"
