"""Runs transactions on the ledger's database, again where another one was in the way."""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError

from calib.errors import GENERIC, ConfigError, Unavailable
from calib.ledger.database import cause_of, is_conflict, open_engine, open_reading, set_wal
from calib.ledger.location import hide_credentials
from calib.ledger.revision import REVISION
from calib.ledger.upgrade import check_writable, schema_version, upgrade_schema

log = logging.getLogger(__name__)
T = TypeVar("T")

# Pauses before a transaction is tried again, seconds, each times a random 0.5 to 1.5. They
# come on top of the wait for the lock itself.
_PAUSES = (0.1, 0.5, 2.0)


class Store:
    """A database and the rule of its transactions.

    Every write is one transaction. On SQLite it takes the writer's lock at its start, so that
    what it reads cannot change before it writes; on PostgreSQL functions lock the job's row.

    Parameters
    ----------
    url
        Database URL of SQLite (a file) or PostgreSQL.

    Raises
    ------
    ConfigError
        The URL cannot work, or the database cannot be opened, written or brought up to date.
    """

    def __init__(self, url: str) -> None:
        self.shown_url = hide_credentials(url)
        self._pid = os.getpid()
        self._engine = open_engine(url)
        self._reader = open_reading(self._engine)
        opened = False
        try:
            self._prepare()
            opened = True
        except DBAPIError as error:
            message = f"the ledger cannot be opened or written: {cause_of(error)}"
            raise ConfigError(message, path=self.shown_url) from error
        finally:
            if not opened:
                self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run a function in one transaction: all of what it wrote is kept, or nothing.

        The function may run more than once, so it touches nothing but the connection.

        Raises
        ------
        Unavailable
            The database stayed locked, or cannot be reached any more.
        ConfigError
            A value does not fit its column.
        HstflowError
            Whatever the function raises; nothing was written.
        """
        for pause in _PAUSES:
            try:
                return self._run(self._engine, work)
            except DBAPIError as error:
                if not is_conflict(error):
                    raise self._translated(error) from error
                log.debug("ledger busy, trying again: %s", cause_of(error))
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads the tries
        return self._run_once(self._engine, work)

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run a function that only reads, on one state of the database.

        Raises
        ------
        Unavailable
            The database cannot be reached.
        """
        return self._run_once(self._reader, work)

    def _run_once(self, engine: Engine, work: Callable[[Connection], T]) -> T:
        try:
            return self._run(engine, work)
        except DBAPIError as error:
            raise self._translated(error) from error

    def _run(self, engine: Engine, work: Callable[[Connection], T]) -> T:
        if os.getpid() != self._pid:  # forked: the parent's connections stay the parent's
            self._pid = os.getpid()
            self._engine.dispose(close=False)
        try:
            with engine.begin() as connection:
                return work(connection)
        except (OverflowError, UnicodeEncodeError) as error:  # of SQLite's driver, as they are
            raise self._unfit(error) from error

    def _translated(self, error: DBAPIError) -> Exception:
        """Make trouble of the database ours; what only a bug can cause stays as it is."""
        if isinstance(error, IntegrityError | ProgrammingError):
            return error
        if isinstance(error, DataError):
            return self._unfit(cause_of(error))
        message = f"the ledger cannot be used now: {cause_of(error)}"
        return Unavailable(message, path=self.shown_url, code=GENERIC)

    def _unfit(self, why: object) -> ConfigError:
        return ConfigError(f"the ledger takes no such value: {why}", path=self.shown_url)

    def _prepare(self) -> None:
        if self._engine.dialect.name == "sqlite":
            set_wal(self._engine)
        if self._run(self._reader, schema_version) == REVISION:
            self._run(self._engine, check_writable)
        else:
            self._run(self._engine, lambda c: upgrade_schema(c, shown_url=self.shown_url))
