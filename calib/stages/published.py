"""Finds one publication by the name of its dataset or of a product, or by where it lies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from calib.archive.manifest import Manifest
from calib.archive.outputs import open_output
from calib.errors import ARCHIVE, ConfigError, NotFound, UnsupportedMode
from calib.ids import DatasetId, parse_dataset, rootname_of
from calib.ledger.reports import Rows
from calib.stores.file_store import FileStore
from calib.stores.s3_store import open_store
from calib.stores.store import Store
from calib.stores.transfer import local_path
from calib.stores.uri import parse_uri

# The folder of a publication in its run, or the current one (calib.archive.layout), and perhaps
# a file in it.
_PLACE = re.compile(
    r"(?P<output>.+)/(?:runs/(?P<run>[^/]+)|data)/(?:acs|cos|stis|wfc3|mvm)"
    r"/(?P<dataset>[a-z0-9_-]{9,})(?:/.*)?"
)

_OF_DATASET = """
SELECT run, dataset, uri, manifest_sha256, removed_at, is_current FROM publications
WHERE dataset = :name AND (CAST(:run AS VARCHAR) IS NULL OR run = CAST(:run AS VARCHAR))
ORDER BY published_at
"""

_OF_PRODUCT = """
SELECT publications.run AS run, publications.dataset AS dataset, publications.uri AS uri,
  publications.manifest_sha256 AS manifest_sha256, publications.removed_at AS removed_at,
  publications.is_current AS is_current
FROM publications
  JOIN products ON products.run = publications.run AND products.dataset = publications.dataset
WHERE products.name = :name
  AND (CAST(:run AS VARCHAR) IS NULL OR publications.run = CAST(:run AS VARCHAR))
ORDER BY publications.published_at
"""


@dataclass(frozen=True)
class Found:
    """A publication that can be read.

    Attributes
    ----------
    manifest
        What it holds, and how that was made.
    store
        Its folder: keys are names of files.
    """

    manifest: Manifest
    store: Store

    @property
    def uri(self) -> str:
        """Where it lies."""
        return self.store.uri


def is_publication(word: str) -> bool:
    """Tell whether a word is the URI of a publication, or of a file in one."""
    return ":" in word and bool(_PLACE.fullmatch(_location(word)))


def find_publication(
    name: str, *, run: str | None = None, output: str | None = None, rows: Rows | None = None
) -> Found:
    """Find a publication.

    Parameters
    ----------
    name
        Dataset; name of a product; path or URI of a product or of its folder, also through
        ``OUTPUT/data``.
    run
        The run; without it the current version.
    output
        ``file:PATH`` or ``s3://BUCKET/PREFIX``: look there, with no ledger.
    rows
        The ledger; None where there is none.

    Raises
    ------
    ConfigError
        The name can be none, or fits several publications.
    NotFound
        Nothing of this name is published, or it was pruned. Code 25.
    UnsupportedMode
        hstflow did not make it: nothing is known of how it was made.
    ArchiveError
        Its manifest is missing or cannot be right.
    """
    if place := _PLACE.fullmatch(_location(name)):
        return _find_in(place["output"], place["dataset"], run or place["run"])
    if output is not None:
        return _find_in(output, name, run)
    if rows is None:
        message = "there is no ledger to look in"
        raise ConfigError(message, expected="OUTPUT_URI, or HSTFLOW_LEDGER", found=name)
    return _find_by_ledger(rows, name, run)


def _location(name: str) -> str:
    """Return a path as a URI that is not encoded; links are followed, they lead to the run."""
    if "/" in name and ":" not in name:
        name = f"file:{name}"
    path = local_path(name) if name.startswith("file:") else None
    return name if path is None else f"file:{path.expanduser().resolve()}"


def _open(output: str, run: str, dataset: DatasetId) -> Found:
    manifest = open_output(output).manifest(run, dataset)
    folder = f"runs/{run}/{dataset.instrument}/{dataset.name}"
    target = parse_uri(output)
    if target.scheme == "file":
        return Found(manifest, FileStore(target.path / folder))
    return Found(manifest, open_store(f"{target.location}/{folder}", "output"))


def _find_in(output: str, name: str, run: str | None) -> Found:
    """Look in an output: the files of a product named here have the dataset's root."""
    dataset = parse_dataset(rootname_of(name, name))
    if run is None:
        current = open_output(output).current_manifest(dataset)
        if current is None:
            raise NotFound(
                "nothing of this dataset is published here; the products of an association "
                "are found by the name of the association",
                dataset=dataset.name,
                path=output,
                code=ARCHIVE,
            )
        run = current.run
    return _open(output, run, dataset)


def _find_by_ledger(rows: Rows, name: str, run: str | None) -> Found:
    query = _OF_PRODUCT if "." in name else _OF_DATASET
    text = name if "." in name else parse_dataset(name).name
    row = _choose(rows(query, {"name": text, "run": run}), name, run)
    if row["manifest_sha256"] is None:
        raise not_ours(row["dataset"], row["uri"])
    place = _PLACE.fullmatch(_location(row["uri"]))
    if place is None:
        raise not_ours(row["dataset"], row["uri"])
    return _open(place["output"], row["run"], parse_dataset(row["dataset"]))


def _choose(found: Sequence[dict[str, Any]], name: str, run: str | None) -> dict[str, Any]:
    """Return the one that is meant: the current one where several are there."""
    there = [row for row in found if row["removed_at"] is None]
    if not there:
        removed = f"pruned at {found[-1]['removed_at']}" if found else "nothing"
        where = {"expected": f"run {run}"} if run else {}
        raise NotFound(
            "the ledger knows no publication of it", path=name, found=removed, code=ARCHIVE, **where
        )
    meant = [row for row in there if row["is_current"]] or there
    if len(meant) > 1:
        raise ConfigError(
            f"several publications have {name}",
            expected="the name of a dataset, or --run",
            found=", ".join(f"{row['dataset']} in run {row['run']}" for row in meant),
        )
    return meant[0]


def not_ours(dataset: str, uri: str) -> UnsupportedMode:
    """Return the error for what was made elsewhere and only ingested."""
    return UnsupportedMode(
        "not made by hstflow: nothing is known of how, so it cannot be made again",
        dataset=dataset,
        path=uri,
    )
