"""Reprocessings in the ledger: entered once, moved by the table of states, asked about."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial

import pytest
from sqlalchemy import Connection

from calib.errors import ConfigError
from calib.ids import parse_dataset
from calib.ledger.campaigns import set_plan
from calib.ledger.ledger import Ledger
from calib.ledger.reprocessing_names import campaigns_of
from calib.ledger.reprocessing_reports import (
    history,
    mark_counts,
    marks,
    reprocessings,
    seen_contexts,
    state_of,
)
from calib.ledger.reprocessings import (
    NewMark,
    NewReprocessing,
    Overtaken,
    advance,
    enter_reprocessing,
    leave_out,
    see_context,
    set_canaries,
)

OLD, NEW, LATER = (f"hst_900{number}.pmap" for number in (1, 2, 3))
CHANGES = {"DARKFILE": ("a_drk.fits", "b_drk.fits")}
MARKS = [
    NewMark(parse_dataset("j8bt05njq"), 1, CHANGES),
    NewMark(parse_dataset("j8bt06o6q"), 1, CHANGES),
    NewMark(parse_dataset("acs_8bt_05"), 2, CHANGES, left_out="no engine"),
]


def enter(ledger: Ledger, name: str, *, once: bool = False) -> str:
    """Enter a reprocessing of three datasets."""
    new = NewReprocessing(name, OLD, NEW, "context", "{}", {"by": "test"}, once=once)
    return ledger.write(lambda c: enter_reprocessing(c, new, MARKS, who="test"))


def test_marks_come_back_as_they_were_entered(ledger: Ledger) -> None:
    """Datasets, waves, changes and what is left out are read as they were written."""
    assert enter(ledger, "again") == "again"
    (one,) = ledger.ask(lambda rows: reprocessings(rows, "again"))
    assert (one.state, one.origin, one.foresight) == ("planned", {"by": "test"}, {})
    found = ledger.ask(lambda rows: marks(rows, one.id))
    assert [each.dataset for each in found] == ["j8bt05njq", "j8bt06o6q", "acs_8bt_05"]
    assert found[0].changes == CHANGES
    assert [each.left_out for each in found] == [None, None, "no engine"]
    assert len(ledger.ask(lambda rows: marks(rows, one.id, wave=2))) == 1
    counts = ledger.ask(lambda rows: mark_counts(rows, one.id))
    assert {(each.kind, each.number, each.left_out) for each in counts} == {
        ("ipst", 2, 0),
        ("svm", 1, 1),
    }


def test_one_change_of_context_makes_one_reprocessing(ledger: Ledger) -> None:
    """The second trigger of a transition gets the name of the first one's reprocessing."""
    assert enter(ledger, "first", once=True) == "first"
    assert enter(ledger, "second", once=True) == "first"
    assert len(ledger.ask(reprocessings)) == 1
    with pytest.raises(ConfigError, match="reprocessing of this name"):
        enter(ledger, "first")


@pytest.mark.parametrize(
    ("first", "second"),
    [("july", "july-canary"), ("july-skycells", "july"), ("july", "july-visits")],
)
def test_two_reprocessings_share_no_campaign(ledger: Ledger, first: str, second: str) -> None:
    """Whichever is first: each would put its datasets into the other's campaign."""
    enter(ledger, first)
    with pytest.raises(ConfigError, match=f"reprocessing {first} has a campaign"):
        enter(ledger, second)
    enter(ledger, "july-august")
    assert len(ledger.ask(reprocessings)) == 2


@pytest.mark.parametrize("campaign", campaigns_of("july"))
def test_campaign_of_another_purpose_keeps_its_name(ledger: Ledger, campaign: str) -> None:
    """All four names are looked at where the reprocessing is entered; nothing is written."""
    ledger.write(lambda c: set_plan(c, campaign, context=OLD, plan="{}"))
    with pytest.raises(ConfigError, match=f"a campaign of this name.*found {campaign}"):
        enter(ledger, "july")
    assert ledger.ask(reprocessings) == []


