"""What follows from the operational context of a server: once, forward, one after the other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from shutil import copy
from tempfile import TemporaryDirectory
from threading import Barrier

import pytest
from databases import ledger, template, url
from hypothesis import given
from hypothesis import strategies as st
from small_registry import fill
from sqlalchemy import update

from calib.ledger.campaigns import set_control
from calib.ledger.ledger import Ledger, current_owner, open_ledger
from calib.ledger.reprocessing_holders import hold
from calib.ledger.reprocessing_reports import reprocessings, seen_contexts
from calib.ledger.reprocessing_states import ENDED
from calib.ledger.reprocessings import (
    NewReprocessing,
    advance,
    enter_reprocessing,
    see_context,
)
from calib.ledger.schema import context_seen, reprocessing
from calib.references.profile import CrdsProfile
from calib.reprocessing import watching
from calib.reprocessing.watching import (
    Change,
    Sight,
    Verdict,
    is_backward,
    judge_blocked,
    judge_change,
    judge_others,
)

__all__ = ["ledger", "template", "url"]

SERVER = "https://crds.example"
A, B, C = (f"hst_000{number}.pmap" for number in (1, 2, 3))
LONG_AGO = "2002-04-13T18:00:00.000000+00:00"
NOW = timedelta(0)
TEN_MINUTES = timedelta(minutes=10)
PATH_TO = {
    "planned": (),
    "blocked": ("blocked",),
    "canary": ("canary",),
    "review": ("canary", "review"),
    "approved": ("canary", "review", "approved"),
    "running": ("canary", "review", "approved", "running"),
    "finished": ("canary", "review", "approved", "running", "finished"),
    "rejected": ("canary", "review", "rejected"),
    "cancelled": ("cancelled",),
}


def see(ledger: Ledger, context: str) -> Sight:
    """Write a context down as `look` does, and return what was seen."""
    before = ledger.write(lambda c: see_context(c, SERVER, context))
    seen = ledger.ask(lambda rows: seen_contexts(rows, SERVER))
    return Sight(SERVER, context, before, seen[-1].seen_at, is_first=len(seen) == 1)


def enter(ledger: Ledger, old: str, new: str, state: str = "planned", who: str = "flow") -> str:
    """Enter a reprocessing of a change, in a state."""
    asked = NewReprocessing(f"{old[4:8]}-{new[4:8]}", old, new, "context", "{}", once=True)
    name = ledger.write(lambda c: enter_reprocessing(c, asked, [], who=who))
    for each in PATH_TO[state]:
        move(ledger, name, each)
    return name


def move(ledger: Ledger, name: str, state: str, note: str | None = None) -> None:
    """Move a reprocessing to a state."""
    ledger.write(lambda c: advance(c, name, state, who="test", note=note))


def judge(
    ledger: Ledger, sight: Sight, *, pinned: str | None = None, patience: timedelta = NOW
) -> Verdict:
    """Say what follows from what was seen."""
    return ledger.ask(lambda rows: judge_change(rows, sight, pinned=pinned, patience=patience))


def others(
    ledger: Ledger, awaited: dict[str, str | None] | None = None, patience: timedelta = NOW
) -> Verdict:
    """Say which reprocessings go on; of those that are blocked, the ones that are named."""
    found = [ledger.ask(lambda rows: judge_others(rows, patience=patience))]
    for name, why in (awaited or {}).items():
        found.append(ledger.ask(partial(judge_blocked, name=name, awaited=why)))
    starts = [start for each in found for start in each.starts]
    return Verdict(starts=starts, says=[line for each in found for line in each.says])


def test_first_sight_starts_nothing(ledger: Ledger) -> None:
    """A server that was never asked before is remembered, whatever it says."""
    verdict = judge(ledger, see(ledger, B))

    assert (verdict.due, verdict.change, verdict.starts) == (None, None, ())
    assert "first sight of hst_0002.pmap" in verdict.says[0]


def test_change_is_left_to_its_event_first(ledger: Ledger) -> None:
    """The look that sees a change starts nothing itself; one after the patience does."""
    see(ledger, A)
    first = judge(ledger, see(ledger, B))
    soon = judge(ledger, see(ledger, B), patience=TEN_MINUTES)
    late = judge(ledger, see(ledger, B))

    assert first.due == soon.due == late.due == Change(A, B)
    assert (list(first.starts), list(soon.starts)) == ([], [])
    assert [each.parameters for each in late.starts] == [{"old": A, "new": B}]
    assert late.starts[0].key == judge(ledger, see(ledger, B)).starts[0].key


@pytest.mark.parametrize("state", sorted(PATH_TO))
def test_change_with_a_reprocessing_is_not_due(ledger: Ledger, state: str) -> None:
    """Whatever became of the reprocessing of a change, a second trigger makes no other one."""
    see(ledger, A)
    see(ledger, B)
    enter(ledger, A, B, state)

    verdict = judge(ledger, see(ledger, B))

    assert (verdict.due, list(verdict.starts)) == (None, [])


@pytest.mark.parametrize("state", sorted(PATH_TO))
def test_next_change_follows_the_last_reprocessing(ledger: Ledger, state: str) -> None:
    """C comes while, or after, B is done: from B then; from A where B was refused."""
    see(ledger, A)
    see(ledger, B)
    name = enter(ledger, A, B, state)

    verdict = judge(ledger, see(ledger, C))

    refused = state in {"rejected", "cancelled"}
    assert verdict.change == Change(A if refused else B, C)
    assert verdict.due == (verdict.change if state in ENDED else None)
    assert (f"waits for the end of {name}, which is {state}" in verdict.says[0]) == (
        state not in ENDED
    )


def test_waiting_change_starts_when_the_other_one_has_ended(ledger: Ledger) -> None:
    """What stood in the way is gone: the next look starts it, without any event."""
    see(ledger, A)
    see(ledger, B)
    name = enter(ledger, A, B, "running")
    see(ledger, C)
    assert not judge(ledger, see(ledger, C)).starts

    move(ledger, name, "finished")

    (start,) = judge(ledger, see(ledger, C)).starts
    assert start.parameters == {"old": B, "new": C}


def test_lost_changes_become_one(ledger: Ledger) -> None:
    """Two changes that nobody took up are one comparison, from the first context."""
    for context in (A, B, C):
        see(ledger, context)

    assert judge(ledger, see(ledger, C)).due == Change(A, C)


def test_way_back_is_a_persons(ledger: Ledger) -> None:
    """A server that goes back starts nothing; what follows later starts where datasets are."""
    see(ledger, A)
    see(ledger, B)
    enter(ledger, A, B, "finished")
    back = judge(ledger, see(ledger, A))
    forth = judge(ledger, see(ledger, B))
    on = judge(ledger, see(ledger, C))

    assert (back.due, back.change) == (None, Change(B, A))
    assert f"hstflow campaign plan NAME --old {B} --new {A}" in back.says[0]
    assert forth.change is None
    assert on.due == Change(B, C)


def test_change_after_a_way_back_is_due_again(ledger: Ledger) -> None:
    """The server goes to B, back to A, and to B: what was finished on B is history."""
    see(ledger, A)
    see(ledger, B)
    enter(ledger, A, B, "finished")
    see(ledger, A)
    enter(ledger, B, A, "finished")
    first, second = judge(ledger, see(ledger, B)), judge(ledger, see(ledger, B))

    assert first.due == Change(A, B)
    assert [each.parameters for each in second.starts] == [{"old": A, "new": B}]


def test_stale_answer_is_asked_again(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another watcher saw B while this one was told A: that is no way back."""
    see(ledger, A)
    answers = iter([A, B])

    def ask(_: CrdsProfile) -> str:
        answer = next(answers)
        see(ledger, B)
        return answer

    monkeypatch.setattr(watching, "ask_operational", ask)
    sight = watching.look(ledger, CrdsProfile("p", SERVER, Path("none")))

    assert (sight.context, sight.before) == (B, None)
    assert [each.context for each in ledger.ask(seen_contexts)] == [A, B]


