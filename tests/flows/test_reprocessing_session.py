"""A reprocessing from its plan to its end, for real on the simulated observatory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reprocessing_world import CHANGES, NAME, NEW, OLD, World, sky, states_in_of, world
from sqlalchemy import text

from calib.archive.outputs import open_output
from calib.errors import ConfigError, InOtherHands, Interrupted
from calib.ids import parse_dataset
from calib.ledger.ledger import current_owner
from calib.ledger.reprocessing_holders import hold, let_go
from calib.ledger.reprocessing_reports import (
    Reprocessing,
    holder,
)
from calib.ledger.reprocessings import NewMark
from calib.reprocessing.waves import WAITS
from calib.stages.policy import POLICIES, RetryPolicy
from flows import reprocessing_session
from flows.reprocessing_session import open_again

__all__ = ["sky", "world"]


@pytest.mark.slow
def test_canary_is_not_shown_before_approval_and_not_calibrated_twice(world: World) -> None:
    """Readers see the older context until the run; then exactly the affected datasets changed."""
    world.calibrate()
    world.enter()
    first = world.run()

    assert (first.outcome, world.now.state) == ("review", "review")
    assert "1 canaries: 1 processed" in first.message
    assert world.contexts == [OLD, OLD, OLD]
    assert [world.calibrated(each) for each in world.sky.datasets] == [1, 0, 0]
    assert world.reported == [NAME]
    # The cache cannot be filled: what did not change has to be there, too.
    assert len(world.asked[0] - {"z0000009j_drk.fits"}) > 3

    world.say("approved")
    second = world.run()

    assert (second.outcome, second.counts) == ("finished", {"processed": 2})
    elsewhere = f"1 current dataset is not on {NEW} ({OLD} 1)"
    assert second.message == f"2 of 2 datasets are on {NEW}; {elsewhere}"
    assert sorted(zip(world.sky.datasets, world.contexts, strict=True)) == sorted(
        zip(world.sky.datasets, [NEW, NEW, OLD], strict=True)
    )
    assert [world.calibrated(each) for each in world.sky.datasets] == [1, 1, 0]
    assert world.states == ["planned", "canary", "review", "approved", "running", "finished"]
    assert world.run().outcome == "finished"
    assert [world.calibrated(each) for each in world.sky.datasets] == [1, 1, 0]


class Stop(BaseException):
    """What kills a process."""


STEPS = {
    "planned": "_begin",
    "canary": "_canary",
    "review": "_review",
    "approved": "_start",
    "running": "_run_waves",
}


@pytest.mark.slow
def test_processes_killed_in_every_state_are_followed_by_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each dies after its step; the next one goes on there, nothing is done twice or lost."""
    world.enter()
    for state, step in STEPS.items():
        assert world.now.state == state
        real: Callable[..., Any] = getattr(reprocessing_session.Life, step)

        def dies(self: Any, found: Reprocessing, real: Callable[..., Any] = real) -> Any:
            real(self, found)
            raise Stop

        with monkeypatch.context() as patch:
            patch.setattr(reprocessing_session.Life, step, dies)
            with pytest.raises(Stop):
                world.run("yes")

    end = world.run("yes")
    assert (end.outcome, end.counts) == ("finished", {"processed": 2})
    assert [world.calibrated(each) for each in world.affected] == [1, 1]
    assert world.states == [*STEPS, "finished"]


def test_process_killed_between_campaign_and_report_writes_the_report_later(world: World) -> None:
    """The canaries that ran are not run again; the report is made from them."""
    world.enter(datasets=world.affected[:1])

    def dies(*_: object) -> Path:
        raise Stop

    with pytest.raises(Stop):
        world.run(report=dies)
    assert world.now.state == "canary"
    assert world.run().outcome == "review"
    assert world.reported == [NAME]
    assert world.calibrated(world.affected[0]) == 1


def test_rejected_stays_rejected(world: World) -> None:
    """Nothing of it is run any more, and readers never see the canary."""
    world.enter(datasets=world.affected[:1])
    world.run()
    world.say("rejected")

    assert world.run("yes").outcome == "rejected"
    output = open_output(f"file:{world.folder / 'out'}")
    assert output.current_manifest(parse_dataset(world.affected[0])) is None
    assert world.ledger.ask(lambda rows: rows("SELECT dataset FROM current_run", {})) == []
    with pytest.raises(ConfigError, match="cannot be taken up again"):
        open_again(NAME, world.url)


@pytest.mark.parametrize("before", ["planned", "approved"])
def test_missing_reference_blocks_until_it_arrives(world: World, before: str) -> None:
    """The state says which file; once it is there the same call goes on where it stood."""
    world.enter(datasets=world.affected[:1])
    if before == "approved":
        world.run()
        world.say("approved")
    world.lacking = ["z0000009j_drk.fits"]
    for _ in range(2):
        blocked = world.run("yes")
        assert blocked.outcome == "blocked"
        assert "z0000009j_drk.fits" in str(world.now.reason)
    assert world.states[-1] == "blocked"
    world.lacking = []

    assert world.run("yes").outcome == "finished"
    assert world.states[world.states.index("blocked") + 1] == before
    assert world.calibrated(world.affected[0]) == 1


