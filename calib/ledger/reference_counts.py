"""How often each reference was used, and what used one, in portions: for lists that are paged.

:func:`calib.ledger.reference_usage.usage_of` has all of one reference at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from calib.ledger.lineage import plain_name
from calib.ledger.reports import Rows

# Uses that one question looks through: where few of them are wanted, the reader goes on by hand.
LOOKED_AT = 5_000

# Larger than any number of a row.
_AFTER_ALL = (1 << 63) - 1


@dataclass(frozen=True)
class ReferenceCount:
    """How often a reference was used by what is published.

    Attributes
    ----------
    name
        Of the file.
    keywords, sha1s, instruments
        What for, its checksums (more than one: the file was changed under its name), and whose.
    exposures, versions, current
        Exposures, versions of datasets, and those versions that are current.
    last_at
        When the last of them was published.
    """

    name: str
    keywords: tuple[str, ...]
    sha1s: tuple[str, ...]
    instruments: tuple[str, ...]
    exposures: int
    versions: int
    current: int
    last_at: str


@dataclass(frozen=True)
class PagedUse:
    """An exposure of a version for which a reference was opened; `id` is its row."""

    id: int
    keyword: str
    sha1: str | None
    run: str
    dataset: str
    exposure: str
    published_at: str
    removed_at: str | None
    is_current: bool


@dataclass(frozen=True)
class UsePage:
    """Some uses of a reference, the latest first.

    Attributes
    ----------
    uses
        As many as asked for, or fewer.
    before
        Where to go on; None at the end.
    """

    uses: tuple[PagedUse, ...]
    before: int | None


# Uses of one attempt are beside each other: an attempt is looked up once for all of them. It counts
# once, whatever it used the file for: some are used under two keywords, or have a checksum in one
# exposure alone. Of more than two keywords or checksums in one attempt only the first and the last
# are told: no reference file of HST has a third.
_COUNTS = """
SELECT used.name AS name, used.first_keyword AS first_keyword, used.last_keyword AS last_keyword,
  used.first_sha1 AS first_sha1, used.last_sha1 AS last_sha1,
  made.instrument AS instrument, SUM(used.exposures) AS exposures, COUNT(*) AS versions,
  SUM(made.is_current) AS current, MAX(made.published_at) AS last_at
FROM (
  SELECT attempt_id, name, MIN(keyword) AS first_keyword, MAX(keyword) AS last_keyword,
    MIN(sha1) AS first_sha1, MAX(sha1) AS last_sha1, COUNT(DISTINCT exposure) AS exposures
  FROM reference_used WHERE present GROUP BY attempt_id, name
) AS used JOIN (
  SELECT publication.attempt_id AS attempt_id, job.instrument AS instrument,
    publication.published_at AS published_at,
    CASE WHEN current_run.id IS NULL THEN 0 ELSE 1 END AS is_current
  FROM publication JOIN attempt ON attempt.id = publication.attempt_id
    JOIN job ON job.id = attempt.job_id
    LEFT JOIN current_run ON current_run.dataset = publication.dataset
      AND current_run.run_id = publication.run_id
  WHERE publication.removed_at IS NULL
) AS made ON made.attempt_id = used.attempt_id
GROUP BY used.name, used.first_keyword, used.last_keyword, used.first_sha1, used.last_sha1,
  made.instrument
"""

_LOOKED_AT = """
SELECT id, attempt_id, keyword, sha1, exposure FROM reference_used
WHERE name = :name AND present AND id < :before {more}
ORDER BY id DESC LIMIT :looked
"""

_USES = """
SELECT used.id AS id, used.keyword AS keyword, used.sha1 AS sha1, run.name AS run,
  publication.dataset AS dataset, used.exposure AS exposure,
  publication.published_at AS published_at, publication.removed_at AS removed_at,
  CASE WHEN current_run.run_id = run.id THEN 1 ELSE 0 END AS is_current
FROM ({looked_at}) AS used
  JOIN publication ON publication.attempt_id = used.attempt_id
  JOIN run ON run.id = publication.run_id
  LEFT JOIN current_run ON current_run.dataset = publication.dataset
{where}
ORDER BY used.id DESC LIMIT :number
"""

_END = "SELECT MIN(id) AS last, COUNT(*) AS number FROM ({looked_at}) AS used"

_LAST = "SELECT MAX(id) AS last FROM publication"


def count_references(rows: Rows) -> list[ReferenceCount]:
    """Return how often each reference was used by what is published, by name.

    It reads all uses: some seconds where there are a million. Versions that were pruned do not
    count, nor do references that were not there.
    """
    found: dict[str, list[dict[str, object]]] = {}
    for row in rows(_COUNTS, {}):
        found.setdefault(row["name"], []).append(row)
    return [_count(name, found[name]) for name in sorted(found)]


def last_publication(rows: Rows) -> int:
    """Return the number of the last publication: while it stays, nothing was added."""
    return int(rows(_LAST, {})[0]["last"] or 0)


def page_of_uses(
    rows: Rows,
    name: str,
    *,
    keyword: str | None = None,
    current: bool = False,
    before: int | None = None,
    number: int = 100,
) -> UsePage:
    """Return uses of a reference, the latest first.

    Parameters
    ----------
    name
        Of the reference, also as ``jref$NAME``.
    keyword
        Only what it was used for under this keyword.
    current
        Only by current versions.
    before
        Where the page before ended.
    number
        How many at most. A page may be shorter and yet have more behind it: no question looks
        at more than :data:`LOOKED_AT` uses.
    """
    asked = {
        "name": plain_name(name),
        "before": _AFTER_ALL if before is None else before,
        "looked": LOOKED_AT,
        **({"keyword": keyword} if keyword else {}),
    }
    looked_at = _LOOKED_AT.format(more="AND keyword = :keyword" if keyword else "")
    where = "WHERE current_run.run_id = run.id" if current else ""
    query = _USES.format(looked_at=looked_at, where=where)
    found = [_use(row) for row in rows(query, {**asked, "number": number + 1})]
    if len(found) > number:
        return UsePage(tuple(found[:number]), found[number - 1].id)
    (end,) = rows(_END.format(looked_at=looked_at), asked)
    return UsePage(tuple(found), end["last"] if end["number"] == LOOKED_AT else None)


def _use(row: dict[str, object]) -> PagedUse:
    return PagedUse(**{**row, "is_current": bool(row["is_current"])})  # type: ignore[arg-type]


def _count(name: str, rows: Iterable[dict[str, object]]) -> ReferenceCount:
    those = list(rows)
    return ReferenceCount(
        name=name,
        keywords=_values(those, "first_keyword", "last_keyword"),
        sha1s=_values(those, "first_sha1", "last_sha1"),
        instruments=_values(those, "instrument"),
        exposures=_sum(those, "exposures"),
        versions=_sum(those, "versions"),
        current=_sum(those, "current"),
        last_at=max(str(row["last_at"]) for row in those),
    )


def _values(rows: Iterable[dict[str, object]], *columns: str) -> tuple[str, ...]:
    found = {row[column] for row in rows for column in columns}
    return tuple(sorted(str(value) for value in found if value is not None))


def _sum(rows: Iterable[dict[str, object]], column: str) -> int:
    return sum(int(str(row[column])) for row in rows)