def test_states_move_by_the_table_and_are_remembered(ledger: Ledger) -> None:
    """A legal change is a row of the history; an illegal one changes nothing; a repeat neither."""
    enter(ledger, "again")
    assert ledger.write(lambda c: advance(c, "again", "canary", who="me"))
    assert not ledger.write(lambda c: advance(c, "again", "canary", who="me", note="still"))
    with pytest.raises(ConfigError, match="canary and cannot become finished"):
        ledger.write(lambda c: advance(c, "again", "finished", who="me"))
    ledger.write(lambda c: advance(c, "again", "review", who="me", report="/r/index.html"))
    (one,) = ledger.ask(lambda rows: reprocessings(rows, "again"))
    assert (one.state, one.report) == ("review", "/r/index.html")
    steps = ledger.ask(lambda rows: history(rows, one.id))
    assert [(s.from_state, s.to_state) for s in steps] == [
        (None, "planned"),
        ("planned", "canary"),
        ("canary", "review"),
    ]
    with pytest.raises(ConfigError, match="no such reprocessing"):
        ledger.write(lambda c: advance(c, "other", "canary", who="me"))


def test_what_was_seen_must_still_be_true(ledger: Ledger) -> None:
    """Who acts on a state that is not there any more learns so, and changes nothing."""
    enter(ledger, "again")
    ledger.write(lambda c: advance(c, "again", "rejected", who="me", note="no", seen="planned"))
    for state in ("rejected", "canary"):
        with pytest.raises(Overtaken, match=r"meanwhile.*rejected"):
            ledger.write(lambda c, to=state: advance(c, "again", to, who="it", seen="planned"))  # type: ignore[misc]
    (one,) = ledger.ask(lambda rows: reprocessings(rows, "again"))
    assert (one.state, one.reason) == ("rejected", "no")


def test_a_look_reads_nothing_large(ledger: Ledger) -> None:
    """Those who look every few seconds, or at all of them, need no plan and no foresight."""
    enter(ledger, "again")
    assert ledger.ask(lambda rows: state_of(rows, "again")) == "planned"
    assert ledger.ask(lambda rows: state_of(rows, "other")) is None
    large = "UPDATE reprocessing SET foresight = '{not JSON', plan = '{nor this'"
    ledger.write(lambda c: c.exec_driver_sql(large))
    (one,) = ledger.ask(lambda rows: reprocessings(rows, is_light=True))
    assert (one.name, one.plan, one.foresight) == ("again", "{}", {})


def test_what_ran_half_way_is_not_rejected(ledger: Ledger) -> None:
    """Blocked before it ran it may be; after that some datasets are on the new context."""
    enter(ledger, "early")
    enter(ledger, "late")
    for name, states in {"early": ["blocked"], "late": ["approved", "running", "blocked"]}.items():
        for state in states:
            ledger.write(partial(advance, name=name, state=state, who="me"))
    assert ledger.write(lambda c: advance(c, "early", "rejected", who="me"))
    with pytest.raises(ConfigError, match="was running before it was blocked") as refused:
        ledger.write(lambda c: advance(c, "late", "rejected", who="me"))
    assert "cancelled" in str(refused.value)
    assert ledger.write(lambda c: advance(c, "late", "cancelled", who="me"))


def change(ledger: Ledger, name: str, old: str, new: str, *, again: bool = False) -> str:
    """Enter the reprocessing of a change of context that marks nothing."""
    asked = NewReprocessing(name, old, new, "context", "{}", once=True, again=again)
    return ledger.write(lambda c: enter_reprocessing(c, asked, [], who="test"))


def end(ledger: Ledger, name: str, state: str = "finished") -> None:
    """Bring a reprocessing to an end."""
    ledger.write(lambda c: advance(c, name, state, who="test"))


