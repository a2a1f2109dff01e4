"""A person's word on a reprocessing, whether it comes from a terminal or a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from calib.errors import ConfigError
from calib.ledger.reprocessing_reports import Reprocessing
from calib.ledger.reprocessing_states import TRANSITIONS, check_transition

if TYPE_CHECKING:
    from calib.ledger.ledger import Ledger

Decision = Literal["approved", "rejected"]

# States before any canary has run: there is no report to read.
BEFORE_CANARY = frozenset({"planned", "blocked"})


def check_decision(one: Reprocessing, state: Decision, *, without_canary: bool = False) -> None:
    """Refuse a decision that comes too late or too early.

    Parameters
    ----------
    one, state
        The reprocessing as it is, and what is decided.
    without_canary
        Approve it though nobody could read a report.

    Raises
    ------
    ConfigError
        As said.
    """
    if one.state == state:
        raise ConfigError(f"it is {state} already", found=one.reason or one.name)
    if state == "approved" and one.state in BEFORE_CANARY and not without_canary:
        raise ConfigError(
            "no canary has run, so there is no report to read",
            expected=f"hstflow campaign canary {one.name}, or --without-canary",
            found=one.state,
        )
    check_transition(one.state, state, name=one.name)


def may_decide(one: Reprocessing) -> tuple[Decision, ...]:
    """Return which decisions may be made now, of somebody who reads the report."""
    legal = TRANSITIONS[one.state]
    found: tuple[Decision, ...] = ("rejected",) if "rejected" in legal else ()
    if "approved" in legal and one.state not in BEFORE_CANARY:
        return ("approved", *found)
    return found


def write_decision(
    ledger: Ledger,
    name: str,
    state: Decision,
    *,
    who: str,
    note: str | None = None,
    seen: str | None = None,
) -> None:
    """Write a decision into the ledger.

    Parameters
    ----------
    ledger, name, state
        What is decided of which reprocessing.
    who, note
        A person, and why.
    seen
        The state in which that person saw it; None: any from which this is legal.

    Raises
    ------
    Overtaken
        Somebody else has moved it meanwhile.
    ConfigError
        It is too late, or too early, for that.
    """
    from calib.ledger.reprocessings import advance

    ledger.write(lambda c: advance(c, name, state, who=who, note=note, seen=seen))
