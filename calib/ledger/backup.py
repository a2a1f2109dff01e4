"""A consistent copy of a SQLite ledger, also while others write to it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from calib.errors import ConfigError
from calib.ledger.location import hide_credentials, sqlite_file
from calib.stores.new_file import new_file


def back_up(url: str, target: Path) -> int:
    """Copy the ledger into a new file, complete or not at all, and return its size in bytes.

    Raises
    ------
    ConfigError
        The ledger does not exist, cannot be read or is on PostgreSQL (use pg_dump), or the
        target exists or cannot be written.
    """
    source = sqlite_file(url)
    if source is None:
        message = "only a SQLite ledger is copied; use pg_dump for PostgreSQL"
        raise ConfigError(message, path=hide_credentials(url))
    if not source.exists():
        message = "there is no ledger to back up"
        raise ConfigError(message, path=source)
    try:
        with new_file(target) as part:
            _copy(source, part)
        return target.stat().st_size
    except FileExistsError as error:
        raise ConfigError("the backup exists: name another file", path=target) from error
    except (OSError, sqlite3.Error) as error:
        message = f"the ledger cannot be copied: {error}"
        raise ConfigError(message, path=target) from error


def _copy(source: Path, target: Path) -> None:
    """Copy page by page with SQLite's own backup: a plain copy would miss the log file."""
    name = f"file:{quote(str(source.absolute()))}?mode=ro"
    with (
        closing(sqlite3.connect(name, uri=True)) as ours,
        closing(sqlite3.connect(target)) as copy,
    ):
        ours.backup(copy)
        # The copy is one file, without a log beside it.
        copy.execute("PRAGMA journal_mode=DELETE")
