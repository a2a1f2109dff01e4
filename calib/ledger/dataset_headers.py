"""The headers with which the exposures of given datasets were last processed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from calib.ledger.reports import Rows

_HEADERS = """
SELECT exposure, context, header FROM exposure_header
WHERE dataset = :dataset ORDER BY recorded_at DESC, id DESC
"""


@dataclass(frozen=True)
class KnownHeader:
    """What the rules of a context matched with of one exposure; names in lower case."""

    dataset: str
    exposure: str
    context: str
    header: Mapping[str, str]


def headers_of_datasets(rows: Rows, datasets: Iterable[str]) -> Iterator[KnownHeader]:
    """Yield the newest header of each exposure; of datasets that are not known, none."""
    for dataset in datasets:
        seen = set()
        for row in rows(_HEADERS, {"dataset": dataset}):
            if row["exposure"] not in seen:
                seen.add(row["exposure"])
                header = json.loads(row["header"])
                yield KnownHeader(dataset, row["exposure"], row["context"], header)
