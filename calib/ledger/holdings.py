"""What collections hold: chains of runs, tagged products.

These are questions (:data:`calib.ledger.reports.Rows`): they need no SQLAlchemy. Collections
are made and changed in :mod:`calib.ledger.collections`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from calib.errors import ConfigError
from calib.ledger.reports import Rows

CHAIN, TAG, CALIBRATION = "chain", "tag", "calibration"


@dataclass(frozen=True)
class Collection:
    """A name for a choice of what exists.

    Attributes
    ----------
    name
        Its name; no run has the same.
    kind
        ``chain`` (ordered runs and chains), ``tag`` (products chosen by hand) or
        ``calibration`` (references with the dates for which they are valid).
    note
        What a person wrote about it.
    created_at, updated_at
        ISO 8601, UTC.
    members
        Of a chain: its runs and chains, in order.
    number
        Members of a chain, products of a tag, reference files of a calibration (each once,
        however many ranges of dates it has).
    """

    name: str
    kind: str
    note: str | None
    created_at: str
    updated_at: str
    members: tuple[str, ...]
    number: int


_COLLECTIONS = """
SELECT collections.name AS name, collections.kind AS kind, collections.note AS note,
  collections.created_at AS created_at, collections.updated_at AS updated_at,
  CASE collections.kind
    WHEN 'chain' THEN (SELECT COUNT(*) FROM chains WHERE chain = collections.name)
    WHEN 'tag' THEN (SELECT COUNT(*) FROM tags WHERE tag = collections.name)
    ELSE (SELECT COUNT(DISTINCT sha1) FROM calibrations WHERE calibration = collections.name)
  END AS number
FROM collections ORDER BY collections.name
"""
_ALL_MEMBERS = "SELECT chain, COALESCE(run, child) AS name FROM chains ORDER BY chain, position"
_MEMBERS = "SELECT run, child FROM chains WHERE chain = :chain ORDER BY position"
_KIND = """
SELECT kind FROM collections WHERE name = :name
UNION ALL SELECT 'run' FROM run WHERE name = :name
"""
_TAGGED = "SELECT product_id FROM tags WHERE tag = :tag ORDER BY dataset, name"


def list_collections(rows: Rows) -> list[Collection]:
    """Return all collections by name."""
    members: dict[str, list[str]] = {}
    for row in rows(_ALL_MEMBERS, {}):
        members.setdefault(row["chain"], []).append(row["name"])
    found = rows(_COLLECTIONS, {})
    return [Collection(**row, members=tuple(members.get(row["name"], ()))) for row in found]


def kind_of(rows: Rows, name: str) -> str | None:
    """Return ``run``, ``chain``, ``tag`` or ``calibration``; None for an unknown name."""
    return next((row["kind"] for row in rows(_KIND, {"name": name})), None)


def chain_members(rows: Rows, chain: str) -> list[str]:
    """Return the runs and chains of a chain in order, as it was defined.

    Raises
    ------
    ConfigError
        There is no such chain.
    """
    _check_kind(rows, chain, {CHAIN})
    return [row["run"] or row["child"] for row in rows(_MEMBERS, {"chain": chain})]


def chain_runs(rows: Rows, chain: str) -> list[str]:
    """Return the runs of a chain and of the chains in it, in order.

    A run that comes more than once counts where it comes first.

    Raises
    ------
    ConfigError
        There is no such chain.
    """
    _check_kind(rows, chain, {CHAIN})
    return list(_flattened(rows, chain, set()))


def resolve_runs(rows: Rows, names: Iterable[str]) -> list[str]:
    """Return the runs that names of runs and chains stand for, in order, each once.

    Raises
    ------
    ConfigError
        A name is neither a run's nor a chain's.
    """
    runs: dict[str, None] = {}
    for name in names:
        if _check_kind(rows, name, {CHAIN, "run"}) == "run":
            runs[name] = None
        else:
            runs.update(_flattened(rows, name, set()))
    return list(runs)


def tagged(rows: Rows, tag: str) -> list[int]:
    """Return the numbers of the products of a tag, by dataset and name.

    Raises
    ------
    ConfigError
        There is no such tag.
    """
    _check_kind(rows, tag, {TAG})
    return [row["product_id"] for row in rows(_TAGGED, {"tag": tag})]


def _flattened(rows: Rows, chain: str, seen: set[str]) -> dict[str, None]:
    """Return the runs below a chain; one that was seen before has nothing to add."""
    runs: dict[str, None] = {}
    if chain not in seen:
        seen.add(chain)
        for row in rows(_MEMBERS, {"chain": chain}):
            runs.update({row["run"]: None} if row["run"] else _flattened(rows, row["child"], seen))
    return runs


def _check_kind(rows: Rows, name: str, wanted: set[str]) -> str:
    kind = kind_of(rows, name)
    if kind is None or kind not in wanted:
        message = f"the ledger has no {' or '.join(sorted(wanted))} of this name"
        raise ConfigError(message, found=name if kind is None else f"{name}, a {kind}")
    return kind
