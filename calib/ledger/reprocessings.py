"""Reprocessings: entered with what they mark, then moved from state to state."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, desc, insert, select, text, update

from calib.errors import ConfigError, Interrupted
from calib.ids import DatasetId
from calib.ledger.jobs import batched
from calib.ledger.reprocessing_changes import change_in_force, holder_of, known_changes
from calib.ledger.reprocessing_holders import Hold
from calib.ledger.reprocessing_names import refuse_foreign_campaigns, refuse_shared_names
from calib.ledger.reprocessing_states import ENDED, check_transition
from calib.ledger.rows import rows_of
from calib.ledger.schema import context_seen as contexts_seen
from calib.ledger.schema import marked_dataset as marked
from calib.ledger.schema import reprocessing as reprocessings
from calib.ledger.schema import reprocessing_step as steps
from calib.records import utc_now

# Of the numbers of PostgreSQL's advisory locks, those of servers.
_SOURCES = 7004

# Of the advisory lock on names, in PostgreSQL: any number that no other lock has.
_NAMES = 0x68737466_6E616D65


class Overtaken(ConfigError):
    """Somebody else has moved the reprocessing: look at it again."""


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
        Whether there may be one reprocessing only from the old context to the new one, until it
        was taken back: see :mod:`calib.ledger.reprocessing_changes`.
    again
        A person says so: the one there is does not count where it has ended.
    """

    name: str
    old_context: str | None
    new_context: str
    trigger: str
    plan: str
    origin: Mapping[str, Any] = field(default_factory=dict)
    foresight: str | None = None
    once: bool = False
    again: bool = False

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
        Another reprocessing, or a campaign, has the name or that of one of its campaigns.
    """
    lock_names(connection)
    if (there := _in_the_way(connection, new)) is not None:
        return there
    rows = rows_of(connection)
    refuse_shared_names(rows, new.name)
    refuse_foreign_campaigns(rows, new.name)
    number = int(
        connection.scalars(insert(reprocessings).returning(reprocessings.c.id), _row(new)).one()
    )
    for some in batched({**_mark_row(each), "reprocessing_id": number} for each in marks):
        connection.execute(insert(marked), some)
    _tell(connection, number, None, "planned", who, None)
    return new.name


def lock_names(connection: Connection, *, shared: bool = False) -> None:
    """Keep the names of reprocessings as they are until the transaction ends.

    SQLite has one writer at a time anyway.

    Parameters
    ----------
    connection
        The transaction, before it looks at a name.
    shared
        For those that enter campaigns: they need not wait for each other.
    """
    if connection.dialect.name == "postgresql":
        function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
        connection.execute(text(f"SELECT {function}(:key)"), {"key": _NAMES})


def advance(
    connection: Connection,
    name: str,
    state: str,
    *,
    who: str,
    note: str | None = None,
    report: str | None = None,
    seen: str | None = None,
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
    seen
        The state that the caller acted on; None: any from which this change is legal.

    Returns
    -------
    bool
        Whether it moved: one that is in that state already stays, with the new note.

    Raises
    ------
    ConfigError
        There is no such reprocessing, or the change is not legal.
    Overtaken
        It is in another state than the one that was seen.
    """
    row = _locked(connection, name)
    if seen not in {None, row.state}:
        message = f"reprocessing {name} was moved by somebody else meanwhile"
        raise Overtaken(message, expected=seen, found=row.state)
    values = {"state": state, "reason": note, "updated_at": utc_now()}
    values |= {} if report is None else {"report": report}
    moves = bool(row.state != state)
    if moves:
        check_transition(row.state, state, name=name)
        _check_half_way(connection, row, state, name)
        _check_replaced(connection, row, name)
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


