"""New ledgers without a run of the migrations each: these took a third of the commands' time.

The migrations run once in each process. Every other new SQLite file gets what they made,
statement by statement, in the same transaction and at the same place. Ledgers of older code,
PostgreSQL and programs of their own are migrated as ever, and so is each ledger of
tests/calib/ledger/test_upgrade.py, which also compares the two.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    Migrate = Callable[[Connection], None]


def replayed(migrate: Migrate) -> Migrate:
    """Return a function that migrates as this one does, the first time for new files alone."""
    made: list[str] = []

    def migrate_or_replay(connection: Connection) -> None:
        from calib.ledger.upgrade import schema_version

        new = connection.dialect.name == "sqlite" and schema_version(connection) is None
        if new and not made:
            made.extend(statements_of(migrate))
        if not new:
            migrate(connection)
            return
        for statement in made:
            connection.exec_driver_sql(statement)

    return migrate_or_replay


def statements_of(migrate: Migrate) -> list[str]:
    """Return the statements that make a new file what the migrations make of it."""
    from sqlalchemy import create_engine

    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        migrate(connection)
        driver = connection.connection.driver_connection
        dump = [] if driver is None else list(driver.iterdump())
    engine.dispose()
    return [each for each in dump if each not in {"BEGIN TRANSACTION;", "COMMIT;"}]


@contextmanager
def quick_ledgers() -> Iterator[None]:
    """Let this process migrate once."""
    from calib.ledger import upgrade

    real = upgrade._run_alembic
    upgrade._run_alembic = replayed(real)
    try:
        yield
    finally:
        upgrade._run_alembic = real


def tables(path: Path) -> list[tuple[str, ...]]:
    """Return the schema of a file as SQLite keeps it, with the rows of its version."""
    with closing(sqlite3.connect(path)) as database:
        schema = database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
        version = database.execute("SELECT version_num FROM hstflow_ledger_version").fetchall()
    return sorted(schema, key=str) + version
