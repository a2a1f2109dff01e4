"""Reprocessings: entered with what they mark, then moved from state to state."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, desc, insert, select, update

from calib.errors import ConfigError, Interrupted
from calib.ids import DatasetId
from calib.ledger.jobs import batched
from calib.ledger.reprocessing_holders import Hold
from calib.ledger.reprocessing_states import check_transition
from calib.ledger.schema import context_seen as contexts_seen
from calib.ledger.schema import marked_dataset as marked
from calib.ledger.schema import reprocessing as reprocessings
from calib.ledger.schema import reprocessing_step as steps
from calib.records import utc_now


@dataclass(frozen=True)
class NewReprocessing:
    """A reprocessing as it is entered.

    Attributes
    ----------
    name
        Of it, and of its campaign.
    old_context, new_context
        From which to which; no old one where a list or a query asked.
    trigger
        ``context``, ``list``, ``query`` or ``reference``.
    origin
        What was asked for, as JSON can have it.
    plan
        How its campaigns run: a CampaignPlan as JSON.
    foresight
        What was predicted, as JSON; None: nothing yet.
    once
        Whether there may be one reprocessing only from the old context to the new one.
    """

    name: str
    old_context: str | None
    new_context: str
    trigger: str
    plan: str
    origin: Mapping[str, Any] = field(default_factory=dict)
    foresight: str | None = None
    once: bool = False

    @property
    def transition(self) -> str | None:
        """The change of context that it is the only one for, if any."""
        return f"{self.old_context}->{self.new_context}" if self.once else None


@dataclass(frozen=True)
class NewMark:
    """A dataset that a reprocessing marks.

    Attributes
    ----------
    dataset
        Its parsed name.
    wave
        1 exposures and associations, 2 visits, 3 skycells.
    changes
        Why: old and new reference by keyword; a keyword whose files are used by stage 2 alone
        ends in ``/stage 2``.
    is_canary
        Whether it is one of the few that run first.
    left_out
        Why it is not run; None: it is.
    """

    dataset: DatasetId
    wave: int
    changes: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)
    is_canary: bool = False
    left_out: str | None = None


def enter_reprocessing(
    connection: Connection, new: NewReprocessing, marks: Iterable[NewMark], *, who: str
) -> str:
    """Enter a reprocessing as planned, with all that it marks.

    Returns
    -------
    str
        Its name; that of the one that is there already where there may be one only for this
        change of context: nothing is entered then.

    Raises
    ------
    ConfigError
        Another reprocessing has the name.
    """
    if new.transition is not None:
        known = select(reprocessings.c.name).where(reprocessings.c.transition == new.transition)
        if (there := connection.scalar(known)) is not None:
            return str(there)
    if connection.scalar(select(reprocessings.c.id).where(reprocessings.c.name == new.name)):
        raise ConfigError("there is a reprocessing of this name", found=new.name)
    number = int(
        connection.scalars(insert(reprocessings).returning(reprocessings.c.id), _row(new)).one()
    )
    for some in batched({**_mark_row(each), "reprocessing_id": number} for each in marks):
        connection.execute(insert(marked), some)
    _tell(connection, number, None, "planned", who, None)
    return new.name


def advance(
    connection: Connection,
    name: str,
    state: str,
    *,
    who: str,
    note: str | None = None,
    report: str | None = None,
    held: Hold | None = None,
) -> bool:
    """Move a reprocessing to another state, and write down who did it.

    Parameters
    ----------
    who
        A person (``USER@HOST``), or the part of the program.
    note
        Why; what people read beside the state.
    report
        Where the difference report lies; None keeps what is known.
    held
        What proves that the caller has it in its hands; None: a person moves it.

    Returns
    -------
    bool
        Whether it moved: one that is in that state already stays, with the new note.

    Raises
    ------
    ConfigError
        There is no such reprocessing, or the change is not legal.
    Interrupted
        Another process has taken it over.
    """
    row = _locked(connection, name, held)
    values = {"state": state, "reason": note, "updated_at": utc_now()}
    values |= {} if report is None else {"report": report}
    moves = bool(row.state != state)
    if moves:
        check_transition(row.state, state, name=name)
        _tell(connection, row.id, row.state, state, who, note)
    connection.execute(update(reprocessings).where(reprocessings.c.id == row.id).values(values))
    return moves


def set_canaries(
    connection: Connection, name: str, datasets: Iterable[str], *, held: Hold | None = None
) -> None:
    """Say which datasets run first; the others do not any more.

    Raises
    ------
    ConfigError
        There is no such reprocessing.
    Interrupted
        Another process has taken it over.
    """
    mine = marked.c.reprocessing_id == _locked(connection, name, held).id
    connection.execute(update(marked).where(mine).values(is_canary=False))
    for some in batched({"dataset": each} for each in datasets):
        names = [each["dataset"] for each in some]
        chosen = update(marked).where(mine, marked.c.dataset.in_(names))
        connection.execute(chosen.values(is_canary=True))


def leave_out(
    connection: Connection,
    name: str,
    reasons: Mapping[str, str | None],
    *,
    held: Hold | None = None,
) -> None:
    """Say of datasets why they are not run; None: they are.

    Raises
    ------
    ConfigError
        There is no such reprocessing.
    Interrupted
        Another process has taken it over.
    """
    mine = marked.c.reprocessing_id == _locked(connection, name, held).id
    for dataset, reason in reasons.items():
        one = update(marked).where(mine, marked.c.dataset == dataset)
        connection.execute(one.values(left_out=reason))


def see_context(connection: Connection, source: str, context: str) -> str | None:
    """Write down the operational context of a server where it is another one than last time.

    Returns
    -------
    str or None
        The one before; None where nothing is new, or nothing was known.
    """
    mine = select(contexts_seen.c.context).where(contexts_seen.c.source == source)
    last = connection.scalar(mine.order_by(desc(contexts_seen.c.id)).limit(1))
    if last == context:
        return None
    values = {"source": source, "context": context, "seen_at": utc_now()}
    connection.execute(insert(contexts_seen), values)
    return None if last is None else str(last)


def _row(new: NewReprocessing) -> dict[str, Any]:
    now = utc_now()
    return {
        "name": new.name,
        "old_context": new.old_context,
        "new_context": new.new_context,
        "transition": new.transition,
        "trigger": new.trigger,
        "origin": json.dumps(dict(new.origin), sort_keys=True),
        "state": "planned",
        "plan": new.plan,
        "foresight": new.foresight,
        "created_at": now,
        "updated_at": now,
    }


def _mark_row(mark: NewMark) -> dict[str, Any]:
    return {
        "dataset": mark.dataset.name,
        "kind": mark.dataset.kind,
        "instrument": mark.dataset.instrument,
        "wave": mark.wave,
        "is_canary": mark.is_canary,
        "changes": json.dumps(dict(mark.changes), sort_keys=True),
        "left_out": mark.left_out,
    }


def _locked(connection: Connection, name: str, held: Hold | None = None) -> Row[Any]:
    """Lock the row of a reprocessing: two processes that move it come one after the other.

    A process that slept longer than its signs of life are waited for still thinks that it has it:
    the token, compared under the lock, tells.
    """
    found = select(reprocessings.c.id, reprocessings.c.state, reprocessings.c.token)
    row = connection.execute(
        found.where(reprocessings.c.name == name).with_for_update()
    ).one_or_none()
    if row is None:
        raise ConfigError("there is no such reprocessing", found=name)
    if held is not None and row.token != held.token:
        raise Interrupted(f"another process has taken reprocessing {name} over")
    return row


def _tell(
    connection: Connection, number: int, old: str | None, new: str, who: str, note: str | None
) -> None:
    values = {"reprocessing_id": number, "at": utc_now(), "from_state": old, "to_state": new}
    connection.execute(insert(steps), values | {"who": who, "note": note})
