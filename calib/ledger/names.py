"""The one name space of runs and collections."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, select

from calib.errors import ConfigError
from calib.ids import RUN_NAMES, is_run_name
from calib.ledger.schema import collection as collections
from calib.ledger.schema import job as jobs
from calib.ledger.schema import run as runs

# Options that name a collection say so where there is to be none.
NO_COLLECTION = "none"


_KIND = select(collections.c.kind).where(collections.c.name == bindparam("of_name"))


def check_run_name_free(connection: Connection, name: str) -> None:
    """Refuse a name for a run that a collection has.

    Raises
    ------
    ConfigError
        There is a collection of this name.
    """
    kind = connection.scalar(_KIND, {"of_name": name})
    if kind is not None:
        message = f"a {kind} has this name: a run needs another"
        raise ConfigError(message, found=name)


def check_collection_name_free(connection: Connection, name: str) -> None:
    """Refuse a name for a collection that no run could have, or that one has or will have.

    Raises
    ------
    ConfigError
        The name has letters that the name of a run must not have, there is a run of this name,
        or a job that will make one.
    """
    if not is_run_name(name) or name == NO_COLLECTION:
        message = "not a name for a collection"
        expected = f"{RUN_NAMES}, and not `{NO_COLLECTION}`"
        raise ConfigError(message, expected=expected, found=repr(name))
    is_run = select(runs.c.id).where(runs.c.name == name).limit(1)
    is_planned = select(jobs.c.id).where(jobs.c.run == name).limit(1)
    if any(connection.scalar(query) is not None for query in (is_run, is_planned)):
        message = "a run has this name: a collection needs another"
        raise ConfigError(message, found=name)
