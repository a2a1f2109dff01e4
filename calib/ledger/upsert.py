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
    statement = _dialect(connection).insert(table)
    others = {name: statement.excluded[name] for name in rows[0] if name not in key}
    connection.execute(
        statement.on_conflict_do_update(index_elements=list(key), set_=others), list(rows)
    )


def insert_absent(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], key: Sequence[str]
) -> None:
    """Insert rows; those whose key is there stay as they are.

    Parameters
    ----------
    rows
        All with the same columns.
    key
        Columns of a unique constraint of the table.
    """
    if rows:
        statement = _dialect(connection).insert(table)
        connection.execute(statement.on_conflict_do_nothing(index_elements=list(key)), list(rows))


def _dialect(connection: Connection) -> Any:
    return postgresql if connection.dialect.name == "postgresql" else sqlite
