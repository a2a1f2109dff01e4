"""Which products exist: the question that collections, data ids and types answer together.

The queries run on the views ``products`` and ``runs`` (:mod:`calib.ledger.views`), on any
connection that :data:`calib.ledger.reports.Rows` stands for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from calib.ledger.choice import chosen
from calib.ledger.matching import any_of, like
from calib.ledger.reports import Rows


@dataclass(frozen=True)
class ProductQuery:
    """What to look for; what is empty or None does not restrict.

    Text may hold ``*`` and ``?``, which ignore case. Words that HST writes in one case
    (instrument, detector, filter, dataset...) and the target may be given in any; names of
    files and runs are as they are. Several values of one field are alternatives, several fields
    hold together.

    Attributes
    ----------
    words
        Names of any kind: of published datasets, of the exposures or associations that files
        show, of files.
    types
        Dataset types: ``flt``, ``raw``, ``preview``...
    datasets, rootnames, names
        Published datasets; exposures or associations shown; file names.
    runs
        Names of runs.
    collections
        Names of runs, chains and tags, searched in order: a dataset comes from the first run
        that holds it, whatever else is asked; a tag gives the products that it holds.
    association
        Products that show this association or one of its members, wherever published.
    instrument, detector, filter, program, visit, proposal, target
        Parts of the data id. One of several filters in the beam is enough.
    begins, ends
        Start of the exposure, ISO 8601: from `begins` (included) to `ends` (excluded).
    sha256
        Checksum.
    current
        Only products of the current version of their dataset.
    limit
        Most rows to return.
    """

    words: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    rootnames: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    collections: tuple[str, ...] = ()
    association: str | None = None
    instrument: str | None = None
    detector: str | None = None
    filter: str | None = None
    program: str | None = None
    visit: str | None = None
    proposal: int | None = None
    target: str | None = None
    begins: str | None = None
    ends: str | None = None
    sha256: str | None = None
    current: bool = False
    limit: int | None = None


@dataclass(frozen=True)
class Product:
    """One file that exists: a row of the view ``products``."""

    id: int
    run: str
    dataset: str
    name: str
    type: str
    rootname: str
    instrument: str | None
    detector: str | None
    filter: str | None
    program: str | None
    visit: str | None
    proposal: int | None
    target: str | None
    observed_at: str | None
    exptime: float | None
    kind: str
    context: str
    engine: str
    engine_version: str
    sha256: str | None
    size: int
    uri: str
    transfer: str
    published_at: str
    is_current: bool


@dataclass(frozen=True)
class Amount:
    """How many products there are, and their bytes."""

    products: int
    bytes: int


@dataclass(frozen=True)
class Run:
    """A write-once collection of publications: a row of the view ``runs``.

    Attributes
    ----------
    run
        Its name.
    kind
        ``processed`` (by us) or ``ingested`` (made elsewhere).
    context, engine, engine_version, parameters
        What all of its publications were made with.
    output
        Where it lies.
    created_at
        ISO 8601, UTC.
    datasets, products, bytes
        What it holds; what was pruned does not count.
    current_datasets
        Datasets whose current version is in this run.
    """

    run: str
    kind: str
    context: str
    engine: str
    engine_version: str
    output: str
    parameters: dict[str, Any]
    created_at: str
    datasets: int
    products: int
    bytes: int
    current_datasets: int


# Columns that hold one case, whatever a user types.
_LOWER = ("type", "dataset", "rootname", "instrument", "program", "visit", "sha256")
_UPPER = ("detector",)

# Detectors that visits and skycells are made of: those of the imagers.
_COMBINED = ("HRC", "IR", "SBC", "UVIS", "WFC")

_NAMED = """id IN (
  SELECT product.id FROM publication JOIN product ON product.publication_id = publication.id
  WHERE {datasets}
  UNION SELECT id FROM product WHERE {rootnames}
  UNION SELECT id FROM product WHERE {names})"""


def find_products(rows: Rows, query: ProductQuery) -> list[Product]:
    """Return the products that a query asks for, by dataset, time of publication and name.

    Raises
    ------
    ConfigError
        A name in `collections` is no run, chain or tag, or there are too many values.
    """
    where, parameters = _where(rows, query)
    limit = "" if query.limit is None else f" LIMIT {int(query.limit)}"
    text = f"SELECT * FROM products WHERE {where} ORDER BY dataset, published_at, name{limit}"  # noqa: S608 - names of columns are ours, values are parameters
    return [
        Product(**{**row, "is_current": bool(row["is_current"])}) for row in rows(text, parameters)
    ]


def count_products(rows: Rows, query: ProductQuery) -> dict[str, Amount]:
    """Return how much of each type a query asks for, whatever its limit.

    Raises
    ------
    ConfigError
        As for :func:`find_products`.
    """
    where, parameters = _where(rows, query)
    text = (
        "SELECT type, COUNT(*) AS products, SUM(size) AS bytes FROM products"  # noqa: S608 - as above
        f" WHERE {where} GROUP BY type ORDER BY type"
    )
    return {
        row["type"]: Amount(int(row["products"]), int(row["bytes"]))
        for row in rows(text, parameters)
    }


def find_runs(
    rows: Rows,
    names: tuple[str, ...] = (),
    *,
    kind: str | None = None,
    context: str | None = None,
) -> list[Run]:
    """Return runs with what they hold, the oldest first.

    Parameters
    ----------
    names
        Names or patterns with ``*`` and ``?``; none asks for all.
    kind
        ``processed`` or ``ingested``.
    context
        Name of a CRDS context, or a pattern.
    """
    parameters: dict[str, Any] = {}
    asked = {"run": names, "kind": _one(kind), "context": _one(context)}
    tests = [any_of(column, values, parameters) for column, values in asked.items() if values]
    where = " AND ".join(tests) or "1 = 1"
    found = rows(f"SELECT * FROM runs WHERE {where} ORDER BY created_at, run", parameters)  # noqa: S608 - as above
    return [_run(row) for row in found]


def _run(row: dict[str, Any]) -> Run:
    numbers = {name: int(row[name]) for name in ("datasets", "products", "bytes")}
    return Run(**{**row, **numbers, "parameters": json.loads(row["parameters"])})


def _where(rows: Rows, query: ProductQuery) -> tuple[str, dict[str, Any]]:
    parameters: dict[str, Any] = {}
    tests = list(_conditions(query, parameters))
    if query.collections:
        tests.append(f"({chosen(rows, query.collections, parameters)})")
    return " AND ".join(tests) or "1 = 1", parameters


# A run holds a campaign, a type a good part of the archive. Without statistics a database takes
# the index of either to be as good as that of an exposure; what is no plain column has none.
_BROAD = frozenset({"run", "type"})


def _conditions(query: ProductQuery, parameters: dict[str, Any]) -> Iterator[str]:
    """Give one condition per field that was asked for, and fill in its parameters."""
    asked = {
        "type": query.types,
        "dataset": query.datasets,
        "rootname": query.rootnames,
        "name": query.names,
        "run": query.runs,
        "instrument": _one(query.instrument),
        "detector": _detectors(query.detector),
        "program": _one(query.program),
        "visit": _one(query.visit),
        "sha256": _one(query.sha256),
    }
    broad = _BROAD if _is_narrow(query) else frozenset()
    for column, values in asked.items():
        if values:
            tested = f"({column} || '')" if column in broad else column
            cased = [_in_case(column, value) for value in values]
            yield any_of(tested, cased, parameters, label=column)
    if query.words:
        yield _named(query.words, parameters)
    yield from _data_id(query, parameters)
    if query.association is not None:
        parameters["association"] = query.association.lower()
        yield (
            "rootname IN (SELECT rootname FROM member WHERE association = :association"
            " UNION SELECT CAST(:association AS VARCHAR))"
        )
    if query.current:
        yield "is_current = 1"


def _detectors(name: str | None) -> tuple[str, ...]:
    """Return the values of the column that have a detector: visits have several, with ``;``.

    Spelled out, so that the index serves.
    """
    if name is None or name.upper() not in _COMBINED:
        return _one(name)
    others = [each for each in _COMBINED if each != name.upper()]
    sets = (some for count in range(len(_COMBINED)) for some in combinations(others, count))
    return tuple(";".join(sorted((name.upper(), *some))) for some in sets)


def _is_narrow(query: ProductQuery) -> bool:
    """Tell whether something else than runs and types selects few products."""
    several = (query.words, query.datasets, query.rootnames, query.names)
    single = (query.program, query.proposal, query.sha256, query.association, query.begins)
    return any(several) or any(value is not None for value in single)


def _named(words: tuple[str, ...], parameters: dict[str, Any]) -> str:
    """Ask the three tables in turn: one condition over all of them would read every row."""
    lower = [word.lower() for word in words]
    datasets = any_of("dataset", lower, parameters, label="word")
    rootnames = any_of("rootname", lower, parameters, label="word")
    names = any_of("name", words, parameters, label="file")
    return _NAMED.format(datasets=datasets, rootnames=rootnames, names=names)


def _data_id(query: ProductQuery, parameters: dict[str, Any]) -> Iterator[str]:
    if query.filter is not None:
        parameters["beam"] = f"%;{like(query.filter)};%"
        yield "filter IS NOT NULL AND LOWER(';' || filter || ';') LIKE :beam ESCAPE '!'"
    if query.target is not None:
        parameters["target"] = like(query.target)
        yield "LOWER(target) LIKE :target ESCAPE '!'"
    for column, name, sign in (
        ("proposal", "proposal", "="),
        ("observed_at", "begins", ">="),
        ("observed_at", "ends", "<"),
    ):
        if getattr(query, name) is not None:
            parameters[name] = getattr(query, name)
            yield f"{column} {sign} :{name}"


def _one(value: str | None) -> tuple[str, ...]:
    return () if value is None else (value,)


def _in_case(column: str, value: str) -> str:
    if column in _LOWER:
        return value.lower()
    return value.upper() if column in _UPPER else value
