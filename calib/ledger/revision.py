"""Which schema this code knows; apart from the tables, so that readers need no SQLAlchemy."""

from __future__ import annotations

from calib.errors import ConfigError

# The last revision in migrations/versions: numbers of four digits, in order. A test compares.
REVISION = "0006"

# A version table of our own: Prefect keeps its alembic_version in what may be the same database.
VERSION_TABLE = "hstflow_ledger_version"
VERSION_QUERY = "SELECT version_num FROM hstflow_ledger_version"


def refuse_newer(version: str, *, shown_url: str) -> None:
    """Refuse a ledger that a later hstflow has made or brought up to date.

    Raises
    ------
    ConfigError
        The revision is not one of ours; the message says to upgrade hstflow.
    """
    if version > REVISION:
        message = "a newer hstflow made this ledger: upgrade hstflow"
        raise ConfigError(
            message, path=shown_url, expected=f"schema {REVISION}", found=f"schema {version}"
        )
