"""A reprocessing is in the hands of one process, until that lets go or is dead."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from calib.errors import ConfigError, InOtherHands, Interrupted
from calib.ledger.ledger import Ledger, current_owner
from calib.ledger.reprocessing_holders import beat_hold, hold, let_go
from calib.ledger.reprocessing_reports import history, holder
from calib.ledger.reprocessings import (
    NewReprocessing,
    advance,
    enter_reprocessing,
    fence,
    leave_out,
    set_canaries,
)

ELSEWHERE = replace(current_owner(), host="elsewhere", token="1" * 32)


@pytest.fixture
def entered(ledger: Ledger) -> Ledger:
    """Return a ledger with a reprocessing."""
    new = NewReprocessing("again", None, "hst_9002.pmap", "list", "{}")
    ledger.write(lambda c: enter_reprocessing(c, new, [], who="test"))
    return ledger


def test_a_live_process_keeps_others_out_until_it_lets_go(entered: Ledger) -> None:
    """The error says who has it; readers see the same; who lets go twice takes nothing away."""
    owner = current_owner()
    held = entered.write(lambda c: hold(c, "again", owner))
    entered.write(lambda c: beat_hold(c, held))
    assert entered.ask(lambda rows: holder(rows, 1)) == owner
    with pytest.raises(InOtherHands, match=f"in the hands of pid {owner.pid}"):
        entered.write(lambda c: hold(c, "again", ELSEWHERE))

    entered.write(lambda c: let_go(c, held))
    assert entered.ask(lambda rows: holder(rows, 1)) is None
    entered.write(lambda c: hold(c, "again", ELSEWHERE))
    entered.write(lambda c: let_go(c, held))
    assert entered.ask(lambda rows: holder(rows, 1)) == ELSEWHERE


def test_a_silent_host_loses_it_and_learns_so(entered: Ledger) -> None:
    """Whoever comes after the silence has it; the old owner's next beat is refused."""
    lost = entered.write(lambda c: hold(c, "again", ELSEWHERE))
    none = timedelta(0)
    entered.write(lambda c: hold(c, "again", current_owner(), stale_after=none))
    with pytest.raises(Interrupted, match="taken reprocessing again over"):
        entered.write(lambda c: beat_hold(c, lost))


def test_who_slept_too_long_moves_nothing_any_more(entered: Ledger) -> None:
    """The old owner's writes are refused under the lock; the new one's and a person's are not."""
    lost = entered.write(lambda c: hold(c, "again", ELSEWHERE))
    none = timedelta(0)
    mine = entered.write(lambda c: hold(c, "again", current_owner(), stale_after=none))
    for write in (
        lambda c: fence(c, lost),
        lambda c: set_canaries(c, "again", [], held=lost),
        lambda c: leave_out(c, "again", {}, held=lost),
    ):
        with pytest.raises(Interrupted, match="taken reprocessing again over"):
            entered.write(write)

    entered.write(lambda c: fence(c, mine))
    assert entered.write(lambda c: advance(c, "again", "canary", who="new"))
    assert entered.write(lambda c: advance(c, "again", "review", who="me@here"))
    steps = entered.ask(lambda rows: history(rows, 1))
    assert [step.who for step in steps] == ["test", "new", "me@here"]


def test_only_what_is_there_can_be_held(entered: Ledger) -> None:
    """An unknown name is refused."""
    with pytest.raises(ConfigError, match="no such reprocessing"):
        entered.write(lambda c: hold(c, "other", current_owner()))