@pytest.mark.slow
def test_reference_that_vanishes_while_it_runs_blocks_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Datasets that wait for a file hold it up, and are submitted again when it goes on."""
    monkeypatch.setitem(POLICIES, "bestrefs", RetryPolicy(delays=()))
    world.enter(datasets=world.affected[:1])
    references = world.sky.profile.references
    hidden = [path.rename(path.with_suffix(".away")) for path in references.glob("*_bia.fits")]
    try:
        blocked = world.run("yes")
    finally:
        for path in hidden:
            path.rename(path.with_suffix(".fits"))
    assert blocked.outcome == "blocked"
    assert "_bia.fits" in blocked.message

    assert world.run("yes").outcome == "finished"


def test_campaign_that_the_archive_overtakes_finishes_on_its_context_and_says_so(
    world: World,
) -> None:
    """What came meanwhile is named in the result and in the ledger."""
    world.enter(datasets=world.affected[:1])
    world.operational = "hst_9003.pmap"
    end = world.run("yes", choose=lambda _: [])

    assert end.outcome == "finished"
    assert "hst_9003.pmap is operational" in end.message
    assert world.now.reason == end.message


def test_nothing_to_run_is_finished_at_once(world: World) -> None:
    """No dataset is affected, or all are left out: it says so, and no campaign is made."""
    world.enter(NewMark(parse_dataset("acs_8bt_05"), 2, CHANGES, left_out="no"), datasets=[])
    end = world.run()
    assert (end.outcome, end.counts) == ("finished", {"left out": 1})
    assert end.message == "nothing to run; 1 left out"
    assert world.ledger.ask(lambda rows: rows("SELECT name FROM campaign", {})) == []


def test_failure_stops_no_other_and_visits_of_it_are_left_out(world: World) -> None:
    """An exposure without raws fails; the other is done; its visit says so, and is not begun."""
    world.enter(
        NewMark(parse_dataset("acs_8bt_99"), 2, CHANGES),
        NewMark(parse_dataset("j8bt99zzq"), 1, CHANGES),
        NewMark(parse_dataset("skycell-p0001x01y01"), 3, CHANGES),
        datasets=world.affected[:1],
    )
    kinds = {"ipst", "svm"}
    end = world.run("yes", choose=lambda _: [], kinds=kinds)

    assert end.outcome == "failed"
    assert "1 of 2 failed: 1 processed, 1 error, 2 left out" in end.message
    left = {mark.dataset: mark.left_out for mark in world.marks}
    assert left["acs_8bt_99"] == f"{WAITS}j8bt99zzq (error)"
    assert left["skycell-p0001x01y01"] == "no engine makes skycells (MVM)"
    open_again(NAME, world.url)
    assert world.run(kinds=kinds).outcome == "failed"
    assert states_in_of(world, f"{NAME}-visits") == {}

    # As if it were mended: the visit is begun. There are no files of it, so it fails itself.
    mend = "UPDATE job SET state = 'processed' WHERE dataset = 'j8bt99zzq'"
    world.ledger.write(lambda c: c.exec_driver_sql(mend))
    open_again(NAME, world.url)
    assert world.run(kinds=kinds).outcome == "failed"
    assert states_in_of(world, f"{NAME}-visits") == {"acs_8bt_99": "error"}


def test_failed_canary_is_not_approved_unasked(world: World) -> None:
    """--yes stops at the review where a canary failed; a person may say yes all the same."""
    world.enter(datasets=["j8bt99zzq"])
    end = world.run("yes")
    assert end.outcome == "review"
    assert end.message.startswith("1 canaries failed")
    assert states_in_of(world, f"{NAME}-canary") == {"j8bt99zzq": "error"}


def test_waiting_ends_with_a_decision_in_the_ledger(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it waits, another process decides; the one that waits goes on."""
    world.enter(datasets=world.affected[:1])
    looks: list[float] = []

    def decide(seconds: float) -> None:
        looks.append(seconds)
        world.say("rejected")

    monkeypatch.setattr("flows.reprocessing_session.time.sleep", decide)
    assert world.run("wait").outcome == "rejected"
    assert looks == [reprocessing_session.LOOK]


def test_one_process_at_a_time(world: World) -> None:
    """A live process keeps others out; it is given back at the end, whatever happened."""
    world.enter()
    held = world.ledger.write(lambda c: hold(c, NAME, current_owner()))
    with pytest.raises(InOtherHands, match="in the hands of pid"):
        world.run()
    assert world.ledger.ask(lambda rows: holder(rows, world.now.id)) is not None
    world.ledger.write(lambda c: let_go(c, held))

    def broken(*_: object) -> list[str]:
        raise Interrupted("stopped")

    with pytest.raises(Interrupted):
        world.run(choose=broken)
    assert world.ledger.ask(lambda rows: holder(rows, world.now.id)) is None


@pytest.mark.slow
def test_what_is_cancelled_while_it_runs_stays_so_and_can_be_taken_up_again(world: World) -> None:
    """The campaign of the moment is the last; again runs what was cancelled, and nothing twice."""
    world.enter(datasets=world.affected[:1])
    open_again(NAME, world.url)  # not at its end: nothing to take up
    assert world.now.state == "planned"

    def cancelled(_url: str, _found: Reprocessing, folder: Path) -> Path:
        world.say("cancelled")
        return folder / "index.html"

    end = world.run("yes", report=cancelled)
    assert (end.outcome, world.states[-1]) == ("cancelled", "cancelled")
    assert world.now.reason == "read it"
    assert world.run().outcome == "cancelled"

    world.ledger.write(lambda c: c.execute(text("UPDATE job SET state = 'cancelled'")))
    open_again(NAME, world.url)
    assert states_in_of(world, f"{NAME}-canary") == {world.affected[0]: "submitted"}
    assert world.run("yes").outcome == "finished"
    assert world.calibrated(world.affected[0]) == 1
