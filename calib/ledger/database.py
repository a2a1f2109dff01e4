"""The two databases that can hold a ledger: how each is opened, and what its errors mean."""

from __future__ import annotations

import sqlite3
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError

from calib.errors import ConfigError
from calib.ledger.location import hide_credentials, sqlite_file

EXAMPLES = "sqlite:////folder/ledger.db or postgresql://host/database"

# Seconds that a statement waits for SQLite's only writer. A transaction here takes about a
# millisecond: a longer queue than this means that somebody holds the lock.
BUSY_SECONDS = 20.0

_CONNECT_SECONDS = 10  # the same for a PostgreSQL server that does not answer

# Option of a connection that only reads: it never takes SQLite's write lock.
READS = "ledger_reads"

# PostgreSQL's codes for "try again": serialization failure, deadlock, unique violation (manual,
# appendix A). The last is what remains of a row that was not there when it was looked for and
# that another process entered meanwhile: the next try finds it.
_RETRY_STATES = frozenset({"40001", "40P01", "23505"})

# What passes by itself, or by what its administrator does: trouble with the connection, a session
# that was idle in a transaction for too long, other transactions in the way, too few resources, a
# lock, an administrator's intervention, the system (the same appendix).
_PASSING_STATES = ("08", "25P03", "40", "53", "55", "57", "58")


def open_engine(url: str) -> Engine:
    """Return an engine for a ledger URL; nothing is connected yet.

    The folder of a SQLite file is made.

    Raises
    ------
    ConfigError
        Not a URL, another kind of database, a SQLite ledger that is not a file, a folder that
        cannot be made, or psycopg is not installed.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "postgresql":
        return _open_postgresql(parsed)
    return _open_sqlite(parsed)


def open_reading(engine: Engine) -> Engine:
    """Return the same engine for transactions that only read, each on one state of the database.

    SQLite gives one state by itself; PostgreSQL shows every statement the latest one unless
    it is told otherwise.
    """
    options: dict[str, Any] = {READS: True}
    if engine.dialect.name == "postgresql":
        options["isolation_level"] = "REPEATABLE READ"
    return engine.execution_options(**options)


def is_conflict(error: DBAPIError) -> bool:
    """Tell whether another transaction was in the way, so that trying again helps."""
    cause = error.orig
    if isinstance(cause, sqlite3.OperationalError):
        # The low byte is the primary code; SQLITE_LOCKED is left out, only threads that share
        # one connection can cause it.
        return (cause.sqlite_errorcode & 0xFF) == sqlite3.SQLITE_BUSY
    return getattr(cause, "sqlstate", None) in _RETRY_STATES


def may_pass(error: DBAPIError) -> bool:
    """Tell whether PostgreSQL cannot answer now, so that asking again later may help.

    The kind of the error does not tell: psycopg calls a session that the server ended for being
    idle an internal error.
    """
    state = getattr(error.orig, "sqlstate", None) or ""
    is_of_server = isinstance(error, (InterfaceError, OperationalError))
    return is_of_server or error.connection_invalidated or state.startswith(_PASSING_STATES)


def cause_of(error: DBAPIError) -> str:
    """Return the database's own words, on one line, without credentials."""
    return hide_credentials(" ".join(str(error.orig).split()))


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, ValueError) as error:
        message = "not the URL of a ledger"
        raise ConfigError(message, path=hide_credentials(url), expected=EXAMPLES) from error
    usable = backend == "postgresql" or (backend == "sqlite" and sqlite_file(url) is not None)
    if not usable:
        message = "a ledger needs a SQLite file or a PostgreSQL database"
        raise ConfigError(message, path=hide_credentials(url), expected=EXAMPLES)
    return parsed


def _open_postgresql(url: URL) -> Engine:
    if find_spec("psycopg") is None:
        message = "a ledger on PostgreSQL needs psycopg: install hstflow[postgres]"
        raise ConfigError(message, path=hide_credentials(str(url)))
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        connect_args={"connect_timeout": _CONNECT_SECONDS},
    )


def _open_sqlite(url: URL) -> Engine:
    _make_folder(Path(str(url.database)).parent)
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"the folder of the ledger cannot be made: {error.strerror}"
        raise ConfigError(message, path=folder) from error


def _set_up_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # we begin transactions ourselves, see _begin_sqlite
    connection.execute("PRAGMA foreign_keys=ON")
    # With WAL, NORMAL cannot damage the file; a power failure may take back the last commits,
    # after which a dataset is found published and closed again.
    connection.execute("PRAGMA synchronous=NORMAL")


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at once: a lock asked for after reading could fail without waiting."""
    reads = connection.get_execution_options().get(READS, False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def set_wal(engine: Engine) -> None:
    """Turn write-ahead logging on, which is kept in the file: readers never wait for a writer.

    Raises
    ------
    sqlalchemy.exc.DBAPIError
        The file cannot be opened or changed. That two processes turn it on at once is none:
        the other one has done it.
    """
    with engine.connect() as connection:
        try:
            # Outside a transaction, which SQLAlchemy would begin by itself.
            connection.connection.cursor().execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if (error.sqlite_errorcode & 0xFF) != sqlite3.SQLITE_BUSY:
                raise OperationalError("PRAGMA journal_mode=WAL", None, error) from error
