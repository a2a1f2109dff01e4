"""Processes at work on a campaign: one at a time, taken over when it is dead."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from calib.errors import ConfigError, InOtherHands, Interrupted
from calib.ledger.location import hide_credentials
from calib.ledger.owners import STALE_AFTER, Owner, why_dead
from calib.ledger.schema import campaign as campaigns
from calib.ledger.schema import campaign_session as sessions
from calib.records import utc_now


@dataclass(frozen=True)
class Session:
    """A process at work on a campaign, as it holds it.

    Attributes
    ----------
    id, campaign_id
        Numbers in the ledger.
    token
        Proves ownership: a session that was taken over goes no further.
    """

    id: int
    campaign_id: int
    token: str


def open_session(
    connection: Connection,
    campaign: str,
    owner: Owner,
    *,
    flow_run: str | None = None,
    stale_after: timedelta = STALE_AFTER,
    unless_stopped: bool = False,
) -> Session:
    """Begin to work on a campaign; the session of a dead process is closed.

    Parameters
    ----------
    campaign, owner
        Which, and who.
    flow_run
        Of Prefect.
    stale_after
        After how long without a word a process on another host is dead.
    unless_stopped
        Not where it was paused or cancelled.

    Raises
    ------
    InOtherHands
        A live process is at work on it: the message says who, and since when. Or a person
        paused or cancelled it.
    ConfigError
        There is no such campaign.
    """
    number = _lock_campaign(connection, campaign)
    if unless_stopped:
        _refuse_stopped(connection, number, campaign)
    for row in connection.execute(_open_ones(number)).all():
        death = _death_of(row, stale_after)
        if death is None:
            message = f"campaign {campaign} is run by {_owner_of(row)} since {row.started_at}"
            raise InOtherHands(message)
        _close(connection, row.id, "lost", death)
    now = utc_now()
    values = {"campaign_id": number, "host": owner.host, "pid": owner.pid, "token": owner.token}
    values |= {"process_started": owner.started, "started_at": now, "heartbeat_at": now}
    values |= {"flow_run": flow_run}
    new = insert(sessions).returning(sessions.c.id)
    return Session(int(connection.scalars(new, values).one()), number, owner.token)


def beat_session(connection: Connection, session: Session) -> str:
    """Write down that the process lives, and return what the operator wants.

    Returns
    -------
    str
        ``run``, ``pause`` or ``cancel``.

    Raises
    ------
    Interrupted
        The session was taken over.
    """
    mine = (sessions.c.id == session.id) & sessions.c.ended_at.is_(None)
    beat = update(sessions).where(mine).values(heartbeat_at=utc_now())
    if connection.execute(beat).rowcount != 1:
        message = "another process has taken this campaign over"
        raise Interrupted(message)
    query = select(campaigns.c.control).where(campaigns.c.id == session.campaign_id)
    return str(connection.scalar(query))


def note_flow_run(connection: Connection, session: Session, flow_run: str) -> None:
    """Write down the number of the flow run that the session works in."""
    values = {"flow_run": flow_run}
    connection.execute(update(sessions).where(sessions.c.id == session.id).values(values))


def close_session(connection: Connection, session: Session, outcome: str, message: str) -> None:
    """End the work on a campaign; one that was taken over stays as it is.

    Parameters
    ----------
    outcome
        ``completed``, ``failed``, ``paused``, ``cancelled`` or ``interrupted``.
    """
    _close(connection, session.id, outcome, message)


def _lock_campaign(connection: Connection, name: str) -> int:
    query = select(campaigns.c.id).where(campaigns.c.name == name).with_for_update()
    number = connection.scalar(query)
    if number is None:
        message = "there is no such campaign"
        raise ConfigError(message, found=name)
    return int(number)


def _refuse_stopped(connection: Connection, number: int, name: str) -> None:
    wish = connection.scalar(select(campaigns.c.control).where(campaigns.c.id == number))
    if wish != "run":
        message = f"somebody asked for {wish} of campaign {name}"
        raise InOtherHands(message)


def _open_ones(campaign_id: int) -> Any:
    return select(sessions).where(
        sessions.c.campaign_id == campaign_id, sessions.c.ended_at.is_(None)
    )


def _close(connection: Connection, number: int, outcome: str, message: str) -> None:
    values = {"ended_at": utc_now(), "outcome": outcome, "message": hide_credentials(message)}
    still_open = (sessions.c.id == number) & sessions.c.ended_at.is_(None)
    connection.execute(update(sessions).where(still_open).values(values))


def _owner_of(row: Row[Any]) -> Owner:
    return Owner(row.host, row.pid, row.process_started, row.token)


def _death_of(row: Row[Any], stale_after: timedelta) -> str | None:
    return why_dead(_owner_of(row), row.heartbeat_at, stale_after=stale_after)
