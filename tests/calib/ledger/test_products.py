"""Finding products by any part of what they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, event, text, update

from calib.errors import ConfigError
from calib.ids import parse_dataset
from calib.ledger import schema
from calib.ledger.collections import define_chain, ensure_collection, tag_products
from calib.ledger.ledger import Ledger
from calib.ledger.products import ProductQuery, count_products, find_products, find_runs
from calib.ledger.publications import (
    Published,
    PublishedFile,
    record_data_ids,
    record_members,
    record_publications,
)
from calib.ledger.registry import ensure_run
from calib.ledger.reports import Rows
from calib.ledger.views import create_views
from calib.records import DataId, Member

RUN = {"context": "c", "engine": "e", "engine_version": "1", "output": "file:/o"}
THEN = "2026-01-01T00:00:00"


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    """Return a ledger with two exposures, one of them in two runs."""
    found = [
        published("r1", "j8bt05njq"),
        published("r2", "j8bt05njq"),
        published("r1", "jbxx01abq"),
    ]
    hrc = DataId("j8bt05njq", "acs", "8bt", "05", "HRC", "F606W", 9025, "M_31", THEN)
    wfc = DataId("jbxx01abq", "acs", "bxx", "01", "WFC", "F814W;POL0V", 12345, "M31", "2027")
    for run in ("r1", "r2"):
        ledger.ensure_run(run, parameters={}, **RUN)
    ledger.write(lambda c: (record_publications(c, found), record_data_ids(c, [hrc, wfc])))
    members = [Member("J8BT05NJQ", "EXP-CRJ", present=True)]
    ledger.write(lambda c: record_members(c, "j8bt05010", members))
    ledger.write(lambda c: define_chain(c, "newest", ["r2", "r1"]))
    raw = ProductQuery(runs=("r1",), names=("j8bt05njq_raw.fits",))
    (one,) = ledger.ask(lambda rows: find_products(rows, raw))
    ledger.write(lambda c: tag_products(c, "chosen", [one.id]))
    return ledger


def published(run: str, dataset: str) -> Published:
    """Return a publication of a raw and a flt."""
    files = tuple(
        PublishedFile(f"{dataset}_{kind}.fits", kind, dataset, None, 1) for kind in ("raw", "flt")
    )
    return Published(run, dataset, f"file:///o/{run}/{dataset}", files, THEN)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, 6),
        ({"types": ("flt",)}, 3),
        ({"types": ("flt", "raw"), "runs": ("r2",)}, 2),
        ({"datasets": ("j8bt*",)}, 4),
        ({"names": ("*_fl?.fits",)}, 3),
        ({"detector": "WFC"}, 2),
        ({"filter": "POL0V"}, 2),
        ({"filter": "F606W", "types": ("raw",)}, 2),
        ({"target": "M_31"}, 4),
        ({"target": "M_*"}, 4),
        ({"proposal": 12345}, 2),
        ({"program": "8bt", "visit": "05"}, 4),
        ({"begins": "2026", "ends": "2027"}, 4),
        ({"begins": "2027"}, 2),
        ({"rootnames": ("nobody",)}, 0),
        ({"limit": 2}, 2),
        ({"current": True}, 0),
        ({"instrument": "ACS", "detector": "wfc", "filter": "pol0v"}, 2),
        ({"target": "m_31"}, 4),
        ({"filter": "F8*"}, 2),
        ({"filter": "F8"}, 0),
        ({"names": ("J8BT05NJQ_fl?.fits",)}, 2),
        ({"words": ("J8BT05NJQ",)}, 4),
        ({"words": ("jbxx01abq_raw.fits", "nobody")}, 1),
        ({"words": ("*_raw.fits", "jbx*")}, 4),
        ({"datasets": ("j8bt05njq", *(f"n{n}" for n in range(2000)))}, 4),
        ({"collections": ("r2",)}, 2),
        ({"collections": ("r2", "r1")}, 4),
        ({"collections": ("newest",), "types": ("flt",)}, 2),
        ({"collections": ("newest",), "runs": ("r1",)}, 2),
        ({"collections": ("chosen",)}, 1),
        ({"collections": ("chosen", "newest")}, 3),
        ({"collections": ("newest", "chosen")}, 4),
        ({"association": "J8BT05010"}, 4),
        ({"association": "jbxx01abq"}, 2),
    ],
)
def test_products_by_what_they_are(filled: Ledger, asked: dict[str, Any], expected: int) -> None:
    """Fields hold together, values of a field are alternatives; _ is no wild card."""
    found = filled.ask(lambda rows: find_products(rows, ProductQuery(**asked)))
    assert len(found) == expected
    amounts = filled.ask(lambda rows: count_products(rows, ProductQuery(**asked)))
    if "limit" not in asked:
        assert sum(each.products for each in amounts.values()) == expected


def test_dataset_comes_whole_from_one_run(filled: Ledger) -> None:
    """A chain never mixes the products of two runs, whatever else is asked."""
    query = ProductQuery(collections=("newest",), datasets=("j8bt05njq",))
    assert {each.run for each in filled.ask(lambda rows: find_products(rows, query))} == {"r2"}
    raw = replace(query, names=("*_raw.fits",), runs=("r1",))
    assert filled.ask(lambda rows: find_products(rows, raw)) == []


def test_pruned_dataset_is_not_held(filled: Ledger) -> None:
    """A chain goes on to the next run where the first was pruned; so does a path with a tag."""
    pruned = update(schema.publication).where(schema.publication.c.run_id == 2)
    filled.write(lambda c: c.execute(pruned.values(removed_at="2026")))
    query = ProductQuery(collections=("newest",), datasets=("j8bt05njq",))
    assert {each.run for each in filled.ask(lambda rows: find_products(rows, query))} == {"r1"}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"collections": ("nobody",)}, "no run, chain or tag"),
        ({"collections": ("mine",)}, "mine, a calibration"),
        ({"names": tuple(f"n{n}" for n in range(30_001))}, "too many values"),
        ({"names": tuple(f"*{n}" for n in range(501))}, "too many values"),
    ],
)
def test_questions_that_cannot_be(filled: Ledger, asked: dict[str, Any], message: str) -> None:
    """A collection that is none, and more than a database takes, are refused."""
    filled.write(lambda c: ensure_collection(c, "mine", "calibration"))
    with pytest.raises(ConfigError, match=message):
        filled.ask(lambda rows: find_products(rows, ProductQuery(**asked)))


def test_hostile_text_is_only_text(filled: Ledger) -> None:
    """What looks like SQL is compared, not run."""
    for word in ("' OR 1=1 --", "%", "_", "!", ":run0", "'; DROP TABLE product; --"):
        for field in ("words", "names", "datasets"):
            query = ProductQuery(**{field: (word,)})
            assert filled.ask(lambda rows, query=query: find_products(rows, query)) == []
        query = ProductQuery(target=word, filter=word)
        assert filled.ask(lambda rows, query=query: find_products(rows, query)) == []
    assert len(filled.ask(lambda rows: find_products(rows, ProductQuery()))) == 6


def test_runs(filled: Ledger) -> None:
    """Runs come with what they hold and how much of it is current, by name, kind and context."""
    filled.set_current(parse_dataset("j8bt05njq"), "r2")
    first, second = filled.ask(find_runs)
    assert (first.datasets, first.products, first.bytes, first.current_datasets) == (2, 4, 4, 0)
    assert (second.run, second.current_datasets, second.parameters) == ("r2", 1, {})
    for asked, number in (
        ({"names": ("r*",)}, 2),
        ({"names": ("r2", "x")}, 1),
        ({"kind": "ingested"}, 0),
        ({"context": "C*"}, 2),
    ):
        assert len(filled.ask(lambda rows, asked=asked: find_runs(rows, **asked))) == number


@pytest.mark.parametrize(
    "asked",
    [
        {"program": "8bt", "visit": "05"},
        {"begins": "2026", "ends": "2027"},
        {"words": ("j8bt05njq",)},
        {"sha256": "0" * 64},
        {"proposal": 1},
        {"association": "j8bt05010"},
        {"program": "8bt", "visit": "05", "collections": ("chosen", "newest")},
    ],
)
def test_few_products_are_found_by_index(filled: Ledger, asked: dict[str, Any]) -> None:
    """SQLite reads no whole table of products where few can be meant."""
    if filled.url.startswith("postgresql"):
        pytest.skip("the planner of PostgreSQL reads small tables whole")
    plans: list[str] = []

    def explain(rows: Rows) -> None:
        def explained(query: str, parameters: Any) -> list[dict[str, Any]]:
            if " products WHERE" not in query:
                return rows(query, parameters)
            found = rows(f"EXPLAIN QUERY PLAN {query}", parameters)
            plans.extend(str(row["detail"]) for row in found)
            return []

        find_products(explained, ProductQuery(**asked))

    filled.ask(explain)
    assert plans
    tables = ("product", "publication", "held", "tagged_product", "data_id")
    assert not [plan for plan in plans if plan in {f"SCAN {table}" for table in tables}]


# For every dataset and place of a path: the run (number) and tagged files of it.
_WORLDS = st.lists(
    st.lists(st.sets(st.sampled_from("ab"), max_size=2), min_size=4, max_size=4),
    min_size=1,
    max_size=3,
)


@settings(max_examples=25)
@given(held=_WORLDS, path=st.permutations(["r0", "r1", "tag", "r2"]), data=st.data())
def test_path_is_that_of_a_plain_model(
    held: list[list[set[str]]], path: list[str], data: st.DataObject
) -> None:
    """For each dataset the first holder in the path gives what it has of it."""
    path = path[: data.draw(st.integers(1, 4))]
    engine = create_engine("sqlite://")
    event.listen(engine, "connect", lambda c, _: c.execute("PRAGMA foreign_keys=ON"))
    expected = set()
    with engine.begin() as connection:
        schema.metadata.create_all(connection)
        create_views(connection)
        for run in ("r0", "r1", "r2"):
            ensure_run(connection, run, {**RUN, "parameters": {}})
        define_chain(connection, "inner", ["r1"])
        ensure_collection(connection, "tag", "tag")
        for number, places in enumerate(held):
            dataset = f"d{number}"
            holders: dict[str, set[int]] = {}
            for run, names in zip(("r0", "r1", "r2"), places, strict=False):
                numbers = _publish(connection, run, dataset, sorted(names))
                if numbers:
                    holders[run] = set(numbers.values())
                chosen = {name: numbers[name] for name in places[3] & numbers.keys()}
                if "tag" not in holders and chosen:
                    tag_products(connection, "tag", chosen.values())
                    holders["tag"] = set(chosen.values())
            expected |= next((holders[place] for place in path if place in holders), set())
        names = tuple("inner" if place == "r1" else place for place in path)

        def rows(query: str, parameters: Any) -> list[dict[str, Any]]:
            return [dict(row) for row in connection.execute(text(query), parameters).mappings()]

        found = find_products(rows, ProductQuery(collections=names))
    assert {each.id for each in found} == expected
    assert len(found) == len(expected)
    engine.dispose()


def _publish(connection: Connection, run: str, dataset: str, names: list[str]) -> dict[str, int]:
    """Publish files, and return their numbers."""
    if not names:
        return {}
    files = tuple(PublishedFile(name, "flt", dataset, None, 1) for name in names)
    record_publications(connection, [Published(run, dataset, "file:/o", files, THEN)])
    query = "SELECT name, id FROM products WHERE run = :run AND dataset = :dataset"
    found = connection.execute(text(query), {"run": run, "dataset": dataset})
    return {row.name: row.id for row in found}
