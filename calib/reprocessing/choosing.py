"""Canaries chosen by a person, where it is not too late for that."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from calib.ledger.reprocessing_reports import reprocessings
from calib.ledger.reprocessings import advance, set_canaries
from calib.ledger.rows import rows_of
from calib.reprocessing.life import refuse_late_canaries


def choose_anew(
    connection: Connection, name: str, datasets: Sequence[str] | None, *, who: str
) -> None:
    """Say which datasets of a reprocessing run first; one that is at its review goes back.

    For the process that has it in its hands: canaries that are at work are not taken from
    another one.

    Parameters
    ----------
    connection, name
        The transaction, and the reprocessing.
    datasets
        Their names; None: those of before.
    who
        Who says so.

    Raises
    ------
    ConfigError
        There is no such reprocessing, or it is too late. Nothing is to be written then.
    """
    if datasets is not None:
        set_canaries(connection, name, datasets)  # locks it: its state stays as it is read next
    rows = rows_of(connection)
    for found in reprocessings(rows, name, is_light=True):
        refuse_late_canaries(rows, found)
        if datasets is not None and found.state == "review":
            advance(connection, name, "canary", who=who, note="with other canaries")