def test_what_is_not_on_the_context_is_said(ledger: Ledger) -> None:
    """Also where nothing is to be done: people see how much is of which context."""
    fill(ledger)
    verdict = judge(ledger, see(ledger, B))

    assert verdict.says[1] == f"2 current datasets are not on {B} (hst_1.pmap 2)"


def test_comparison_with_a_context_of_somebodys_own_is_no_step(ledger: Ledger) -> None:
    """A reprocessing on a context that the server never used does not move the datasets' base."""
    see(ledger, A)
    enter(ledger, A, "hst_9999.pmap", "finished")

    assert judge(ledger, see(ledger, B)).due == Change(A, B)


def test_pinned_profile_starts_nothing(ledger: Ledger) -> None:
    """Who pinned a context is told of the new one."""
    see(ledger, A)
    verdict = judge(ledger, see(ledger, B), pinned=A)

    assert (verdict.due, verdict.change) == (None, Change(A, B))
    assert f"pinned to {A}" in verdict.says[0]


def test_contexts_are_compared_as_numbers() -> None:
    """The context after hst_9999 is hst_10000, which sorts before it as text."""
    assert not is_backward(Change("hst_9999.pmap", "hst_10000.pmap"))
    assert is_backward(Change("hst_10000.pmap", "hst_9999.pmap"))


@pytest.mark.parametrize(
    ("state", "goes_on"),
    [
        *(("planned", True), ("canary", True), ("approved", True), ("running", True)),
        *(("review", False), ("finished", False), ("rejected", False), ("cancelled", False)),
        ("blocked", False),
    ],
)
def test_what_stands_still_goes_on(ledger: Ledger, state: str, goes_on: bool) -> None:
    """Nobody at work, not at an end, not waiting for a person: a run takes it up by its name."""
    name = enter(ledger, A, B, state)

    verdict = others(ledger, {name: "n3o1059hj_drk.fits is missing"})

    assert [each.parameters for each in verdict.starts] == ([{"name": name}] if goes_on else [])


