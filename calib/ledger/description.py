"""Everything that the ledger knows under one name: of a dataset, a file or a reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from calib.errors import ConfigError
from calib.ledger.holdings import CHAIN, chain_runs, list_collections
from calib.ledger.lineage import Lineage, Use, made_from, used_by, used_by_publication
from calib.ledger.products import Product, ProductQuery, find_products
from calib.ledger.reports import JobSummary, Rows, jobs_of


@dataclass(frozen=True)
class Version:
    """A dataset in one of its runs.

    Attributes
    ----------
    run, dataset, uri, published_at, removed_at, is_current
        As in :class:`calib.ledger.lineage.Lineage`.
    chains
        Chains in which the dataset is found in this run.
    tags
        Tags that hold a product of this version.
    """

    run: str
    dataset: str
    uri: str
    published_at: str
    removed_at: str | None
    is_current: bool
    chains: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Description:
    """What the ledger knows under a name.

    Attributes
    ----------
    name
        What was asked for.
    data_id
        What the exposure or association shows; None where nobody recorded it.
    versions
        The runs that hold the dataset or file, the oldest first.
    shown
        How the version was made that `products` are of: of the run that was asked for, else the
        current one, else the latest. None where there is none.
    products
        The files of that version: all, or the one that was asked for.
    used_by
        Publications that were made from those products, from a file or exposure of this name,
        or with a reference of this name. Not those of the dataset itself, where that was asked
        for.
    jobs
        Jobs of the dataset.
    """

    name: str
    data_id: dict[str, Any] | None
    versions: tuple[Version, ...]
    shown: Lineage | None
    products: tuple[Product, ...]
    used_by: tuple[Use, ...]
    jobs: tuple[JobSummary, ...]

    @property
    def is_known(self) -> bool:
        """Whether there is anything to say."""
        return bool(self.data_id or self.versions or self.used_by or self.jobs)


_VERSIONS = """
SELECT run, dataset, uri, published_at, removed_at, is_current FROM publications
WHERE dataset = :name ORDER BY published_at, id
"""
_WITH_FILE = """
SELECT DISTINCT publication.id AS id, run.name AS run, publication.dataset AS dataset,
  publication.uri AS uri, publication.published_at AS published_at,
  publication.removed_at AS removed_at,
  CASE WHEN current_run.run_id = run.id THEN 1 ELSE 0 END AS is_current
FROM product JOIN publication ON publication.id = product.publication_id
  JOIN run ON run.id = publication.run_id
  LEFT JOIN current_run ON current_run.dataset = publication.dataset
WHERE product.{column} = :name ORDER BY publication.published_at, publication.id
"""
_DATA_ID = """
SELECT rootname, instrument, detector, filter, program, visit, proposal, target, observed_at,
  exptime FROM data_id WHERE rootname = :name
"""
_TAGS = "SELECT DISTINCT tag FROM tags WHERE run = :run AND dataset = :dataset ORDER BY tag"


def describe(rows: Rows, name: str, *, run: str | None = None) -> Description:
    """Return everything that the ledger knows under a name.

    Parameters
    ----------
    name
        A dataset, an exposure, a file (``j8bt05njq_flt.fits``), the sha256 of one, or a
        reference (``x_bia.fits``, ``jref$x_bia.fits``).
    run
        The version to show, where there are several.

    Raises
    ------
    ConfigError
        The run does not hold it.
    """
    column, found = _find_versions(rows, name)
    versions = _with_collections(rows, found)
    shown = _choose(versions, run, name)
    lineage = None if shown is None else made_from(rows, shown.run, shown.dataset)
    products = () if shown is None else _products(rows, shown, column, name)
    dataset = name.lower() if shown is None else shown.dataset
    rootname = next((p.rootname for p in products if column in {"name", "sha256"}), dataset)
    if column == "rootname":
        rootname = name.lower()
    return Description(
        name=name,
        data_id=next(iter(rows(_DATA_ID, {"name": rootname})), None),
        versions=versions,
        shown=lineage,
        products=products,
        used_by=_uses(rows, name, column, shown, products),
        jobs=tuple(jobs_of(rows, dataset)),
    )


def _find_versions(rows: Rows, name: str) -> tuple[str, list[dict[str, Any]]]:
    """Return how a name was understood, and the publications that hold it."""
    if found := rows(_VERSIONS, {"name": name.lower()}):
        return "dataset", found
    for column, value in (("name", name), ("rootname", name.lower()), ("sha256", name.lower())):
        if found := rows(_WITH_FILE.format(column=column), {"name": value}):
            return column, found
    return "", []


def _with_collections(rows: Rows, found: Sequence[dict[str, Any]]) -> tuple[Version, ...]:
    chains = [each.name for each in list_collections(rows) if each.kind == CHAIN] if found else []
    paths = {chain: chain_runs(rows, chain) for chain in chains}
    return tuple(_version(rows, row, found, paths) for row in found)


def _version(
    rows: Rows,
    row: dict[str, Any],
    found: Sequence[dict[str, Any]],
    paths: dict[str, list[str]],
) -> Version:
    holders = {
        each["run"]
        for each in found
        if each["dataset"] == row["dataset"] and each["removed_at"] is None
    }
    chains = [
        chain
        for chain, runs in paths.items()
        if next((run for run in runs if run in holders), None) == row["run"]
    ]
    which = {"run": row["run"], "dataset": row["dataset"]}
    tags = [each["tag"] for each in rows(_TAGS, which)]
    plain = {key: row[key] for key in ("run", "dataset", "uri", "published_at", "removed_at")}
    is_current = bool(row["is_current"])
    return Version(**plain, is_current=is_current, chains=tuple(chains), tags=tuple(tags))


def _choose(versions: Sequence[Version], run: str | None, name: str) -> Version | None:
    """Return the version of a run, else the current one, else the latest that is there."""
    if run is not None:
        chosen = next((each for each in versions if each.run == run), None)
        if chosen is None:
            message = f"run {run} does not hold this"
            raise ConfigError(message, expected=[each.run for each in versions], found=name)
        return chosen
    there = [each for each in versions if each.removed_at is None]
    current = [each for each in there if each.is_current]
    return next(reversed(current or there or list(versions)), None)


def _products(rows: Rows, shown: Version, column: str, name: str) -> tuple[Product, ...]:
    query = ProductQuery(
        datasets=(shown.dataset,),
        runs=(shown.run,),
        names=(name,) if column == "name" else (),
        rootnames=(name,) if column == "rootname" else (),
        sha256=name if column == "sha256" else None,
    )
    return tuple(find_products(rows, query))


def _uses(
    rows: Rows, name: str, column: str, shown: Version | None, products: Sequence[Product]
) -> tuple[Use, ...]:
    """Return what was made from the products, and from what has the name itself."""
    if column == "dataset" and shown is not None:
        from_files = used_by_publication(rows, shown.run, shown.dataset)
    else:
        from_files = used_by(rows, *(each.sha256 for each in products if each.sha256))
    every = {(use.run, use.dataset, use.how): use for use in (*used_by(rows, name), *from_files)}
    uses = (every[key] for key in sorted(every))
    return tuple(use for use in uses if column != "dataset" or use.dataset != name.lower())
