"""Which publications are to be verified next, and that they were; what does not agree in itself."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from calib.ledger.owners import Owner, why_dead
from calib.ledger.reports import Rows
from calib.ledger.schema import verification
from calib.ledger.upsert import upsert
from calib.records import utc_now

# A sum of bigint is a decimal number in PostgreSQL. `||` of a NULL is NULL: never verified.
_TOTAL = """
SELECT COUNT(*) AS number,
  CAST(COALESCE((SELECT SUM(product.size) FROM product
    JOIN publication ON publication.id = product.publication_id
    WHERE publication.removed_at IS NULL), 0) AS BIGINT) AS size,
  SUM(CASE WHEN verification.id IS NULL THEN 1 ELSE 0 END) AS never,
  MIN(verification.verified_at) AS oldest
FROM publication LEFT JOIN verification ON verification.publication_id = publication.id
WHERE publication.removed_at IS NULL
"""

# Never verified first, and of these the oldest publications: they wait the longest.
_DUE = """
SELECT publication.id AS id, run.name AS run, run.output AS output,
  publication.dataset AS dataset, verification.verified_at AS verified_at,
  (SELECT CAST(COALESCE(SUM(product.size), 0) AS BIGINT) FROM product
   WHERE product.publication_id = publication.id) AS size
FROM publication JOIN run ON run.id = publication.run_id
  LEFT JOIN verification ON verification.publication_id = publication.id
WHERE publication.removed_at IS NULL{beside}
ORDER BY COALESCE(verification.verified_at, ''), publication.id
LIMIT :some OFFSET :first
"""

_LEFT_ALONE = """
SELECT job.dataset AS dataset, campaign.name AS campaign, attempt.host AS host,
  attempt.pid AS pid, attempt.process_started AS started, attempt.token AS token,
  attempt.heartbeat_at AS heartbeat_at
FROM job JOIN campaign ON campaign.id = job.campaign_id
  LEFT JOIN attempt ON attempt.job_id = job.id AND attempt.number = job.attempts
WHERE job.state = 'processing' ORDER BY job.id
"""

_LOST_POINTERS = """
SELECT current_run.dataset AS dataset, run.name AS run
FROM current_run JOIN run ON run.id = current_run.run_id
WHERE NOT EXISTS (
  SELECT 1 FROM publication WHERE publication.run_id = current_run.run_id
    AND publication.dataset = current_run.dataset AND publication.removed_at IS NULL
)
ORDER BY current_run.dataset
"""

_AT_ONCE = 500  # publications of one question


@dataclass(frozen=True)
class Holding:
    """How much there is to verify.

    Attributes
    ----------
    number, size
        Publications, and their bytes.
    never
        How many of them were not verified yet.
    oldest
        When the one was verified that has waited longest; None: none was.
    """

    number: int
    size: int
    never: int
    oldest: str | None


@dataclass(frozen=True)
class Due:
    """A publication that is to be verified; `verified_at` is None where it never was."""

    id: int
    run: str
    output: str
    dataset: str
    verified_at: str | None
    size: int


def holding_of(rows: Rows) -> Holding:
    """Return how much there is to verify."""
    (row,) = rows(_TOTAL, {})
    return Holding(int(row["number"]), int(row["size"]), int(row["never"] or 0), row["oldest"])


def due_for_verification(
    rows: Rows,
    *,
    number: int,
    size: int,
    beside: Sequence[str] = (),
    known: Collection[int] = frozenset(),
) -> list[Due]:
    """Return the publications that have waited longest.

    Parameters
    ----------
    number, size
        So many at least, and so many bytes, where there are.
    beside
        Outputs that are left out: they cannot be reached.
    known
        Numbers of publications that are left out.
    """
    found: list[Due] = []
    held = 0
    for each in _by_age(rows, beside):
        if len(found) >= number and held >= size:
            break
        if each.id in known:
            continue
        found.append(each)
        held += each.size
    return found


def note_verified(connection: Connection, problems: Mapping[int, int], *, deep: bool) -> None:
    """Write down that publications were verified now.

    Parameters
    ----------
    problems
        Number of problems by number of the publication.
    deep
        Whether their bytes were read.
    """
    now = utc_now()
    values = [
        {"publication_id": each, "verified_at": now, "deep": deep, "problems": number}
        for each, number in problems.items()
    ]
    upsert(connection, verification, values, ["publication_id"])


def inconsistencies(rows: Rows, *, silent_for: timedelta) -> list[str]:
    """Return what in the ledger does not agree with itself, one line each.

    Parameters
    ----------
    silent_for
        Jobs whose dead owner was heard of since are left to their campaign.
    """
    return [*_left_alone(rows, silent_for), *_lost_pointers(rows)]


def _by_age(rows: Rows, beside: Sequence[str]) -> Iterator[Due]:
    first = 0
    outputs = {f"output{number}": each for number, each in enumerate(beside)}
    names = ", ".join(f":{name}" for name in outputs)
    query = _DUE.format(beside=f" AND run.output NOT IN ({names})" if names else "")
    while found := rows(query, {"some": _AT_ONCE, "first": first, **outputs}):
        for row in found:
            yield Due(**{**row, "size": int(row["size"])})
        first += len(found)


def _left_alone(rows: Rows, silent_for: timedelta) -> Iterator[str]:
    since = (datetime.now(UTC) - silent_for).isoformat(timespec="microseconds")
    for row in rows(_LEFT_ALONE, {}):
        where = f"{row['dataset']} of campaign {row['campaign']} is processing"
        if row["host"] is None:
            yield f"{where}, and there is no attempt"
        elif row["heartbeat_at"] < since:
            owner = Owner(row["host"], row["pid"], row["started"], row["token"])
            death = why_dead(owner, row["heartbeat_at"])
            if death is not None:
                yield f"{where}, and nobody is at work: {death}"


def _lost_pointers(rows: Rows) -> Iterator[str]:
    for row in rows(_LOST_POINTERS, {}):
        yield f"{row['dataset']}: the current run is {row['run']}, which has nothing of it"
