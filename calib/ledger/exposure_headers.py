"""What the rules matched with when exposures were processed, and what they chose.

Plain SQL on any connection, a page at a time: a ledger may know a million exposures.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from calib.ledger.reports import Rows

# Exposures of one page: some 2 MB of headers.
_PAGE = 1000

# One row for each dataset and exposure: that of the context with which it was processed last.
_LATEST = """
SELECT dataset, exposure, context, header FROM exposure_header
WHERE (dataset > :dataset OR (dataset = :dataset AND exposure > :exposure)){more}
  AND NOT EXISTS (
    SELECT 1 FROM exposure_header AS later
    WHERE later.dataset = exposure_header.dataset AND later.exposure = exposure_header.exposure
      AND (later.recorded_at > exposure_header.recorded_at
        OR (later.recorded_at = exposure_header.recorded_at AND later.id > exposure_header.id)))
ORDER BY dataset, exposure
LIMIT :page
"""

_OF_DATASET = """
SELECT dataset, exposure, context, header FROM exposure_header
WHERE dataset = :dataset ORDER BY recorded_at DESC, id DESC
"""

# Of the datasets whose current products were made on one context.
_OF_BASE = """
  AND EXISTS (
    SELECT 1 FROM current_run JOIN run ON run.id = current_run.run_id
    WHERE current_run.dataset = exposure_header.dataset AND run.context = :base)"""

# What the current products of some datasets were made with.
_USED = """
SELECT publication.dataset AS dataset, reference_used.exposure AS exposure,
  reference_used.keyword AS keyword, reference_used.name AS name
FROM current_run
  JOIN publication ON publication.run_id = current_run.run_id
    AND publication.dataset = current_run.dataset
  JOIN reference_used ON reference_used.attempt_id = publication.attempt_id
WHERE current_run.dataset >= :first AND current_run.dataset <= :last
"""


@dataclass(frozen=True)
class RecordedHeader:
    """What the rules of a context matched with of one exposure.

    Attributes
    ----------
    dataset, exposure
        Names, lower case.
    context
        The context.
    header
        Keywords and values.
    references
        What the current product was made with, by keyword, where that was asked for.
    """

    dataset: str
    exposure: str
    context: str
    header: Mapping[str, str]
    references: Mapping[str, str] = field(default_factory=dict)


def recorded_headers(
    rows: Rows, *, references: bool = False, base: str | None = None, page: int = _PAGE
) -> Iterator[RecordedHeader]:
    """Yield the newest header of every exposure of every dataset, in name order.

    Parameters
    ----------
    rows
        Runs a SELECT on the ledger.
    references
        Whether to add the references of the current products; exposures of datasets that have
        no current product are left out then.
    base
        Only datasets whose current products were made on this context; None: all.
    page
        How many are read at once.
    """
    question = _LATEST.format(more="" if base is None else _OF_BASE)
    asked = {"page": page} | ({} if base is None else {"base": base})
    last = {"dataset": "", "exposure": ""}
    while found := rows(question, {**last, **asked}):
        used = _used(rows, found) if references else {}
        for row in found:
            key = row["dataset"], row["exposure"]
            if key in used or not references:
                yield _recorded(row, used.get(key, {}))
        last = {name: found[-1][name] for name in last}


def headers_of_datasets(rows: Rows, datasets: Iterable[str]) -> Iterator[RecordedHeader]:
    """Yield the newest header of each exposure; of datasets that are not known, none."""
    for dataset in datasets:
        newest: dict[str, Mapping[str, Any]] = {}
        for row in rows(_OF_DATASET, {"dataset": dataset}):
            newest.setdefault(row["exposure"], row)
        yield from (_recorded(row, {}) for row in newest.values())


def count_recorded(rows: Rows) -> int:
    """Return how many exposures of datasets have a header, whatever the context."""
    query = (
        "SELECT COUNT(*) AS number FROM (SELECT DISTINCT dataset, exposure FROM exposure_header)"
    )
    return int(rows(f"{query} AS known", {})[0]["number"])


def _used(
    rows: Rows, found: Sequence[Mapping[str, Any]]
) -> Mapping[tuple[str, str], dict[str, str]]:
    used: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    names = {"first": found[0]["dataset"], "last": found[-1]["dataset"]}
    for row in rows(_USED, names):
        used[row["dataset"], row["exposure"]][row["keyword"]] = row["name"]
    return used


def _recorded(row: Mapping[str, Any], references: Mapping[str, str]) -> RecordedHeader:
    """Return a row; exposures are recorded by the name of their file."""
    exposure = str(row["exposure"]).partition("_")[0].lower()
    header = json.loads(row["header"])
    return RecordedHeader(row["dataset"], exposure, row["context"], header, references)
