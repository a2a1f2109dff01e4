"""Collections: chains of runs and tags of products, as functions on one transaction.

A chain is an ordered list of runs and chains, in which a dataset is looked for in the first
run that has it. A tag holds products that were chosen by hand. Runs and collections share one
name space, so that a name alone says what is meant.

The questions about collections are in :mod:`calib.ledger.holdings`, which needs no SQLAlchemy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from sqlalchemy import Connection, Row, delete, insert, select, update

from calib.errors import ConfigError
from calib.ledger.holdings import CHAIN, TAG, chain_members, kind_of, resolve_runs
from calib.ledger.jobs import insert_once
from calib.ledger.names import check_collection_name_free
from calib.ledger.reports import Rows
from calib.ledger.rows import rows_of
from calib.ledger.schema import chain_member as chain_rows
from calib.ledger.schema import collection as collections
from calib.ledger.schema import product as products
from calib.ledger.schema import publication as publications
from calib.ledger.schema import run as runs
from calib.ledger.schema import tagged_product as tagged_products
from calib.ledger.schema import validity as validities
from calib.records import utc_now

# Numbers in one IN (...): SQLite takes 32766 parameters, PostgreSQL 65535.
_AT_ONCE = 10_000


def ensure_collection(
    connection: Connection, name: str, kind: str, *, note: str | None = None
) -> int:
    """Return the number of a collection, made if it is new.

    Parameters
    ----------
    kind
        ``chain``, ``tag`` or ``calibration``.
    note
        A word about it for people; None keeps that of before.

    Raises
    ------
    ConfigError
        The name cannot be a collection's, a run has it, or a collection of another kind.
    """
    if _find(connection, name) is None:
        check_collection_name_free(connection, name)
    now = utc_now()
    values = {"kind": kind, "note": note, "created_at": now, "updated_at": now}
    found = insert_once(connection, collections, {"name": name}, values)
    if found.kind != kind:
        message = f"a {found.kind} has this name: a {kind} needs another"
        raise ConfigError(message, found=name)
    if note not in {None, found.note}:
        _update(connection, found.id, {"note": note})
    return int(found.id)


def define_chain(
    connection: Connection,
    name: str,
    members: Sequence[str],
    *,
    flatten: bool = False,
    note: str | None = None,
) -> None:
    """Make a chain, or give one other members.

    Parameters
    ----------
    members
        Names of runs and chains, those to be looked at first in front.
    flatten
        Keep the runs that the chains in it hold now, not the chains themselves.
    note
        A word about it for people; None keeps that of before.

    Raises
    ------
    ConfigError
        A member is unknown, is not a run or chain, comes twice, or holds the chain itself; or
        the name of the chain is not free. Nothing was written.
    """
    number = ensure_collection(connection, name, CHAIN, note=note)
    _lock_chains(connection)
    _set_members(connection, number, name, members, flatten=flatten)


def extend_chain(
    connection: Connection,
    name: str,
    members: Sequence[str],
    *,
    where: Literal["front", "back"] = "front",
    flatten: bool = False,
) -> None:
    """Put runs and chains, in their order, in front of a chain or behind it.

    A member that the chain has already moves to its new place, so that the same again changes
    nothing.

    Parameters
    ----------
    members
        Names of runs and chains; none leaves the order as it is.
    flatten
        Keep the runs that the chains in it hold now, not the chains themselves.

    Raises
    ------
    ConfigError
        There is no such chain, or a member cannot be in it: see :func:`define_chain`.
    """
    _lock_chains(connection)
    number = _number_of(connection, name, CHAIN)
    others = [each for each in chain_members(rows_of(connection), name) if each not in members]
    whole = [*members, *others] if where == "front" else [*others, *members]
    _set_members(connection, number, name, whole, flatten=flatten)


def replace_in_chain(connection: Connection, chain: str, old_run: str | None, new_run: str) -> None:
    """Put a run into the place of another one.

    Where the new run is in the chain and the old one is not, nothing changes: it was done
    before.

    Parameters
    ----------
    old_run
        The run that leaves the chain. With None the new one comes in front; a chain that does
        not exist is made.

    Raises
    ------
    ConfigError
        The old run is not in the chain itself (one that is in a chain within it is replaced
        there), or the new one cannot be.
    """
    if old_run is None:
        ensure_collection(connection, chain, CHAIN)
        extend_chain(connection, chain, [new_run])
        return
    _lock_chains(connection)
    number = _number_of(connection, chain, CHAIN)
    before = chain_members(rows_of(connection), chain)
    if old_run in before:
        others = [each for each in before if each != new_run or each == old_run]
        after = [new_run if each == old_run else each for each in others]
        _set_members(connection, number, chain, after)
    elif new_run not in before:
        message = f"chain {chain} does not hold the run that is to be replaced"
        raise ConfigError(message, expected=before, found=old_run)


def remove_collection(connection: Connection, name: str) -> None:
    """Forget a collection; the runs, products and references that it names stay.

    Raises
    ------
    ConfigError
        There is none of this name, or a chain holds it.
    """
    _lock_chains(connection)
    found = _row_of(connection, name)
    above = select(collections.c.name).join(
        chain_rows, chain_rows.c.collection_id == collections.c.id
    )
    holders = connection.scalars(above.where(chain_rows.c.child_id == found.id)).all()
    if holders:
        message = f"{', '.join(holders)} holds this chain: redefine that first"
        raise ConfigError(message, found=name)
    for table in (chain_rows, tagged_products, validities):
        connection.execute(delete(table).where(table.c.collection_id == found.id))
    connection.execute(delete(collections).where(collections.c.id == found.id))


def tag_products(connection: Connection, tag: str, product_ids: Iterable[int]) -> int:
    """Put products into a tag, which is made if it is new.

    Returns
    -------
    int
        How many were not in it before.

    Raises
    ------
    ConfigError
        A product does not exist or was pruned, or the tag has another product of this dataset
        and name: untag that first. Nothing was written.
    """
    number = ensure_collection(connection, tag, TAG)
    _lock(connection, collections.c.id == number)
    wanted = _products(connection, product_ids)
    there = _tagged_by_name(connection, number)
    new: dict[tuple[str, str], int] = {}
    for row in wanted:
        key = (row.dataset, row.name)
        before = there.get(key, new.get(key))
        if before is None:
            new[key] = row.id
        elif before != row.id:
            message = f"tag {tag} holds this product of another run: untag that first"
            raise ConfigError(message, dataset=row.dataset, path=row.name)
    _insert_tagged(connection, number, new)
    return len(new)


def untag_products(connection: Connection, tag: str, product_ids: Iterable[int]) -> int:
    """Take products out of a tag, and return how many were in it.

    Raises
    ------
    ConfigError
        There is no such tag.
    """
    number = _number_of(connection, tag, TAG)
    removed = 0
    mine = tagged_products.c.collection_id == number
    for some in _portions(product_ids):
        query = delete(tagged_products).where(mine, tagged_products.c.product_id.in_(some))
        removed += connection.execute(query).rowcount
    if removed:
        _update(connection, number, {})
    return removed


def _set_members(
    connection: Connection,
    number: int,
    name: str,
    members: Sequence[str],
    *,
    flatten: bool = False,
) -> None:
    """Write the members of a locked chain, in place of those of before."""
    rows = rows_of(connection)
    _check_members(rows, name, members)
    names = resolve_runs(rows, members) if flatten else members
    connection.execute(delete(chain_rows).where(chain_rows.c.collection_id == number))
    ids = [_member_ids(connection, member) for member in names]
    if ids:
        places = ({"collection_id": number, "position": n, **each} for n, each in enumerate(ids))
        connection.execute(insert(chain_rows), list(places))
    _update(connection, number, {})


def _check_members(rows: Rows, chain: str, members: Sequence[str]) -> None:
    twice = sorted({name for name in members if members.count(name) > 1})
    if twice:
        message = f"chain {chain} would hold a run or chain twice"
        raise ConfigError(message, found=", ".join(twice))
    resolve_runs(rows, members)  # refuses what is neither a run nor a chain
    for member in members:
        if member == chain or chain in _chains_below(rows, member, set()):
            message = f"chain {chain} would hold itself"
            raise ConfigError(message, found=member)


def _chains_below(rows: Rows, name: str, seen: set[str]) -> set[str]:
    if name not in seen and kind_of(rows, name) == CHAIN:
        seen.add(name)
        for member in chain_members(rows, name):
            _chains_below(rows, member, seen)
    return seen


def _member_ids(connection: Connection, name: str) -> dict[str, int | None]:
    run_id = connection.scalar(select(runs.c.id).where(runs.c.name == name))
    child = None if run_id is not None else _number_of(connection, name, CHAIN)
    return {"run_id": run_id, "child_id": child}


def _lock_chains(connection: Connection) -> None:
    """Keep others from changing any chain: two at once could make a circle of chains."""
    _lock(connection, collections.c.kind == CHAIN)


def _lock(connection: Connection, which: Any) -> None:
    connection.execute(select(collections.c.id).where(which).order_by("id").with_for_update())


def _find(connection: Connection, name: str) -> Row[Any] | None:
    return connection.execute(select(collections).where(collections.c.name == name)).one_or_none()


def _row_of(connection: Connection, name: str) -> Row[Any]:
    found = _find(connection, name)
    if found is None:
        message = "the ledger has no collection of this name"
        raise ConfigError(message, found=name)
    return found


def _number_of(connection: Connection, name: str, kind: str) -> int:
    found = _row_of(connection, name)
    if found.kind != kind:
        message = f"the ledger has no {kind} of this name"
        raise ConfigError(message, found=f"{name}, a {found.kind}")
    return int(found.id)


def _update(connection: Connection, number: int, values: Mapping[str, Any]) -> None:
    row = update(collections).where(collections.c.id == number)
    connection.execute(row.values({**values, "updated_at": utc_now()}))


def _products(connection: Connection, product_ids: Iterable[int]) -> list[Row[Any]]:
    """Return number, dataset and name of products.

    Raises
    ------
    ConfigError
        One of them does not exist, or was pruned.
    """
    wanted = list(dict.fromkeys(product_ids))
    query = select(products.c.id, publications.c.dataset, products.c.name).join(publications)
    query = query.where(publications.c.removed_at.is_(None)).order_by(products.c.id)
    found = [
        row
        for some in _portions(wanted)
        for row in connection.execute(query.where(products.c.id.in_(some)))
    ]
    if missing := sorted(set(wanted) - {row.id for row in found}):
        message = "the ledger has no such product"
        raise ConfigError(message, found=f"product {missing[0]}")
    return found


def _tagged_by_name(connection: Connection, number: int) -> dict[tuple[str, str], int]:
    query = select(tagged_products).where(tagged_products.c.collection_id == number)
    return {(row.dataset, row.name): row.product_id for row in connection.execute(query)}


def _insert_tagged(connection: Connection, number: int, new: Mapping[tuple[str, str], int]) -> None:
    rows = [
        {"collection_id": number, "product_id": product, "dataset": dataset, "name": name}
        for (dataset, name), product in new.items()
    ]
    if rows:
        connection.execute(insert(tagged_products), rows)
        _update(connection, number, {})


def _portions(numbers: Iterable[int]) -> list[list[int]]:
    every = list(numbers)
    return [every[start : start + _AT_ONCE] for start in range(0, len(every), _AT_ONCE)]
