"""Reads a ledger again and again: connections stay open, and each look sees one fresh state.

For a process that answers many questions for a long time. The ledger may appear later, be put
in place of another one, be upgraded, or go away for a while: the next look tells.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from calib.errors import ConfigError, Unavailable
from calib.ledger.location import as_url, hide_credentials, sqlite_file
from calib.ledger.reading import TABLES, connect_reading, is_ledger
from calib.ledger.reports import Rows
from calib.ledger.revision import VERSION_TABLE

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.exc import DBAPIError

LOGGER = logging.getLogger(__name__)

# Questions at once: SQLite reads as fast as there are processors, and each connection has a cache.
MOST = 4

# kB of pages that each SQLite connection keeps: what SQLite does by itself. The system keeps the
# file, and an index that is counted from end to end is larger than any cache.
_CACHE_KB = 2_000

# Seconds that one question may take, and that one waits for its turn.
PATIENCE = 30.0

# Seconds for which a server that did not answer is not asked again: connecting takes ten.
_AWAY_SECONDS = 3.0

# SQLite's words of virtual machine between two looks at the clock: some milliseconds.
_STEPS = 200_000

# Primary codes of errors that may pass by themselves: BUSY, LOCKED, NOMEM, INTERRUPT, IOERR,
# FULL, CANTOPEN, PROTOCOL (sqlite.org/rescode.html).
_PASSING = frozenset({5, 6, 7, 9, 10, 13, 14, 15})
_UNUSABLE = frozenset({11, 26})  # CORRUPT, NOTADB

AWAY = "the ledger cannot be read now"

# Limits of a transaction, and whether a table is where statements without a schema look for it: all
# in one way to the server and back.
_BEGIN = """
SELECT set_config('statement_timeout', :patience, true), set_config('lock_timeout', :lock, true),
  to_regclass(:name) IS NOT NULL AS found
