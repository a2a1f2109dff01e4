"""Which reprocessing a change of context has: one, until it was taken back.

A server may go from A to B, back, and to B again. The reprocessing of A->B is the only one while
datasets are where it led them; once a later one has brought them back to A it is history.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from calib.ledger.reports import Rows

# Without plans and predictions, which are long.
_CHANGES = """
SELECT id, name, old_context, new_context, state, transition FROM reprocessing
WHERE trigger = 'context' ORDER BY id
"""

# Those that lead datasets nowhere.
_REFUSED = frozenset({"rejected", "cancelled"})


@dataclass(frozen=True)
class KnownChange:
    """A reprocessing of a change of context; `transition` None: another one may be made of it."""

    id: int
    name: str
    old_context: str | None
    new_context: str
    state: str
    transition: str | None


def known_changes(rows: Rows) -> list[KnownChange]:
    """Return the reprocessings of changes of context, oldest first."""
    return [KnownChange(**row) for row in rows(_CHANGES, {})]


def holder_of(known: Sequence[KnownChange], old: str, new: str) -> KnownChange | None:
    """Return the one that has the transition of a change, in force or not; None: nobody."""
    return next((each for each in known if each.transition == f"{old}->{new}"), None)


def change_in_force(known: Sequence[KnownChange], old: str, new: str) -> KnownChange | None:
    """Return the reprocessing that a change of context has; None: one may be made.

    Parameters
    ----------
    known
        Those there are, oldest first.
    old, new
        From which context to which.
    """
    holder = holder_of(known, old, new)
    if holder is None or holder.state != "finished":
        return holder
    later = [each for each in known if each.id > holder.id and each.state not in _REFUSED]
    is_back = bool(later) and later[-1].state == "finished" and later[-1].new_context == old
    return None if is_back else holder
