"""On which contexts what is current was made."""

from __future__ import annotations

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


def newest_context(rows: Rows) -> str | None:
    """Return the context of what was published last and is current; None: nothing is."""
    found = rows(_NEWEST, {})
    return str(found[0]["context"]) if found else None


def current_contexts(rows: Rows) -> dict[str, int]:
    """Return how many datasets are current as each context made them."""
    return {str(row["context"]): int(row["number"]) for row in rows(_COUNTS, {})}
