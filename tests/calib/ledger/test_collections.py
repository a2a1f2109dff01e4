"""Chains and tags: what they hold, in which order, and what they refuse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calib.errors import ConfigError
from calib.ids import parse_dataset
from calib.ledger.collections import (
    define_chain,
    ensure_collection,
    extend_chain,
    remove_collection,
    replace_in_chain,
    tag_products,
    untag_products,
)
from calib.ledger.holdings import (
    chain_members,
    chain_runs,
    list_collections,
    resolve_runs,
    tagged,
)
from calib.ledger.ledger import Ledger
from calib.ledger.publications import Published, PublishedFile, record_publications

RUN: dict[str, Any] = {
    "context": "c",
    "engine": "e",
    "engine_version": "1",
    "parameters": {},
    "output": "file:/o",
}
RUNS = ("r1", "r2", "r3")


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    """Return a ledger with a dataset in three runs: products 1, 2 and 3."""
    for run in RUNS:
        ledger.ensure_run(run, **RUN)
        flt = PublishedFile("j8bt05njq_flt.fits", "flt", "j8bt05njq", None, 1)
        found = Published(run, "j8bt05njq", "file:/o", (flt,), "2026")
        ledger.write(lambda c, found=found: record_publications(c, [found]))
    return ledger


def define(ledger: Ledger, name: str, *members: str, **options: Any) -> None:
    """Define a chain."""
    ledger.write(lambda c: define_chain(c, name, members, **options))


def held(ledger: Ledger, name: str) -> list[str]:
    """Return the runs of a chain."""
    return ledger.ask(lambda rows: chain_runs(rows, name))


def members_of(ledger: Ledger, name: str) -> list[str]:
    """Return what a chain was defined with."""
    return ledger.ask(lambda rows: chain_members(rows, name))


def test_chain_keeps_its_order_and_is_flattened(filled: Ledger) -> None:
    """Runs come in the order of the chain; the chains in it give theirs in their place."""
    define(filled, "inner", "r3", "r1")
    define(filled, "outer", "r2", "inner", "r3")
    assert held(filled, "outer") == ["r2", "r3", "r1"]
    assert members_of(filled, "outer") == ["r2", "inner", "r3"]
    assert filled.ask(lambda rows: resolve_runs(rows, ["r1", "outer"])) == ["r1", "r2", "r3"]


def test_redefined_chain_is_seen_by_those_above(filled: Ledger) -> None:
    """A chain within another follows its definition; a flattened one keeps what it held."""
    define(filled, "inner", "r1")
    define(filled, "follows", "inner", "r3")
    define(filled, "keeps", "inner", "r3", flatten=True)
    define(filled, "inner", "r2", note="better")
    assert (held(filled, "follows"), held(filled, "keeps")) == (["r2", "r3"], ["r1", "r3"])
    assert members_of(filled, "keeps") == ["r1", "r3"]
    found = {each.name: each for each in filled.ask(list_collections)}
    assert (found["inner"].note, found["inner"].number) == ("better", 1)
    assert found["follows"].members == ("inner", "r3")


@pytest.mark.parametrize(
    ("name", "members", "message"),
    [
        ("new", ["r9"], "no chain or run"),
        ("new", ["new"], "would hold itself"),
        ("new", ["r1", "r1"], "twice"),
        ("r1", ["r2"], "a run has this name"),
        ("planned", ["r2"], "a run has this name"),
        ("chosen", ["r2"], "a tag has this name"),
        ("new", ["chosen"], "chosen, a tag"),
        ("chain", ["top"], "would hold itself"),
        ("chain", ["chain"], "would hold itself"),
        ("A/b", ["r1"], "not a name for a collection"),
        ("", ["r1"], "not a name for a collection"),
        ("x" * 101, ["r1"], "not a name for a collection"),
    ],
)
def test_what_a_chain_refuses(filled: Ledger, name: str, members: list[str], message: str) -> None:
    """A chain that cannot be is refused, and nothing of it is written."""
    filled.submit("adhoc", parse_dataset("j8bt05njq"), "planned", context="c")
    define(filled, "chain", "r1")
    define(filled, "top", "chain")
    filled.write(lambda c: tag_products(c, "chosen", [1]))
    before = filled.ask(list_collections)
    with pytest.raises(ConfigError, match=message):
        define(filled, name, *members)
    assert filled.ask(list_collections) == before


def test_run_cannot_take_the_name_of_a_collection(filled: Ledger) -> None:
    """Runs and collections share one name space: neither a job nor a run takes a chain's."""
    define(filled, "best", "r1")
    with pytest.raises(ConfigError, match=r"a chain has this name.*best"):
        filled.ensure_run("best", **RUN)
    with pytest.raises(ConfigError, match=r"a chain has this name.*best"):
        filled.submit("adhoc", parse_dataset("j8bt05njq"), "best", context="c")


def test_extended_chain(filled: Ledger) -> None:
    """What is put in front or behind moves there, and the same again changes nothing."""
    define(filled, "chain", "r1", "r2")
    for _ in range(2):
        filled.write(lambda c: extend_chain(c, "chain", ["r3", "r2"]))
        assert held(filled, "chain") == ["r3", "r2", "r1"]
    filled.write(lambda c: extend_chain(c, "chain", ["r3"], where="back"))
    assert held(filled, "chain") == ["r2", "r1", "r3"]
    with pytest.raises(ConfigError, match="no collection of this name"):
        filled.write(lambda c: extend_chain(c, "chian", ["r3"]))