def test_what_was_touched_just_now_is_left_alone(ledger: Ledger) -> None:
    """Between two campaigns of a reprocessing nobody is seen at work for a moment."""
    name = enter(ledger, A, B, "running")
    assert list(others(ledger, patience=TEN_MINUTES).starts) == []

    age(ledger, name)

    assert len(others(ledger, patience=TEN_MINUTES).starts) == 1


def age(ledger: Ledger, name: str) -> None:
    """Let a reprocessing, and what was seen, be as of long ago."""
    mine = reprocessing.c.name == name
    ledger.write(lambda c: c.execute(update(reprocessing).where(mine).values(updated_at=LONG_AGO)))
    ledger.write(lambda c: c.execute(update(context_seen).values(seen_at=LONG_AGO)))


def test_one_in_the_hands_of_a_process_is_left_alone(ledger: Ledger) -> None:
    """A process that lives has it; a dead one has not."""
    name = enter(ledger, A, B, "running")
    ledger.write(lambda c: hold(c, name, current_owner()))
    assert not others(ledger).starts

    dead = {"process_started": 1.0}  # its number is another process' now
    ledger.write(lambda c: c.execute(update(reprocessing).values(dead)))

    assert len(others(ledger).starts) == 1


def test_paused_campaign_stays_paused(ledger: Ledger) -> None:
    """An operator's pause of one of its campaigns holds for the watch, too."""
    name = enter(ledger, A, B, "running")
    ledger.ensure_campaign(f"{name}-visits", context=B)
    ledger.write(lambda c: set_control(c, f"{name}-visits", "pause"))

    verdict = others(ledger)

    assert not verdict.starts
    assert f"{name}-visits is paused" in verdict.says[0]


def test_approved_one_goes_on_at_once(ledger: Ledger) -> None:
    """Who approves by command is not who runs it: the next look starts it."""
    enter(ledger, A, B, "approved")
    assert len(others(ledger, patience=TEN_MINUTES).starts) == 1


def test_plan_of_a_person_waits_for_that_person(ledger: Ledger) -> None:
    """`hstflow campaign plan` starts nothing by itself."""
    name = enter(ledger, A, B, "planned", who="astronomer@host")

    verdict = others(ledger)

    assert list(verdict.starts) == []
    assert f"hstflow campaign reprocess {name}" in verdict.says[0]


def test_blocked_one_goes_on_when_all_is_there(ledger: Ledger) -> None:
    """What is missing is told; when it is there, the reprocessing goes on."""
    name = enter(ledger, A, B, "blocked")
    missing = others(ledger, {name: "1 reference missing (n3o1059hj_drk.fits)"})
    there = others(ledger, {name: None})
    move(ledger, name, "canary")
    late = ledger.ask(lambda rows: judge_blocked(rows, name, None))

    assert "n3o1059hj_drk.fits" in missing.says[0]
    assert not missing.starts
    assert [each.parameters for each in there.starts] == [{"name": name}]
    assert late == Verdict(starts=[], says=[])


def test_blocked_for_the_same_reason_is_the_same_place(ledger: Ledger) -> None:
    """Runs that end where they began share a key, which has few runs; another reason is new."""
    name = enter(ledger, A, B, "canary")
    keys = []
    for why in ("no bias", "no bias", "no dark"):
        move(ledger, name, "blocked", why)
        keys.append(others(ledger, {name: None}).starts[0].key)
        move(ledger, name, "canary")

    assert keys[0] == keys[1] != keys[2]


ENDS = sorted(ENDED)


@given(st.lists(st.sampled_from([A, B, C]), min_size=1, max_size=6), st.data())
def test_changes_make_a_chain(template: Path, path: list[str], data: st.DataObject) -> None:
    """However a server wanders: each start follows from where the last one led, forward only."""
    with TemporaryDirectory() as folder, open_ledger(copy(template, folder)) as ledger:
        for context in path:
            sight = see(ledger, context)
            verdict = judge(ledger, sight)
            if verdict.due is None:
                continue
            assert not is_backward(verdict.due)
            assert verdict.due.new == context
            enter(ledger, verdict.due.old, verdict.due.new, data.draw(st.sampled_from(ENDS)))
        done = [each for each in ledger.ask(reprocessings) if each.state == "finished"]
        assert all(one.new_context == two.old_context for one, two in pairwise(done))
        assert len({(each.old_context, each.new_context) for each in done}) == len(done)


def test_many_watchers_make_one_reprocessing(ledger: Ledger) -> None:
    """Of eight that see and enter the same change at the same moment, one does."""
    see(ledger, A)
    together = Barrier(8)

    def watch(number: int) -> str:
        together.wait()
        see(ledger, B)
        asked = NewReprocessing(f"by-{number}", A, B, "context", "{}", once=True)
        return ledger.write(lambda c: enter_reprocessing(c, asked, [], who="watcher"))

    with ThreadPoolExecutor(8) as pool:
        names = set(pool.map(watch, range(8)))

    assert len(names) == len(ledger.ask(reprocessings)) == 1
    assert ledger.ask(lambda rows: seen_contexts(rows, SERVER))[-1].context == B
