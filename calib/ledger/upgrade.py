"""Brings the schema of a database up to date, and refuses one that is not ours."""

from __future__ import annotations

import logging
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from calib.errors import ConfigError
from calib.ledger.revision import REVISION, VERSION_QUERY, VERSION_TABLE, refuse_newer
from calib.ledger.views import create_views, drop_views

log = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"

# Any number: processes that upgrade one PostgreSQL database at once wait for each other.
_LOCK = 4_857_362


def schema_version(connection: Connection) -> str | None:
    """Return the revision of the database, None where it has no ledger yet."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(text(VERSION_QUERY)).scalar()


def upgrade_schema(connection: Connection, *, shown_url: str) -> str | None:
    """Run the migrations that are missing, in the caller's transaction.

    alembic is imported only here: a ledger that is up to date opens without it.

    Returns
    -------
    str or None
        The revision before.

    Raises
    ------
    ConfigError
        A newer hstflow made the ledger, or the SQLite file belongs to another program.
    """
    _wait_for_others(connection)
    version = schema_version(connection)
    if version == REVISION:
        return version
    _check_ours(connection, version, shown_url)
    drop_views(connection)
    _run_alembic(connection)
    create_views(connection)
    log.info("ledger %s: schema %s -> %s", shown_url, version or "none", REVISION)
    return version


def check_writable(connection: Connection) -> None:
    """Ask for a write without making one: a read-only SQLite file shows itself only then."""
    query = "UPDATE hstflow_ledger_version SET version_num = version_num WHERE 1 = 0"
    connection.execute(text(query))


def _wait_for_others(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def _check_ours(connection: Connection, version: str | None, shown_url: str) -> None:
    if version is not None:
        refuse_newer(version, shown_url=shown_url)
    elif connection.dialect.name == "sqlite" and (tables := inspect(connection).get_table_names()):
        message = "this SQLite file belongs to another program"
        raise ConfigError(message, path=shown_url, found=f"tables {', '.join(tables[:5])}")


def _run_alembic(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    # Percent signs in a path would be read as interpolation.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
