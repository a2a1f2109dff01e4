"""Questions of :mod:`calib.ledger.reports` on a transaction that also writes, or on many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from calib.ledger.reports import Rows

if TYPE_CHECKING:
    from calib.ledger.ledger import Ledger


def rows_of(connection: Connection) -> Rows:
    """Return a function that runs a SELECT in the transaction of a connection."""

    def rows(query: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [dict(row) for row in connection.execute(text(query), parameters).mappings()]

    return rows


def short_reads(ledger: Ledger) -> Rows:
    """Return a function that runs each SELECT in a transaction of its own.

    For what takes long between two questions (comparing a million headers, asking MAST): a
    transaction that stays open keeps the database from cleaning up. The answers are not of one
    state, so nobody who adds up what several of them say may use it.
    """

    def rows(query: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        return ledger.ask(lambda one: one(query, parameters))

    return rows
