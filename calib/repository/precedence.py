"""In which order the products of a registry are looked at for the inputs of a dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from calib.fetch.registered import RegisteredFile
from calib.ledger.holdings import TAG, kind_of, resolve_runs, tagged
from calib.ledger.reports import Rows
from calib.stores.uri import parse_uri

Row = Mapping[str, Any]
Rank = Callable[[Row], int | None]


def rank_of(rows: Rows, source: str) -> Rank:
    """Return how early a product is looked at: its place, None where it does not count.

    Parameters
    ----------
    rows
        Runs a SELECT on the ledger.
    source
        ``archive:``, for which what is current comes first, or ``archive:NAME,NAME...``.

    Raises
    ------
    ConfigError
        A name is neither a run's nor a chain's nor a tag's, or the URI is another one.
    """
    names = [name for name in parse_uri(source).location.split(",") if name]
    if not names:
        return lambda row: 0 if row["is_current"] else 1
    tests: list[Callable[[Row], bool]] = []
    for name in names:
        if kind_of(rows, name) == TAG:
            tests.append(_in_tag(set(tagged(rows, name))))
        else:
            tests += [_in_run(run) for run in resolve_runs(rows, [name])]
    return lambda row: next((place for place, test in enumerate(tests) if test(row)), None)


def _in_tag(numbers: set[int]) -> Callable[[Row], bool]:
    return lambda row: row["id"] in numbers


def _in_run(run: str) -> Callable[[Row], bool]:
    return lambda row: bool(row["run"] == run)


def registered(row: Row) -> RegisteredFile:
    """Return the file of a product."""
    return RegisteredFile(row["uri"], row["run"], row["sha256"], row["size"])
