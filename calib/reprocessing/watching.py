"""What follows from the operational context of a server, and from the reprocessings there are.

All is read from the ledger each time: a trigger that was lost, doubled or late changes nothing.
A change of context is *due* from the context that the last reprocessing was for to the
operational one. One reprocessing of a change runs at a time: what it publishes late would hide
what the next one published. A change back to an older context is only told: a person knows why
it was taken back, and so which datasets have to follow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

from calib.errors import Unavailable
from calib.ids import is_later_context
from calib.ledger.campaign_reports import campaigns
from calib.ledger.ledger import Ledger
from calib.ledger.published_contexts import elsewhere, elsewhere_text
from calib.ledger.reports import Rows
from calib.ledger.reprocessing_changes import change_in_force, known_changes
from calib.ledger.reprocessing_names import campaigns_of
from calib.ledger.reprocessing_reports import (
    Reprocessing,
    history,
    holder,
    reprocessings,
    seen_contexts,
)
from calib.ledger.reprocessing_states import ENDED
from calib.ledger.reprocessings import see_context
from calib.references.operational import ask_operational, source_of
from calib.references.profile import CrdsProfile

# How often the server is asked where another watcher was faster, and saw another context.
_TRIES = 3

# What a person takes back: the datasets are still those of the context before.
_REFUSED = frozenset({"rejected", "cancelled"})


@dataclass(frozen=True)
class Change:
    """A change of the operational context."""

    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.old}->{self.new}"


@dataclass(frozen=True)
class Sight:
    """The operational context of a server, as it was seen.

    Attributes
    ----------
    source, context
        Whose it is, and its name.
    before
        The one that was seen before it; None where it is not new.
    since
        When it was first seen.
    is_first
        Whether nothing was known of this server.
    """

    source: str
    context: str
    before: str | None
    since: str
    is_first: bool


@dataclass(frozen=True)
class Start:
    """A run of the deployment `reprocess` that is to be there.

    Attributes
    ----------
    key
        The same for whoever asks for it: of many that ask, one starts it.
    parameters
        What the run is given beside what the deployment has.
    change
        The change of context it is for, if any: a run that was started for that one will do.
    since
        When something last happened to it, ISO 8601.
    why
        For people.
    """

    key: str
    parameters: Mapping[str, str]
    change: Change | None
    since: str
    why: str


@dataclass(frozen=True)
class Verdict:
    """What is to be done.

    Attributes
    ----------
    due
        The change that has no reprocessing yet, and that nothing stands in the way of.
    change
        From the context of the last reprocessing to the operational one; None: the same.
    starts
        What goes on or begins.
    says
        Lines for people, the most important one first.
    """

    due: Change | None = None
    change: Change | None = None
    starts: Sequence[Start] = ()
    says: Sequence[str] = field(default=())


def look(ledger: Ledger, profile: CrdsProfile) -> Sight:
    """Ask the server, and write down what is new.

    Raises
    ------
    Unavailable
        As :func:`calib.references.operational.ask_operational`, or others see another context
        each time.
    ContextError
        As :func:`calib.references.operational.ask_operational`.
    """
    source = source_of(profile)
    for _ in range(_TRIES):
        known = len(ledger.ask(lambda rows: seen_contexts(rows, source)))
        context = ask_operational(profile)
        before = ledger.write(partial(see_context, source=source, context=context, known=known))
        seen = ledger.ask(lambda rows: seen_contexts(rows, source))
        if seen[-1].context == context:
            return Sight(source, context, before, seen[-1].seen_at, is_first=len(seen) == 1)
    message = "other watchers see another operational context"
    raise Unavailable(message, path=source, expected=context, found=seen[-1].context)


def judge_change(rows: Rows, sight: Sight, *, pinned: str | None, patience: timedelta) -> Verdict:
    """Say what follows from the operational context.

    Parameters
    ----------
    sight
        What was seen.
    pinned
        The context that the profile is pinned to, if any: nothing is due then.
    patience
        How long the event of the change is left to start the reprocessing by itself.
    """
    known = [each for each in reprocessings(rows) if each.trigger == "context"]
    change = _change(rows, sight, known)
    others = elsewhere(rows, sight.context)
    rest = [elsewhere_text(others, sight.context)] if others else []
    if change is None:
        first = "first sight of" if sight.is_first else "operational context"
        return Verdict(says=[f"{first} {sight.context} at {sight.source}: nothing to do", *rest])
    obstacle = _obstacle(rows, change, known, pinned)
    if obstacle is not None:
        return Verdict(change=change, says=[f"{change}: {obstacle}", *rest])
    waits = sight.before is not None or _age(sight.since) < patience
    why = f"{change} has no reprocessing yet"
    before = sum((each.old_context, each.new_context) == (change.old, change.new) for each in known)
    key = _key(f"{change}:{before}" if before else str(change))
    starts = [] if waits else [Start(key, vars(change), change, sight.since, why)]
    return Verdict(due=change, change=change, starts=starts, says=[why, *rest])


def judge_others(rows: Rows, *, patience: timedelta) -> Verdict:
    """Say which reprocessings have to go on, and what the others wait for.

    What is blocked is another question, whose answer may take long: :func:`judge_blocked`.

    Parameters
    ----------
    patience
        How long one that nobody is seen at work on may stand still.
    """
    found = [each for each in reprocessings(rows) if each.state not in {*ENDED, "blocked"}]
    return _judged(rows, ((one, _waits_for(rows, one) or _fresh(one, patience)) for one in found))


def judge_blocked(rows: Rows, name: str, awaited: str | None) -> Verdict:
    """Say whether a reprocessing that is blocked has to go on.

    Parameters
    ----------
    awaited
        What it still waits for; None: nothing any more.
    """
    found = [each for each in reprocessings(rows, name) if each.state == "blocked"]
    return _judged(rows, ((one, _waits_for(rows, one) or awaited) for one in found))


def _judged(rows: Rows, found: Iterable[tuple[Reprocessing, str | None]]) -> Verdict:
    """Start what nothing stands in the way of."""
    starts, says = [], []
    for each, obstacle in found:
        says.append(f"{each.name} is {each.state}: {obstacle or 'it goes on'}")
        if obstacle is None:
            starts.append(_go_on(rows, each))
    return Verdict(starts=starts, says=says)


def _go_on(rows: Rows, one: Reprocessing) -> Start:
    step = _step(rows, one)
    why = f"{one.name} is {one.state}, and nobody is at work on it"
    change = Change(one.old_context, one.new_context) if one.old_context else None
    return Start(_key(f"{one.name}:{step}"), {"name": one.name}, change, one.updated_at, why)


def _step(rows: Rows, one: Reprocessing) -> str:
    """Return what tells one place where it stands from the next one.

    Each run of one that is blocked makes steps, and may end where it began: for the same reason
    it is the same place.
    """
    if one.state != "blocked":
        return str(len(history(rows, one.id)))
    return "blocked-" + hashlib.sha256(str(one.reason).encode()).hexdigest()[:16]


def _key(what: str) -> str:
    """Return the key of a step: each day is begun anew what came to nothing the day before."""
    return f"reprocess:{what}:{datetime.now(UTC):%Y-%m-%d}"


def is_backward(change: Change) -> bool:
    """Tell whether a change goes to an older context."""
    return not is_later_context(change.new, change.old)


def _change(rows: Rows, sight: Sight, known: Sequence[Reprocessing]) -> Change | None:
    """Return the change from where the datasets are to the operational context."""
    seen = [each.context for each in seen_contexts(rows, sight.source)]
    done = [each.new_context for each in known if each.state not in _REFUSED]
    # What a person compared with a context that this server never used is no step of its way.
    old = next((each for each in reversed(done) if each in seen), seen[0])
    return None if old == sight.context else Change(old, sight.context)


def _obstacle(
    rows: Rows, change: Change, known: Sequence[Reprocessing], pinned: str | None
) -> str | None:
    """Say why nothing is started for a change; None: nothing stands in its way."""
    same = change_in_force(known_changes(rows), change.old, change.new)
    if same is not None:
        return f"its reprocessing {same.name} is {same.state}"
    if pinned is not None:
        return f"nothing is started, because the profile is pinned to {pinned}"
    if is_backward(change):
        return (
            "the server went back to an older context; nothing is started by itself: "
            f"`hstflow campaign plan NAME --old {change.old} --new {change.new}` plans the way back"
        )
    under_way = [each for each in known if each.state not in ENDED]
    if under_way:
        first = under_way[0]
        return f"waits for the end of {first.name}, which is {first.state}"
    return None


def _fresh(one: Reprocessing, patience: timedelta) -> str | None:
    """Say that one was touched just now; None: it stands still."""
    still = _age(one.updated_at)
    # Who approves is not at work on it: that goes on at once.
    if one.state == "approved" or still >= patience:
        return None
    return f"it was touched {still.total_seconds():.0f} s ago"


def _waits_for(rows: Rows, one: Reprocessing) -> str | None:
    """Say which process or person has the next word; None: nobody."""
    if (owner := holder(rows, one.id)) is not None:
        return f"{owner} is at work on it"
    if one.state == "review":
        return f"waits for `hstflow campaign approve {one.name}`"
    if one.state == "planned" and _is_of_a_person(rows, one):
        return f"waits for `hstflow campaign reprocess {one.name}`"
    if (paused := _paused(rows, one.name)) is not None:
        return f"campaign {paused} is paused"
    return None


def _is_of_a_person(rows: Rows, one: Reprocessing) -> bool:
    """Tell what a person planned (USER@HOST) from what a part of the program did."""
    return "@" in history(rows, one.id)[0].who


def _paused(rows: Rows, name: str) -> str | None:
    """Return which campaign of a reprocessing an operator stopped for a while."""
    mine = campaigns_of(name)
    found = [one for each in mine for one in campaigns(rows, each)]
    return next((each.name for each in found if each.control == "pause"), None)


def _age(moment: str) -> timedelta:
    return datetime.now(UTC) - datetime.fromisoformat(moment)