"""

# Seconds that a question waits for a table that somebody changes (an upgrade takes it whole): the
# few connections are for those who can be answered.
_LOCK_SECONDS = 3


class Readers(Protocol):
    """A ledger that is read again and again."""

    def open(self, patience: float | None = None) -> AbstractContextManager[Rows | None]:
        """Give a function that runs a SELECT, on one state of the ledger; None: none is there.

        Parameters
        ----------
        patience
            Seconds that this look may take, where it is not what all may.

        Raises
        ------
        Unavailable
            It cannot be read now, or a question takes too long.
        ConfigError
            It is not a ledger, or has the schema of another version.
        """
        ...

    def close(self) -> None:
        """End the questions that are being answered, and close what is open."""
        ...


def open_readers(url: str, *, most: int = MOST, patience: float = PATIENCE) -> Readers:
    """Return readers of a ledger; nothing is opened yet.

    Parameters
    ----------
    url
        URL of the ledger, or the path of a SQLite file.
    most
        Questions at once; others wait for their turn.
    patience
        Seconds that one look may take, and that one waits for its turn.

    Raises
    ------
    ConfigError
        Not the URL of a ledger, or the driver of its database is missing.
    """
    url = as_url(url)
    path = sqlite_file(url)
    if path is None:
        return _ServerReaders(url, most, patience)
    return _FileReaders(path, most, patience)


class _Turns:
    """So many at once; the others wait, for some time."""

    def __init__(self, most: int, patience: float) -> None:
        self._free = threading.BoundedSemaphore(most)
        self._patience = patience

    @contextmanager
    def take(self) -> Iterator[None]:
        if not self._free.acquire(timeout=self._patience):
            raise Unavailable("too many ask the ledger at once: try again")
        try:
            yield
        finally:
            self._free.release()


class _FileReaders:
    """Connections to a SQLite file, for as long as it is the same file."""

    def __init__(self, path: Path, most: int, patience: float) -> None:
        self._path = path
        self._patience = patience
        self._turns = _Turns(most, patience)
        self._lock = threading.Lock()
        self._idle: list[tuple[tuple[int, int], sqlite3.Connection]] = []
        self._is_closed = False

    @contextmanager
    def open(self, patience: float | None = None) -> Iterator[Rows | None]:
        with self._turns.take():
            identity = self._identity()
            if identity is None:
                self._drop()
                yield None
                return
            try:
                with (
                    self._borrow(identity) as connection,
                    self._limit(connection, patience or self._patience),
                ):
                    yield self._rows(connection)
            except sqlite3.Error as error:
                raise self._said(error) from error

    def close(self) -> None:
        self._is_closed = True
        self._drop()

    def _drop(self) -> None:
        with self._lock:
            old, self._idle = self._idle, []
        for _, connection in old:
            connection.close()

    def _identity(self) -> tuple[int, int] | None:
        """Tell this file from another one of its name."""
        try:
            found = self._path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise Unavailable(f"{AWAY}: {error.strerror}", path=self._path) from error
        return found.st_dev, found.st_ino

    @contextmanager
    def _borrow(self, identity: tuple[int, int]) -> Iterator[sqlite3.Connection]:
        connection, is_frozen = self._take(identity)
        is_good = False
        try:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")
            is_good = not (is_frozen or self._is_closed)
        finally:
            if is_good:
                with self._lock:
                    self._idle.append((identity, connection))
            else:
                connection.close()

    def _take(self, identity: tuple[int, int]) -> tuple[sqlite3.Connection, bool]:
        with self._lock:
            if self._idle and self._idle[-1][0] == identity:
                return self._idle.pop()[1], False
        self._drop()  # those of the file that was here before
        connection, is_frozen = connect_reading(self._path)
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
        return connection, is_frozen

    @contextmanager
    def _limit(self, connection: sqlite3.Connection, patience: float) -> Iterator[None]:
        """Interrupt what takes too long, or is not wanted any more."""
        until = time.monotonic() + patience
        connection.set_progress_handler(lambda: self._is_closed or time.monotonic() > until, _STEPS)
        try:
            yield
        finally:
            connection.set_progress_handler(None, _STEPS)

    def _rows(self, connection: sqlite3.Connection) -> Rows | None:
        def rows(query: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
            return [dict(row) for row in connection.execute(query, parameters)]

        tables = {row["name"] for row in rows(TABLES, {})}
        return rows if is_ledger(rows, tables, str(self._path)) else None

    def _said(self, error: sqlite3.Error) -> Exception:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _UNUSABLE:
            return ConfigError(f"this is not a ledger: {error}", path=self._path)
        if code in _PASSING:
            return Unavailable(f"{AWAY}: {error}", path=self._path)
        return error


class _ServerReaders:
    """Connections to a database server, from SQLAlchemy's pool."""

    def __init__(self, url: str, most: int, patience: float) -> None:
        from calib.ledger.database import open_engine, open_reading

        self._shown = hide_credentials(url)
        self._engine = open_reading(open_engine(url))
        self._turns = _Turns(most, patience)
        self._patience = patience
        self._away_until = 0.0
        self._busy: set[Any] = set()  # psycopg's connections

    @contextmanager
    def open(self, patience: float | None = None) -> Iterator[Rows | None]:
        from sqlalchemy.exc import DBAPIError

        with self._turns.take():
            if time.monotonic() < self._away_until:
                raise Unavailable(AWAY, path=self._shown)
            try:
                with self._connect(patience or self._patience) as rows:
                    yield rows
            except DBAPIError as error:
                raise self._said(error) from error

    def close(self) -> None:
        for each in tuple(self._busy):
            each.cancel()
        self._engine.dispose()

    @contextmanager
    def _connect(self, patience: float) -> Iterator[Rows | None]:
        from sqlalchemy import text

        with self._engine.connect() as connection, self._note(connection):

            def rows(query: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
                return [dict(row) for row in connection.execute(text(query), parameters).mappings()]

            limits = {"patience": f"{patience}s", "lock": f"{_LOCK_SECONDS}s"}
            (there,) = rows(_BEGIN, {**limits, "name": VERSION_TABLE})
            tables = {VERSION_TABLE} if there["found"] else set()
            yield rows if is_ledger(rows, tables, self._shown) else None

    @contextmanager
    def _note(self, connection: Connection) -> Iterator[None]:
        raw: Any = connection.connection.driver_connection
        # A plan that is made once for all values suits none of those that people look for; and a
        # pooler between us and the server may give each transaction another connection.
        raw.prepare_threshold = None
        self._busy.add(raw)
        try:
            yield
        finally:
            self._busy.discard(raw)

    def _said(self, error: DBAPIError) -> Exception:
        from calib.ledger.database import cause_of, may_pass

        if not may_pass(error):
            return error
        is_slow = getattr(error.orig, "sqlstate", None) == "57014"  # query_canceled
        if not is_slow:
            self._away_until = time.monotonic() + _AWAY_SECONDS
        return Unavailable(f"{AWAY}: {cause_of(error)}", path=self._shown)
