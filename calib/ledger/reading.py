"""Reads a ledger without changing or making anything, and without SQLAlchemy for SQLite.

``hstflow status`` has half a second for everything; importing SQLAlchemy takes half of that.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from calib.errors import ConfigError
from calib.ledger.location import as_url, hide_credentials, sqlite_file
from calib.ledger.reports import Rows
from calib.ledger.revision import REVISION, VERSION_QUERY, VERSION_TABLE, refuse_newer

TABLES = "SELECT name FROM sqlite_master WHERE type = 'table'"


@contextmanager
def open_reader(url: str) -> Iterator[Rows | None]:
    """Give a function that runs a SELECT on the ledger, on one state of it.

    Parameters
    ----------
    url
        URL of the ledger, or the path of a SQLite file.

    Yields
    ------
    callable or None
        What the functions of :mod:`calib.ledger.reports` take; None where there is no ledger
        yet.

    Raises
    ------
    ConfigError
        The database cannot be read, is not a ledger, or has another schema.
    """
    url = as_url(url)
    path = sqlite_file(url)
    if path is None:
        with _open_by_engine(url) as rows:
            yield rows
    elif not path.exists():
        yield None
    else:
        with _open_sqlite(path) as rows:
            yield rows


@contextmanager
def _open_sqlite(path: Path) -> Iterator[Rows | None]:
    try:
        with closing(connect_reading(path)[0]) as connection:
            connection.execute("BEGIN")

            def rows(query: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
                return [dict(row) for row in connection.execute(query, parameters)]

            tables = {row["name"] for row in rows(TABLES, {})}
            yield rows if is_ledger(rows, tables, str(path)) else None
    except sqlite3.Error as error:
        message = f"the ledger cannot be read: {error}"
        raise ConfigError(message, path=path) from error


def connect_reading(path: Path) -> tuple[sqlite3.Connection, bool]:
    """Connect read-only, also where the folder is not ours to write in.

    A reader needs the shared-memory file of the write-ahead log. Where it can neither be
    opened nor made there is no writer, and SQLite may be told that nothing changes.

    Returns
    -------
    sqlite3.Connection
        For one thread at a time, not always the same.
    bool
        Whether SQLite was told so: such a connection is good for one look.

    Raises
    ------
    sqlite3.Error
        It cannot be opened.
    """
    name = f"file:{quote(str(path.absolute()))}?mode=ro"
    connection = _connect_as(name)
    try:
        connection.execute(TABLES)
    except sqlite3.OperationalError:
        connection.close()
        if path.with_name(path.name + "-wal").exists():
            raise
        return _connect_as(f"{name}&immutable=1"), True
    return connection, False


def _connect_as(name: str) -> sqlite3.Connection:
    connection = sqlite3.connect(name, uri=True, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    return connection


@contextmanager
def _open_by_engine(url: str) -> Iterator[Rows | None]:
    from sqlalchemy import inspect, text
    from sqlalchemy.exc import DBAPIError

    from calib.ledger.database import cause_of, open_engine

    engine = open_engine(url)
    try:
        # One state of the ledger for all questions, as SQLite gives it by itself.
        with engine.execution_options(isolation_level="REPEATABLE READ").connect() as connection:

            def rows(query: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
                return [dict(row) for row in connection.execute(text(query), parameters).mappings()]

            tables = set(inspect(connection).get_table_names())
            yield rows if is_ledger(rows, tables, hide_credentials(url)) else None
    except DBAPIError as error:
        message = f"the ledger cannot be read: {cause_of(error)}"
        raise ConfigError(message, path=hide_credentials(url)) from error
    finally:
        engine.dispose()


def is_ledger(rows: Rows, tables: Collection[str], shown: str) -> bool:
    """Tell a ledger from an empty database, and refuse what this code cannot read.

    Parameters
    ----------
    rows
        Runs a SELECT on it.
    tables
        Names of its tables.
    shown
        Where it is, for a message.

    Raises
    ------
    ConfigError
        It has the schema of another version.
    """
    if VERSION_TABLE not in tables:
        return False
    version = rows(VERSION_QUERY, {})[0]["version_num"]
    refuse_newer(version, shown_url=shown)
    if version != REVISION:
        message = "an older hstflow made this ledger: run `hstflow ledger upgrade`"
        raise ConfigError(
            message, path=shown, expected=f"schema {REVISION}", found=f"schema {version}"
        )
    return True
