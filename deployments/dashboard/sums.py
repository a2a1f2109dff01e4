"""Sums over all datasets, which most pages show: asked of the ledger once for all of them.

Counting a hundred thousand datasets takes some tens of milliseconds, and nearly every page of a
campaign begins with it. What was counted a moment ago is good enough for a page that is kept for
that long itself; who changes something asks the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from calib.ledger import campaign_reports, failures, matrix_standing, published_contexts
from calib.ledger.reports import Rows
from deployments.dashboard.reader import Kept

# Questions that read an index from end to end, and have few rows to answer with.
SUMS = frozenset(
    {
        *campaign_reports.SUMS,
        *matrix_standing.SUMS,
        *failures.SUMS,
        *published_contexts.SUMS,
    }
)


def with_kept_sums(rows: Rows, kept: Kept) -> Rows:
    """Return a function that runs a SELECT, and answers sums with those that are kept.

    Parameters
    ----------
    rows
        Asks the ledger.
    kept
        Sums of the same ledger.
    """

    def ask(query: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        if query not in SUMS:
            return rows(query, parameters)
        key = ("sums", query, tuple(sorted(parameters.items())))
        # Who gets rows may change them.
        return [dict(row) for row in kept.get(key, partial(rows, query, parameters))]

    return ask