def test_change_that_was_taken_back_may_come_again(ledger: Ledger) -> None:
    """Once the way back is finished; not while it runs, and not where the way led further on."""
    assert change(ledger, "forth", OLD, NEW) == "forth"
    end(ledger, "forth")
    assert change(ledger, "on", NEW, LATER) == "on"
    end(ledger, "on")
    assert change(ledger, "late", OLD, NEW) == "forth", "a trigger that comes late"
    assert change(ledger, "back", LATER, OLD) == "back"
    assert change(ledger, "early", OLD, NEW) == "forth", "the way back is not done"
    end(ledger, "back")
    assert change(ledger, "again", OLD, NEW) == "again"
    assert change(ledger, "doubled", OLD, NEW) == "again"
    with pytest.raises(ConfigError, match="another one is there for its change"):
        ledger.write(lambda c: advance(c, "forth", "running", who="test"))


@pytest.mark.parametrize("state", ["rejected", "cancelled", "finished"])
def test_what_ended_is_made_again_on_a_persons_word(ledger: Ledger, state: str) -> None:
    """Not by itself, and not while it goes on."""
    change(ledger, "first", OLD, NEW)
    assert change(ledger, "second", OLD, NEW, again=True) == "first"
    end(ledger, "first", state)
    assert change(ledger, "second", OLD, NEW) == "first"
    assert change(ledger, "second", OLD, NEW, again=True) == "second"


def test_canaries_and_omissions_can_change(ledger: Ledger) -> None:
    """What runs first is chosen anew as a whole; a reason to leave out can go."""
    enter(ledger, "again")
    ledger.write(lambda c: set_canaries(c, "again", ["j8bt05njq"]))
    ledger.write(lambda c: set_canaries(c, "again", ["j8bt06o6q"]))
    ledger.write(lambda c: leave_out(c, "again", {"acs_8bt_05": None}))
    found = ledger.ask(lambda rows: marks(rows, 1))
    assert [each.dataset for each in found if each.is_canary] == ["j8bt06o6q"]
    assert all(each.left_out is None for each in found)


def test_contexts_are_remembered_by_source(ledger: Ledger) -> None:
    """The first sight and a repeat are no change; another context names the one before."""
    assert ledger.write(lambda c: see_context(c, "server", OLD)) is None
    assert ledger.write(lambda c: see_context(c, "server", OLD)) is None
    assert ledger.write(lambda c: see_context(c, "server", NEW)) == OLD
    assert ledger.write(lambda c: see_context(c, "cache", NEW)) is None
    found = ledger.ask(lambda rows: seen_contexts(rows, "server"))
    assert [each.context for each in found] == [OLD, NEW]


def test_answer_that_came_late_is_not_written_down(ledger: Ledger) -> None:
    """Who asked before another watcher saw a change may have the context before it."""
    ledger.write(lambda c: see_context(c, "server", OLD))
    assert ledger.write(lambda c: see_context(c, "server", NEW, known=1)) == OLD
    assert ledger.write(lambda c: see_context(c, "server", OLD, known=1)) is None
    found = ledger.ask(lambda rows: seen_contexts(rows, "server"))
    assert [each.context for each in found] == [OLD, NEW]


def test_one_watcher_waits_for_the_other(ledger: Ledger) -> None:
    """The second one reads what the first one has written: one is told what was before."""
    ledger.write(lambda c: see_context(c, "server", OLD))
    with ThreadPoolExecutor(1) as pool:

        def first(connection: Connection) -> tuple[str | None, Future[str | None]]:
            before = see_context(connection, "server", NEW)
            other = pool.submit(ledger.write, lambda c: see_context(c, "server", NEW))
            wait([other], timeout=0.3)  # long enough to be there where nothing holds it up
            return before, other

        before, other = ledger.write(first)
        assert (before, other.result()) == (OLD, None)
    assert len(ledger.ask(seen_contexts)) == 2
