"""Questions of :mod:`calib.ledger.reports` on a transaction that also writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, text

from calib.ledger.reports import Rows


def rows_of(connection: Connection) -> Rows:
    """Return a function that runs a SELECT in the transaction of a connection."""

    def rows(query: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [dict(row) for row in connection.execute(text(query), parameters).mappings()]

    return rows
