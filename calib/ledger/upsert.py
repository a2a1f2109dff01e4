"""Rows that may be there already: inserted, or brought up to date, in one statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def upsert(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], key: Sequence[str]
) -> None:
    """Insert rows; those whose key is there take the new values.

    Both databases know ``ON CONFLICT``, but SQLAlchemy has it by dialect.

    Parameters
    ----------
    rows
        All with the same columns; no two with the same key.
    key
        Columns of a unique constraint of the table.
    """
    if not rows:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table)
    others = {name: statement.excluded[name] for name in rows[0] if name not in key}
    connection.execute(
        statement.on_conflict_do_update(index_elements=list(key), set_=others), list(rows)
    )
