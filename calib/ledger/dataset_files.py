"""What the versions of a dataset are made of: every file with its number, and who used it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from calib.ledger.matching import any_of
from calib.ledger.reports import Rows


@dataclass(frozen=True)
class StoredFile:
    """One file of a publication, wherever it lies, also one that was pruned.

    Attributes
    ----------
    id
        Its number in the ledger.
    publication_id, run, dataset
        The publication.
    name, type, rootname, sha256, size
        As registered; `sha256` is None where nobody took it.
    uri, folder
        Where it lies, and where the files of its publication lie.
    transfer
        ``copy``, ``link`` or ``in-place`` (the file is somebody else's).
    published_at, removed_at
        ISO 8601, UTC; `removed_at` is None unless it was pruned.
    """

    id: int
    publication_id: int
    run: str
    dataset: str
    name: str
    type: str
    rootname: str
    sha256: str | None
    size: int
    uri: str
    folder: str
    transfer: str
    published_at: str
    removed_at: str | None


@dataclass(frozen=True)
class FileUse:
    """A publication that was made from a file with these bytes."""

    sha256: str
    run: str
    dataset: str


@dataclass(frozen=True)
class FailedJob:
    """A job that came to its end without products: what it says of why."""

    id: int
    campaign: str
    dataset: str
    run: str
    state: str
    error_class: str | None
    reason: str | None
    updated_at: str


_FILES = """
SELECT product.id AS id, publication.id AS publication_id, run.name AS run,
  publication.dataset AS dataset, product.name AS name, product.type AS type,
  product.rootname AS rootname, product.sha256 AS sha256, product.size AS size,
  COALESCE(product.uri, publication.uri || '/' || product.name) AS uri,
  publication.uri AS folder, publication.transfer AS transfer,
  publication.published_at AS published_at, publication.removed_at AS removed_at
FROM product JOIN publication ON publication.id = product.publication_id
  JOIN run ON run.id = publication.run_id
"""

_WARNINGS = """
SELECT attempt.warnings AS warnings FROM publication
  JOIN attempt ON attempt.id = publication.attempt_id
WHERE publication.id = :id
"""

_WITHOUT_PRODUCTS = """
SELECT job.id AS id, campaign.name AS campaign, job.dataset AS dataset, job.run AS run,
  job.state AS state, job.error_class AS error_class, job.reason AS reason,
  job.updated_at AS updated_at
FROM job JOIN campaign ON campaign.id = job.campaign_id
WHERE job.dataset = :dataset AND job.state IN ('error', 'skipped')
ORDER BY job.updated_at DESC, job.id DESC
"""


def file_of(rows: Rows, number: int) -> StoredFile | None:
    """Return a file by its number in the ledger; None where there is none."""
    found = rows(_FILES + "WHERE product.id = :id", {"id": number})
    return next((StoredFile(**row) for row in found), None)


def files_in(rows: Rows, publication_id: int) -> list[StoredFile]:
    """Return the files of a publication by name, also of one that was pruned."""
    query = _FILES + "WHERE publication.id = :id ORDER BY product.name"
    return [StoredFile(**row) for row in rows(query, {"id": publication_id})]


def uses_of_files(rows: Rows, files: Sequence[StoredFile]) -> list[FileUse]:
    """Return other publications that were made from files of these bytes, once for each file."""
    sums = [each.sha256 for each in files if each.sha256 is not None]
    if not sums:
        return []
    parameters: dict[str, object] = {}
    same = any_of("inputs.sha256", sums, parameters, label="sha")
    query = f"SELECT DISTINCT sha256, run, dataset FROM inputs WHERE {same} ORDER BY dataset, run"  # noqa: S608 - the condition has parameters only
    mine = {(each.run, each.dataset) for each in files}
    found = (FileUse(**row) for row in rows(query, parameters))
    return [each for each in found if (each.run, each.dataset) not in mine]


def warnings_of(rows: Rows, publication_id: int) -> tuple[str, ...]:
    """Return the warnings of the attempt that made a publication."""
    found = rows(_WARNINGS, {"id": publication_id})
    text = next((row["warnings"] for row in found), None)
    return tuple(str(line) for line in json.loads(text)) if text else ()


def jobs_without_products(rows: Rows, dataset: str) -> list[FailedJob]:
    """Return the jobs of a dataset that failed or had nothing to make, the latest first."""
    return [FailedJob(**row) for row in rows(_WITHOUT_PRODUCTS, {"dataset": dataset})]
