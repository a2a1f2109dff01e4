"""A consistent copy of a SQLite ledger, also while others write to it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from calib.errors import ConfigError
from calib.ledger.location import hide_credentials, sqlite_file


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
    if target.exists():  # checked again below, where it counts
        raise _exists(target)
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        _copy(source, part)
        os.link(part, target)  # unlike a rename, this never replaces a file
        return target.stat().st_size
    except FileExistsError as error:
        raise _exists(target) from error
    except (OSError, sqlite3.Error) as error:
        message = f"the ledger cannot be copied: {error}"
        raise ConfigError(message, path=target) from error
    finally:
        part.unlink(missing_ok=True)


def _exists(target: Path) -> ConfigError:
    return ConfigError("the backup exists: name another file", path=target)


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
