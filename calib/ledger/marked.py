"""The datasets that a reprocessing marks, a page at a time: questions to the ledger.

No SQLAlchemy.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from calib.ledger.reports import Rows
from calib.ledger.reprocessing_reports import Mark

_LEFT_OUT = """
SELECT wave, left_out AS reason, COUNT(*) AS number, MIN(dataset) AS dataset
FROM marked_dataset WHERE reprocessing_id = :number AND left_out IS NOT NULL
GROUP BY wave, left_out ORDER BY COUNT(*) DESC, wave, left_out LIMIT :most
"""

_PAGE = """
SELECT dataset, kind, instrument, wave, is_canary, changes, left_out
FROM marked_dataset WHERE reprocessing_id = :number AND (:wave = 0 OR wave = :wave)
ORDER BY wave, dataset LIMIT :most OFFSET :first
"""

# Reasons that are told; there are a handful.
_MOST_REASONS = 100


@dataclass(frozen=True)
class LeftOutReason:
    """Datasets of a wave that are not run for one reason; one of them is named."""

    wave: int
    reason: str
    number: int
    dataset: str


def left_out_reasons(rows: Rows, number: int) -> list[LeftOutReason]:
    """Return why a reprocessing leaves datasets out, the most frequent reason first."""
    found = rows(_LEFT_OUT, {"number": number, "most": _MOST_REASONS})
    return [LeftOutReason(**{**row, "number": int(row["number"])}) for row in found]


def marks_page(rows: Rows, number: int, *, wave: int, first: int, most: int) -> list[Mark]:
    """Return some of the datasets of a reprocessing; of one wave, or of all (0)."""
    given = {"number": number, "wave": wave, "first": first, "most": most}
    return [
        Mark(
            **{
                **row,
                "is_canary": bool(row["is_canary"]),
                "changes": {key: tuple(pair) for key, pair in json.loads(row["changes"]).items()},
            }
        )
        for row in rows(_PAGE, given)
    ]
