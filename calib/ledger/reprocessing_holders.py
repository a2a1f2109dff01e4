"""Processes that take reprocessings on: one at a time, taken over when it is dead."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, select, update

from calib.errors import ConfigError, InOtherHands, Interrupted
from calib.ledger.owners import STALE_AFTER, Owner, why_dead
from calib.ledger.schema import reprocessing as reprocessings
from calib.records import utc_now

_NOBODY = {
    "host": None,
    "pid": None,
    "process_started": None,
    "token": None,
    "heartbeat_at": None,
}


@dataclass(frozen=True)
class Hold:
    """A reprocessing in the hands of this process; the token proves it."""

    name: str
    token: str


def hold(
    connection: Connection, name: str, owner: Owner, *, stale_after: timedelta = STALE_AFTER
) -> Hold:
    """Take a reprocessing on; a dead process loses it.

    Raises
    ------
    InOtherHands
        A live process has it; the message says which.
    ConfigError
        There is no such reprocessing.
    """
    mine = reprocessings.c.name == name
    row = connection.execute(select(reprocessings).where(mine).with_for_update()).one_or_none()
    if row is None:
        raise ConfigError("there is no such reprocessing", found=name)
    if row.token is not None:
        other = Owner(row.host, row.pid, row.process_started, row.token)
        if why_dead(other, row.heartbeat_at, stale_after=stale_after) is None:
            raise InOtherHands(f"reprocessing {name} is in the hands of {other}")
    values = {"host": owner.host, "pid": owner.pid, "process_started": owner.started}
    values |= {"token": owner.token, "heartbeat_at": utc_now()}
    connection.execute(update(reprocessings).where(mine).values(values))
    return Hold(name, owner.token)


def beat_hold(connection: Connection, held: Hold) -> None:
    """Write down that the process lives.

    Raises
    ------
    Interrupted
        Another process has taken the reprocessing over.
    """
    if not _change(connection, held, {"heartbeat_at": utc_now()}):
        raise Interrupted(f"another process has taken reprocessing {held.name} over")


def let_go(connection: Connection, held: Hold) -> None:
    """Give a reprocessing back; one that was taken over stays with its new owner."""
    _change(connection, held, _NOBODY)


def _change(connection: Connection, held: Hold, values: dict[str, Any]) -> bool:
    mine = (reprocessings.c.name == held.name) & (reprocessings.c.token == held.token)
    return connection.execute(update(reprocessings).where(mine).values(values)).rowcount == 1