def see_context(
    connection: Connection, source: str, context: str, *, known: int | None = None
) -> str | None:
    """Write down the operational context of a server where it is another one than last time.

    Parameters
    ----------
    source, context
        The server, and what it says.
    known
        How many contexts of it were seen when it was asked. Where there are more by now, another
        watcher was faster and the answer may be the older one: it is not written down. None:
        it is in any case.

    Returns
    -------
    str or None
        The one before; None where nothing is new, or nothing was known.
    """
    _lock_source(connection, source)
    mine = select(contexts_seen.c.context).where(contexts_seen.c.source == source)
    seen = connection.scalars(mine.order_by(contexts_seen.c.id)).all()
    last = seen[-1] if seen else None
    if last == context or (known is not None and len(seen) != known):
        return None
    values = {"source": source, "context": context, "seen_at": utc_now()}
    connection.execute(insert(contexts_seen), values)
    return None if last is None else str(last)


def _lock_source(connection: Connection, source: str) -> None:
    """Let one watcher of a server after the other in; SQLite has one writer in any case."""
    if connection.dialect.name == "postgresql":
        lock = text("SELECT pg_advisory_xact_lock(:kind, hashtext(:source))")
        connection.execute(lock, {"kind": _SOURCES, "source": source})


def _in_the_way(connection: Connection, new: NewReprocessing) -> str | None:
    """Return which reprocessing this change of context has; one that is history gives it up."""
    if new.transition is None or new.old_context is None:
        return None
    known = known_changes(rows_of(connection))
    found = change_in_force(known, new.old_context, new.new_context)
    if found is not None and not (new.again and found.state in ENDED):
        return found.name
    history = reprocessings.c.transition == new.transition
    connection.execute(update(reprocessings).where(history).values(transition=None))
    return None


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


def fence(connection: Connection, held: Hold) -> None:
    """Let nobody but its holder go on in this transaction.

    Raises
    ------
    Interrupted
        Another process has taken the reprocessing over.
    """
    _locked(connection, held.name, held)


def _locked(connection: Connection, name: str, held: Hold | None = None) -> Row[Any]:
    """Lock the row of a reprocessing: two processes that move it come one after the other.

    A process that slept longer than its signs of life are waited for still thinks that it has it:
    the token, compared under the lock, tells.
    """
    found = select(
        reprocessings.c.id,
        reprocessings.c.state,
        reprocessings.c.token,
        reprocessings.c.trigger,
        reprocessings.c.transition,
        reprocessings.c.old_context,
        reprocessings.c.new_context,
    )
    row = connection.execute(
        found.where(reprocessings.c.name == name).with_for_update()
    ).one_or_none()
    if row is None:
        raise ConfigError("there is no such reprocessing", found=name)
    if held is not None and row.token != held.token:
        raise Interrupted(f"another process has taken reprocessing {name} over")
    return row


def _check_half_way(connection: Connection, row: Row[Any], state: str, name: str) -> None:
    """Refuse to reject what has brought some of its datasets to the new context already."""
    if (row.state, state) != ("blocked", "rejected"):
        return
    mine = steps.c.reprocessing_id == row.id
    before = select(steps.c.from_state).where(mine, steps.c.to_state == "blocked")
    if connection.scalar(before.order_by(desc(steps.c.id)).limit(1)) == "running":
        message = f"reprocessing {name} was running before it was blocked: some datasets are done"
        raise ConfigError(message, expected="cancelled", found=state)


def _check_replaced(connection: Connection, row: Row[Any], name: str) -> None:
    """Refuse to take up what ended, where its change of context has another one by now."""
    if row.state not in ENDED or row.trigger != "context" or row.transition is not None:
        return
    known = known_changes(rows_of(connection))
    other = holder_of(known, row.old_context, row.new_context)
    if other is not None:
        message = f"reprocessing {name} has ended, and another one is there for its change"
        raise ConfigError(message, expected=other.name, found=name)


def _tell(
    connection: Connection, number: int, old: str | None, new: str, who: str, note: str | None
) -> None:
    values = {"reprocessing_id": number, "at": utc_now(), "from_state": old, "to_state": new}
    connection.execute(insert(steps), values | {"who": who, "note": note})
