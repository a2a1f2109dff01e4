"""Which products a path of collections gives, as a condition on the view ``products``.

Collections are searched in order, as a shell searches PATH: a dataset comes whole from the first
run that holds it, so that products of two runs never mix. A tag holds a dataset where it holds
any product of it, and gives those that it holds. What was pruned is not held.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

from calib.errors import ConfigError
from calib.ledger.holdings import CHAIN, TAG, chain_runs, kind_of
from calib.ledger.reports import Rows

_HOLDING_RUNS = """
(SELECT MIN({place}) FROM publication AS held JOIN run AS holder ON holder.id = held.run_id
 WHERE held.dataset = products.dataset AND held.removed_at IS NULL)
"""
_TAGGED = """
FROM tagged_product JOIN collection AS holder ON holder.id = tagged_product.collection_id
"""
_HOLDING_TAGS = f"""
(SELECT MIN({{place}}) {_TAGGED}
   JOIN product AS held ON held.id = tagged_product.product_id
   JOIN publication AS whole ON whole.id = held.publication_id
 WHERE tagged_product.dataset = products.dataset AND whole.removed_at IS NULL)
"""
_OWN_TAG = f"(SELECT MIN({{place}}) {_TAGGED} WHERE tagged_product.product_id = products.id)"
_OF_TAGS = f"id IN (SELECT tagged_product.product_id {_TAGGED} WHERE holder.name IN ({{names}}))"


def chosen(rows: Rows, names: Iterable[str], parameters: MutableMapping[str, Any]) -> str:
    """Return the condition that a product is what a path of collections gives.

    Parameters
    ----------
    names
        Names of runs, chains and tags.
    parameters
        Filled in.

    Raises
    ------
    ConfigError
        A name is none of these.
    """
    runs, tags = _places(rows, names)
    end = len(runs) + len(tags)
    run_words, tag_words = _words("path", runs, parameters), _words("tag", tags, parameters)
    alternatives = []
    if runs:
        own = _place("run", run_words)
        alternatives.append(f"run IN ({', '.join(run_words)})")
        if end > 1:
            first = _HOLDING_RUNS.format(place=_place("holder.name", run_words))
            before = _before(_HOLDING_TAGS, tag_words, end)
            alternatives[-1] += f" AND {own} = {first} AND {own} < {before}"
    if tags:
        own = _OWN_TAG.format(place=_place("holder.name", tag_words))
        alternatives.append(_OF_TAGS.format(names=", ".join(tag_words)))
        if end > 1:
            first = _HOLDING_TAGS.format(place=_place("holder.name", tag_words))
            before = _before(_HOLDING_RUNS, run_words, end)
            alternatives[-1] += f" AND {own} = {first} AND {own} < {before}"
    return " OR ".join(f"({each})" for each in alternatives) or "1 = 0"


def _places(rows: Rows, names: Iterable[str]) -> tuple[dict[str, int], dict[str, int]]:
    """Return runs and tags with their places in the path; the first place of each counts."""
    path: dict[tuple[str, str], None] = {}
    for name in names:
        kind = kind_of(rows, name)
        if kind not in {"run", CHAIN, TAG}:
            message = "the ledger has no run, chain or tag of this name"
            raise ConfigError(message, found=name if kind is None else f"{name}, a {kind}")
        held = chain_runs(rows, name) if kind == CHAIN else [name]
        path.update({(TAG if kind == TAG else "run", each): None for each in held})
    places = {key: place for place, key in enumerate(path)}
    runs = {name: place for (kind, name), place in places.items() if kind == "run"}
    return runs, {name: place for (kind, name), place in places.items() if kind == TAG}


def _words(
    prefix: str, places: Mapping[str, int], parameters: MutableMapping[str, Any]
) -> dict[str, int]:
    """Return parameters in place of names."""
    parameters.update({f"{prefix}{place}": name for name, place in places.items()})
    return {f":{prefix}{place}": place for place in places.values()}


def _place(column: str, words: Mapping[str, int]) -> str:
    """Return the place of a name in the path, NULL where it has none."""
    cases = " ".join(f"WHEN {word} THEN {place}" for word, place in words.items())
    return f"CASE {column} {cases} END"


def _before(holding: str, words: Mapping[str, int], end: int) -> str:
    """Return the first place among the holders of the other kind, the end where none holds it."""
    if not words:
        return str(end)
    return f"COALESCE({holding.format(place=_place('holder.name', words))}, {end})"
