"""What a person says of a reprocessing while, and after, a process is at work on it."""

from __future__ import annotations

import pytest
from reprocessing_world import NAME, World, sky, states_in_of, world

from calib.campaigns.manifest import entries_of
from calib.errors import ConfigError, Unavailable
from calib.ledger.campaign_reports import JobSelection, find_jobs
from calib.ledger.campaigns import cancel_jobs
from calib.ledger.ledger import current_owner
from calib.ledger.reprocessing_holders import hold, let_go
from calib.reprocessing.life import Canaries, canary_plan, plan_for
from calib.stages.enrolment import enrol
from flows import reprocessing_session
from flows.reprocessing_session import open_again

__all__ = ["sky", "world"]


def test_cancelled_datasets_are_run_when_it_is_taken_up_again(world: World) -> None:
    """Canaries too: without them nobody could read a report. What was finished stays so."""
    world.enter()
    found = world.now
    plans = [canary_plan(found, world.url), plan_for(found, NAME, world.url)]
    for plan, names in zip(plans, [world.affected[:1], world.affected], strict=True):
        enrol(plan, entries_of(names), reprocessing=NAME)
    jobs = world.ledger.ask(lambda rows: find_jobs(rows, JobSelection()))
    world.ledger.write(lambda c: cancel_jobs(c, [job.id for job in jobs], "enough"))
    world.say("canary")
    world.say("cancelled")

    open_again(NAME, world.url)
    assert world.run().outcome == "review"
    assert states_in_of(world, f"{NAME}-canary") == {world.affected[0]: "processed"}
    world.say("approved")
    assert world.run().counts == {"processed": 2}


def test_decision_that_comes_while_it_works_is_what_counts(world: World) -> None:
    """It does not fail, and does not write over what a person has said meanwhile."""
    world.enter(datasets=world.affected[:1])

    def rejects(_found: object) -> list[str]:
        world.say("rejected")
        return []

    end = world.run(choose=rejects)
    assert (end.outcome, end.message) == ("rejected", "read it")


def test_rejection_between_the_look_and_the_step_is_what_counts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--yes approves what is still at its review."""
    world.enter(datasets=world.affected[:1])
    world.say("canary")
    world.say("review")

    def rejects(_counts: object) -> int:
        monkeypatch.undo()
        world.say("rejected")
        return 0

    monkeypatch.setattr(reprocessing_session, "unfinished", rejects)
    assert world.run("yes").outcome == "rejected"
    assert world.states == ["planned", "canary", "review", "rejected"]


def test_canaries_are_chosen_by_who_has_it(world: World) -> None:
    """Those of a canary step at work stay; it goes back from the review, but not from later."""
    world.enter()
    other = Canaries((world.affected[1],))
    held = world.ledger.write(lambda c: hold(c, NAME, current_owner()))
    with pytest.raises(Unavailable):
        world.run(canaries=other)
    assert not any(m.is_canary for m in world.marks)
    world.ledger.write(lambda c: let_go(c, held))

    world.say("canary")
    world.say("review")
    assert world.run(canaries=Canaries()).outcome == "review"
    assert world.run(canaries=other).outcome == "review"
    assert [m.dataset for m in world.marks if m.is_canary] == [world.affected[1]]
    assert states_in_of(world, f"{NAME}-canary") == {world.affected[1]: "processed"}
    world.say("approved")
    for wish in (other, Canaries()):
        with pytest.raises(ConfigError, match="is approved: canaries come before"):
            world.run(canaries=wish)
    assert world.now.state == "approved"
