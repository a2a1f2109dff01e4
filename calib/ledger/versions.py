"""Versions of datasets: what the ledger knows of every publication, and who holds on to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, update

from calib.ledger.reports import Rows
from calib.ledger.schema import publication as publications
from calib.records import utc_now


@dataclass(frozen=True)
class Version:
    """A dataset in a run.

    Attributes
    ----------
    id
        Number in the ledger.
    run, output
        The run, and the output that it was written to.
    dataset, uri
        The dataset, and where it lies in the run.
    manifest_sha256
        Checksum of its manifest; None for what has none.
    transfer
        ``copy``, ``link`` or ``in-place`` (the files are somebody else's).
    published_at, removed_at
        ISO 8601, UTC; `removed_at` is None unless it was pruned.
    current_run
        The run of the dataset's current version; None where there is none.
    files, size
        Number of its files, and their bytes.
    """

    id: int
    run: str
    output: str
    dataset: str
    uri: str
    manifest_sha256: str | None
    transfer: str
    published_at: str
    removed_at: str | None
    current_run: str | None
    files: int
    size: int

    @property
    def is_current(self) -> bool:
        """Whether readers are shown this version."""
        return self.current_run == self.run

    @property
    def is_ours(self) -> bool:
        """Whether the archive owns the bytes."""
        return self.transfer != "in-place"


# A sum of bigint is a decimal number in PostgreSQL.
_VERSIONS = """
SELECT publication.id AS id, run.name AS run, run.output AS output,
  publication.dataset AS dataset, publication.uri AS uri,
  publication.manifest_sha256 AS manifest_sha256, publication.transfer AS transfer,
  publication.published_at AS published_at, publication.removed_at AS removed_at,
  shown.name AS current_run,
  (SELECT COUNT(*) FROM product WHERE product.publication_id = publication.id) AS files,
  (SELECT CAST(COALESCE(SUM(product.size), 0) AS BIGINT) FROM product
   WHERE product.publication_id = publication.id) AS size
FROM publication
  JOIN run ON run.id = publication.run_id
  LEFT JOIN current_run ON current_run.dataset = publication.dataset
  LEFT JOIN run AS shown ON shown.id = current_run.run_id
"""

_OF_RUN = _VERSIONS + "WHERE run.name = :name ORDER BY publication.dataset"
_OF_DATASET = _VERSIONS + "WHERE publication.dataset = :name ORDER BY publication.published_at, run"

_RUNS = "SELECT name, output FROM run ORDER BY name"

_FILES = """
SELECT product.name AS name, product.size AS size, product.sha256 AS sha256,
  COALESCE(product.uri, publication.uri || '/' || product.name) AS uri
FROM product JOIN publication ON publication.id = product.publication_id
WHERE publication.id = :id ORDER BY product.name
"""

# What only the version has and no other file of these names or tombstones covers.
_UNCOVERED = """
SELECT product.name AS name FROM product
WHERE product.publication_id = :version
  AND product.type NOT IN ('preview', 'log', 'env')
  AND product.name NOT IN (SELECT name FROM product WHERE publication_id = :other)
  AND product.name NOT IN
    (SELECT name FROM tombstone WHERE publication_id = :other AND :obsolete = 1)
ORDER BY product.name
"""

# Runs in chains, publications in tags, datasets that somebody is at work on: with the reason.
_CHAINED = """
SELECT DISTINCT run.name AS held, chain.name AS holder FROM chain_member
  JOIN collection AS chain ON chain.id = chain_member.collection_id
  JOIN run ON run.id = chain_member.run_id
ORDER BY holder
"""

_TAGGED = """
SELECT DISTINCT product.publication_id AS held, collection.name AS holder FROM tagged_product
  JOIN collection ON collection.id = tagged_product.collection_id
  JOIN product ON product.id = tagged_product.product_id
WHERE CAST(:dataset AS VARCHAR) IS NULL OR tagged_product.dataset = CAST(:dataset AS VARCHAR)
ORDER BY holder
"""

_AT_WORK = """
SELECT DISTINCT job.dataset AS held, campaign.name || ' (' || job.state || ')' AS holder
FROM job JOIN campaign ON campaign.id = job.campaign_id
WHERE job.state IN ('submitted', 'processing')
  AND (CAST(:dataset AS VARCHAR) IS NULL OR job.dataset = CAST(:dataset AS VARCHAR))
ORDER BY holder
"""

_SEVERAL = """
SELECT dataset FROM publication WHERE removed_at IS NULL
GROUP BY dataset HAVING COUNT(*) > 1 ORDER BY dataset
"""


@dataclass(frozen=True)
class Holds:
    """Why versions are not to be removed, in names.

    Attributes
    ----------
    chains
        Chains by run.
    tags
        Tags by number of the publication.
    work
        Jobs at work, or about to be, by dataset.
    """

    chains: dict[str, list[str]]
    tags: dict[int, list[str]]
    work: dict[str, list[str]]


def list_outputs(rows: Rows) -> dict[str, list[str]]:
    """Return the runs of every output that the ledger knows, both sorted."""
    found: dict[str, list[str]] = {}
    for row in rows(_RUNS, {}):
        found.setdefault(row["output"], []).append(row["name"])
    return dict(sorted(found.items()))


def versions_in(rows: Rows, run: str) -> list[Version]:
    """Return every version in a run, also those that were pruned, by dataset."""
    return [Version(**row) for row in rows(_OF_RUN, {"name": run})]


def versions_of(rows: Rows, dataset: str) -> list[Version]:
    """Return every version of a dataset, also those that were pruned, the oldest first."""
    return [Version(**row) for row in rows(_OF_DATASET, {"name": dataset})]


def files_of(rows: Rows, version: Version) -> list[dict[str, Any]]:
    """Return name, size, sha256 and URI of every file of a version."""
    return rows(_FILES, {"id": version.id})


def uncovered(rows: Rows, version: Version, other: Version, *, obsolete: bool = False) -> list[str]:
    """Return the products that another version does not have.

    Previews, logs and lists of the environment do not count.

    Parameters
    ----------
    obsolete
        Whether a product that the other version declares to be gone counts as had.
    """
    asked = {"version": version.id, "other": other.id, "obsolete": int(obsolete)}
    return [row["name"] for row in rows(_UNCOVERED, asked)]


def find_holds(rows: Rows, dataset: str | None = None) -> Holds:
    """Return what holds on to versions, of all datasets or of one."""
    about = {"dataset": dataset}
    return Holds(
        _gathered(rows(_CHAINED, {})),
        _gathered(rows(_TAGGED, about)),
        _gathered(rows(_AT_WORK, about)),
    )


def datasets_with_several(rows: Rows) -> list[str]:
    """Return the datasets that have more than one version."""
    return [row["dataset"] for row in rows(_SEVERAL, {})]


def mark_removed(connection: Connection, versions: Iterable[Version]) -> None:
    """Write down that the bytes of versions are gone; what is marked already stays as it is."""
    now = utc_now()
    values: Sequence[dict[str, Any]] = [{"number": each.id, "now": now} for each in versions]
    statement = (
        update(publications)
        .where(publications.c.id == bindparam("number"), publications.c.removed_at.is_(None))
        .values(removed_at=bindparam("now"))
    )
    if values:
        connection.execute(statement, values)


def _gathered(found: list[dict[str, Any]]) -> dict[Any, list[str]]:
    holders: dict[Any, list[str]] = {}
    for row in found:
        holders.setdefault(row["held"], []).append(row["holder"])
    return holders