def test_extended_and_flattened_chain(filled: Ledger) -> None:
    """Runs take the place of the chains in it, each once; they stay what they were then."""
    define(filled, "inner", "r1", "r2")
    define(filled, "chain", "r1", "inner")
    filled.write(lambda c: extend_chain(c, "chain", ["r3"], flatten=True))
    define(filled, "inner", "r3")
    assert filled.ask(lambda rows: chain_members(rows, "chain")) == ["r3", "r1", "r2"]
    filled.write(lambda c: extend_chain(c, "chain", ["inner"], where="back"))
    filled.write(lambda c: extend_chain(c, "chain", [], flatten=True))
    assert filled.ask(lambda rows: chain_members(rows, "chain")) == ["r3", "r1", "r2"]


@pytest.mark.parametrize(
    ("before", "old", "after"),
    [
        (["r1", "r2"], "r1", ["r3", "r2"]),
        (["r1", "r2"], "r2", ["r1", "r3"]),
        (["r1", "r2"], None, ["r3", "r1", "r2"]),
        (["r3", "r2"], "r1", ["r3", "r2"]),
        (["r1", "r2", "r3"], "r1", ["r3", "r2"]),
        (["r3"], "r3", ["r3"]),
    ],
)
def test_replaced_run(filled: Ledger, before: list[str], old: str | None, after: list[str]) -> None:
    """The new run has the place of the old one; done twice it is the same."""
    define(filled, "chain", *before)
    for _ in range(2):
        filled.write(lambda c: replace_in_chain(c, "chain", old, "r3"))
        assert held(filled, "chain") == after


def test_replacing_what_is_not_there(filled: Ledger) -> None:
    """A run of a chain within is refused; a chain that is not there is made for a first run."""
    define(filled, "inner", "r1")
    define(filled, "outer", "inner")
    with pytest.raises(ConfigError, match="does not hold"):
        filled.write(lambda c: replace_in_chain(c, "outer", "r1", "r2"))
    filled.write(lambda c: replace_in_chain(c, "fresh", None, "r2"))
    assert held(filled, "fresh") == ["r2"]


def test_removed_collection(filled: Ledger) -> None:
    """A collection goes with all that it named, but not from under a chain."""
    define(filled, "inner", "r1")
    define(filled, "outer", "inner")
    filled.write(lambda c: tag_products(c, "chosen", [1]))
    with pytest.raises(ConfigError, match=r"outer holds this chain.*inner"):
        filled.write(lambda c: remove_collection(c, "inner"))
    for name in ("outer", "inner", "chosen"):
        filled.write(lambda c, name=name: remove_collection(c, name))
    assert filled.ask(list_collections) == []
    with pytest.raises(ConfigError, match="no chain of this name"):
        held(filled, "inner")


def test_tag_holds_one_product_under_a_name(filled: Ledger) -> None:
    """The same again changes nothing, the product of another run is refused until untagged."""

    def put(*numbers: int) -> int:
        return filled.write(lambda c: tag_products(c, "chosen", numbers))

    assert (put(1, 1), put(1)) == (1, 0)
    with pytest.raises(ConfigError, match=r"untag that first.*j8bt05njq"):
        put(2)
    with pytest.raises(ConfigError, match=r"no such product.*99"):
        put(99)
    assert filled.write(lambda c: untag_products(c, "chosen", [1, 2])) == 1
    assert put(2) == 1
    assert filled.ask(lambda rows: tagged(rows, "chosen")) == [2]


def test_two_products_of_one_name_at_once(filled: Ledger) -> None:
    """Two versions of a product cannot come into a tag together; the tag is not made."""
    with pytest.raises(ConfigError, match="untag that first"):
        filled.write(lambda c: tag_products(c, "chosen", [1, 2]))
    assert filled.ask(list_collections) == []


def test_calibration_is_a_collection(filled: Ledger) -> None:
    """A collection is made once; it is not a chain."""
    make = [
        filled.write(lambda c: ensure_collection(c, "mine", "calibration", note="n"))
        for _ in range(2)
    ]
    assert make[0] == make[1]
    (found,) = filled.ask(list_collections)
    assert (found.kind, found.note, found.number) == ("calibration", "n", 0)
    with pytest.raises(ConfigError, match="a calibration has this name"):
        define(filled, "mine", "r1")


# Members of chain n: runs 0 to 4, or chains made before it.
_PLANS = st.lists(st.lists(st.integers(0, 9), unique=True, max_size=5), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(plan=_PLANS)
def test_flattening_is_that_of_a_plain_model(plan: list[list[int]]) -> None:
    """No run is repeated, and runs come in the order of a walk through the chains."""
    tree: dict[str, list[str]] = {}
    for number, members in enumerate(plan):
        names = [f"r{m}" if m < 5 else f"c{m - 5}" for m in members]
        tree[f"c{number}"] = [each for each in names if each[0] == "r" or each in tree]

    def walk(name: str) -> Iterator[str]:
        if name not in tree:
            yield name
        for member in tree.get(name, ()):
            yield from walk(member)

    def rows(query: str, parameters: Any) -> list[dict[str, Any]]:
        if "kind" in query:
            return [{"kind": "chain" if parameters["name"] in tree else "run"}]
        found = [(n, None) if n[0] == "r" else (None, n) for n in tree[parameters["chain"]]]
        return [{"run": run, "child": child} for run, child in found]

    for chain in tree:
        assert chain_runs(rows, chain) == list(dict.fromkeys(walk(chain)))
