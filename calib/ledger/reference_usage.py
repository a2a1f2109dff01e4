"""Which products were made with a reference, exposure by exposure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from calib.ledger.lineage import plain_name
from calib.ledger.reports import Rows


@dataclass(frozen=True)
class ReferenceUsage:
    """An exposure of a publication for which a reference was opened.

    Attributes
    ----------
    reference, sha1, keyword
        The file, and what for.
    run, dataset, exposure
        The publication, and the exposure in it.
    published_at
        When.
    is_current
        Whether it is what people get when they ask for the dataset.
    """

    reference: str
    sha1: str | None
    keyword: str
    run: str
    dataset: str
    exposure: str
    published_at: str
    is_current: bool


# One question for names and one for checksums, so that each has its index.
_USES = """
SELECT reference_used.name AS reference, reference_used.sha1 AS sha1,
  reference_used.keyword AS keyword, run.name AS run, publication.dataset AS dataset,
  reference_used.exposure AS exposure, publication.published_at AS published_at,
  CASE WHEN current_run.run_id = run.id THEN 1 ELSE 0 END AS is_current
FROM reference_used
  JOIN publication ON publication.attempt_id = reference_used.attempt_id
  JOIN run ON run.id = publication.run_id
  LEFT JOIN current_run ON current_run.dataset = publication.dataset
WHERE reference_used.{column} = :value AND reference_used.present
  AND publication.removed_at IS NULL
"""


def usage_of(rows: Rows, words: Iterable[str], *, current: bool = False) -> list[ReferenceUsage]:
    """Return what was made with references, by run, dataset, exposure and keyword.

    Publications that were pruned are left out; :func:`calib.ledger.lineage.used_by` has them.

    Parameters
    ----------
    words
        Names of references, also as ``jref$NAME``, or sha1 checksums.
    current
        Only what is current.
    """
    found = {
        ReferenceUsage(**{**row, "is_current": bool(row["is_current"])})
        for word in dict.fromkeys(map(plain_name, words))
        for column in ("name", "sha1")
        for row in rows(_USES.format(column=column), {"value": word})
    }
    kept = (each for each in found if each.is_current or not current)
    return sorted(kept, key=lambda e: (e.run, e.dataset, e.exposure, e.keyword, e.reference))
