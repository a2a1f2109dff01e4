"""Which products exist: the question that collections, data ids and types answer together.

The queries run on the view ``products`` (:mod:`calib.ledger.views`), on any connection that
:data:`calib.ledger.reports.Rows` stands for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from calib.ledger.reports import Rows


@dataclass(frozen=True)
class ProductQuery:
    """What to look for; what is empty or None does not restrict.

    Text may hold ``*`` and ``?``. Several values of one field are alternatives, several fields
    hold together.

    Attributes
    ----------
    types
        Dataset types: ``flt``, ``raw``, ``preview``...
    datasets, rootnames, names
        Published datasets; exposures or associations shown; file names.
    runs
        Names of runs.
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

    types: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    rootnames: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
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


def find_products(rows: Rows, query: ProductQuery) -> list[Product]:
    """Return the products that a query asks for, by dataset, run and name."""
    parameters: dict[str, Any] = {}
    where = " AND ".join(_conditions(query, parameters)) or "1 = 1"
    limit = "" if query.limit is None else f" LIMIT {int(query.limit)}"
    text = f"SELECT * FROM products WHERE {where} ORDER BY dataset, published_at, name{limit}"  # noqa: S608 - names of columns are ours, values are parameters
    return [
        Product(**{**row, "is_current": bool(row["is_current"])}) for row in rows(text, parameters)
    ]


def _conditions(query: ProductQuery, parameters: dict[str, Any]) -> Iterator[str]:
    """Give one condition per field that was asked for, and fill in its parameters."""
    several = {
        "type": query.types,
        "dataset": query.datasets,
        "rootname": query.rootnames,
        "name": query.names,
        "run": query.runs,
    }
    single = {
        name: getattr(query, name)
        for name in ("instrument", "detector", "program", "visit", "target", "sha256")
    }
    for column, values in several.items():
        if values:
            yield _any_of(column, values, parameters)
    for column, value in single.items():
        if value is not None:
            yield _any_of(column, (value,), parameters)
    yield from _others(query, parameters)


def _others(query: ProductQuery, parameters: dict[str, Any]) -> Iterator[str]:
    if query.filter is not None:
        parameters["beam"] = f"%;{_pattern(query.filter)};%"
        yield "';' || filter || ';' LIKE :beam ESCAPE '!'"
    for column, name, sign in (
        ("proposal", "proposal", "="),
        ("observed_at", "begins", ">="),
        ("observed_at", "ends", "<"),
    ):
        if getattr(query, name) is not None:
            parameters[name] = getattr(query, name)
            yield f"{column} {sign} :{name}"
    if query.current:
        yield "is_current = 1"


def _any_of(column: str, values: tuple[str, ...], parameters: dict[str, Any]) -> str:
    alternatives = []
    for number, value in enumerate(values):
        name = f"{column}{number}"
        has_pattern = any(letter in value for letter in "*?")
        parameters[name] = _pattern(value) if has_pattern else value
        test = f"LIKE :{name} ESCAPE '!'" if has_pattern else f"= :{name}"
        alternatives.append(f"{column} {test}")
    return f"({' OR '.join(alternatives)})"


def _pattern(value: str) -> str:
    """Turn ``*`` and ``?`` into SQL's own signs."""
    for letter in "!%_":
        value = value.replace(letter, f"!{letter}")
    return value.replace("*", "%").replace("?", "_")
