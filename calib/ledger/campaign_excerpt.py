"""As much of a campaign as fits on one page: what failed first, and the last pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from calib.ledger.reports import Rows

# The order in which jobs are shown, until the page is full.
ORDER = (
    "error",
    "blocked",
    "processing",
    "cancelled",
    "processed",
    "skipped",
    "synced",
    "archived",
    "submitted",
    "planned",
)


@dataclass(frozen=True)
class Line:
    """A job with the stages of its last attempt (stage -> state of the stage run)."""

    id: int
    dataset: str
    instrument: str
    state: str
    attempts: int
    error_class: str | None
    reason: str | None
    updated_at: str
    stages: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Excerpt:
    """Some jobs of a campaign, and how many more there are."""

    lines: Sequence[Line]
    more: int


@dataclass(frozen=True)
class Thumbnail:
    """A small picture that was published with a dataset; bytes."""

    dataset: str
    name: str
    uri: str
    size: int


@dataclass(frozen=True)
class Slow:
    """A dataset and how long the stages of all its attempts took, seconds."""

    dataset: str
    seconds: float


_JOBS = """
SELECT job.id AS id, job.dataset AS dataset, job.instrument AS instrument, job.state AS state,
  job.attempts AS attempts, job.error_class AS error_class, job.reason AS reason,
  job.updated_at AS updated_at
FROM job WHERE job.campaign_id = :campaign_id AND job.state = :state
ORDER BY job.id DESC LIMIT :most
"""

_STAGES = """
SELECT attempt.job_id AS job_id, stage_run.stage AS stage, stage_run.state AS state
FROM job JOIN attempt ON attempt.job_id = job.id AND attempt.number = job.attempts
  JOIN stage_run ON stage_run.attempt_id = attempt.id
WHERE job.id IN ({numbers}) ORDER BY stage_run.id
"""

_FAILED_SINCE = """
SELECT job.id AS id, job.dataset AS dataset, job.instrument AS instrument, job.state AS state,
  job.attempts AS attempts, job.error_class AS error_class, job.reason AS reason,
  job.updated_at AS updated_at
FROM job WHERE job.updated_at > :since AND +job.campaign_id = :campaign_id
  AND job.state IN ('error', 'blocked')
ORDER BY job.updated_at, job.id LIMIT :most
"""

# Pictures of what was made: those of the raw exposures look the same whatever comes out.
_THUMBNAIL = """
SELECT publication.dataset AS dataset, product.name AS name, product.uri AS uri,
  product.size AS size, publication.uri AS place
FROM publication JOIN product ON product.publication_id = publication.id
  {joins}
WHERE product.type = 'preview' AND product.name LIKE '%\\_thumb.%' ESCAPE '\\'
  AND product.name NOT LIKE '%\\_raw%' ESCAPE '\\'
  AND product.size <= :largest AND publication.removed_at IS NULL AND {which}
ORDER BY {order} LIMIT :most
"""

_THUMBNAILS_SINCE = _THUMBNAIL.format(
    joins="""JOIN attempt ON attempt.id = publication.attempt_id
  JOIN job ON job.id = attempt.job_id AND job.attempts = attempt.number""",
    which="job.updated_at >= :since AND +job.campaign_id = :campaign_id",
    order="job.updated_at DESC, product.name",
)

_THUMBNAILS_AT = _THUMBNAIL.format(
    joins="",
    which="publication.dataset = :dataset AND publication.uri = :place",
    order="product.name",
)


_SLOWEST = """
SELECT job.dataset AS dataset, SUM(stage_run.wall) AS seconds
FROM job JOIN attempt ON attempt.job_id = job.id
  JOIN stage_run ON stage_run.attempt_id = attempt.id
WHERE job.campaign_id = :campaign_id AND stage_run.wall IS NOT NULL
GROUP BY job.id, job.dataset ORDER BY seconds DESC LIMIT :most
"""


def excerpt(rows: Rows, campaign_id: int, counts: Mapping[str, int], most: int) -> Excerpt:
    """Return jobs of a campaign in the order of :data:`ORDER`, of each state the newest first.

    Parameters
    ----------
    counts
        How many jobs are in each state: states without any are not asked for.
    most
        Rows at most.
    """
    found: list[dict[str, Any]] = []
    for state in ORDER:
        if counts.get(state) and len(found) < most:
            asked = {"campaign_id": campaign_id, "state": state, "most": most - len(found)}
            found += rows(_JOBS, asked)
    stages = _stages_of(rows, [row["id"] for row in found])
    lines = [Line(**row, stages=stages.get(row["id"], {})) for row in found]
    return Excerpt(lines, max(0, sum(counts.values()) - len(lines)))


def failed_since(rows: Rows, campaign_id: int, since: str, most: int) -> list[Line]:
    """Return jobs that ended in an error or were blocked after a moment, the first first."""
    asked = {"campaign_id": campaign_id, "since": since, "most": most}
    return [Line(**row) for row in rows(_FAILED_SINCE, asked)]


def thumbnails_since(
    rows: Rows, campaign_id: int, since: str, *, most: int, largest: int
) -> list[Thumbnail]:
    """Return published thumbnails of jobs that ended since a moment, the newest first.

    Parameters
    ----------
    most
        Pictures at most.
    largest
        Bytes of one.
    """
    asked = {"campaign_id": campaign_id, "since": since, "most": most, "largest": largest}
    return [_thumbnail(row) for row in rows(_THUMBNAILS_SINCE, asked)]


def thumbnails_at(
    rows: Rows, dataset: str, place: str, *, most: int, largest: int
) -> list[Thumbnail]:
    """Return the thumbnails of one publication, by their names.

    Parameters
    ----------
    dataset, place
        Of what, and the URI of the publication.
    most, largest
        As :func:`thumbnails_since`.
    """
    asked = {"dataset": dataset, "place": place, "most": most, "largest": largest}
    return [_thumbnail(row) for row in rows(_THUMBNAILS_AT, asked)]


def slowest(rows: Rows, campaign_id: int, most: int) -> list[Slow]:
    """Return the datasets whose stages took longest, the slowest first.

    All stage runs of the campaign are read: half a second for some ten thousand datasets.
    """
    found = rows(_SLOWEST, {"campaign_id": campaign_id, "most": most})
    return [Slow(row["dataset"], float(row["seconds"])) for row in found]


def _stages_of(rows: Rows, jobs: Iterable[int]) -> dict[int, dict[str, str]]:
    names = {f"j{place}": number for place, number in enumerate(jobs)}
    if not names:
        return {}
    found: dict[int, dict[str, str]] = {}
    query = _STAGES.format(numbers=", ".join(f":{name}" for name in names))
    for row in rows(query, names):
        found.setdefault(row["job_id"], {})[row["stage"]] = row["state"]
    return found


def _thumbnail(row: Mapping[str, Any]) -> Thumbnail:
    """Return where a picture is: in the folder of its publication, or at a URI of its own."""
    uri = row["uri"] or f"{row['place'].rstrip('/')}/{row['name']}"
    return Thumbnail(row["dataset"], row["name"], str(uri), int(row["size"]))
