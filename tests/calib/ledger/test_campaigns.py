"""Campaigns in the ledger: plan, chunks, control, cancel and rescue."""

from __future__ import annotations

import json
from typing import Any

import pytest

from calib.errors import Cancelled, ConfigError, Interrupted, Unavailable, WorkerLost
from calib.grants import Grant, Retry
from calib.ids import DatasetId, parse_dataset
from calib.ledger.attempts import beat
from calib.ledger.campaign_reports import LeftJob, campaigns, chunks_left, jobs_left
from calib.ledger.campaigns import (
    Changes,
    NewJob,
    cancel_jobs,
    enter_jobs,
    rescue_jobs,
    set_control,
    set_plan,
)
from calib.ledger.ledger import Ledger, Owner, Start, current_owner
from calib.records import Outcome

CONTEXT = "hst_1.pmap"
NAMES = [parse_dataset(f"j8bt05n{letter}q") for letter in "abcdefg"]


def plan(ledger: Ledger, wanted: list[NewJob], *, name: str = "nightly", size: int = 3) -> int:
    """Enter jobs of a campaign, and return how many were new."""
    ledger.write(lambda c: set_plan(c, name, context=CONTEXT, plan='{"a": 1}', priority=5))
    place: dict[str, Any] = {"run": "r1", "context": CONTEXT, "chunk_size": size}
    return ledger.write(lambda c: enter_jobs(c, name, wanted, **place))


def left(ledger: Ledger, chunk: int = 0, campaign: int = 1) -> list[LeftJob]:
    """Return what a chunk has left."""
    return ledger.ask(lambda rows: jobs_left(rows, campaign, chunk))


def start_of(dataset: DatasetId, campaign: str = "nightly", **fields: Any) -> Start:
    """Return how a worker begins a job of a campaign."""
    return Start(campaign, dataset, "r1", CONTEXT, **{"is_supervised": True, **fields})


def dead() -> Owner:
    """Return an owner that has ended: no process of ours is that old."""
    me = current_owner()
    return Owner(me.host, me.pid, 1.0, me.token)


def test_jobs_are_dealt_out_in_chunks(ledger: Ledger) -> None:
    """Chunks are filled in order; what comes later follows, and what is there stays."""
    assert plan(ledger, [NewJob(each) for each in NAMES[:4]]) == 4
    assert plan(ledger, [NewJob(each, memory=7) for each in [*NAMES, *NAMES]]) == 3
    assert ledger.ask(lambda rows: chunks_left(rows, 1)) == {0: 3, 1: 3, 2: 1}
    found = [each.dataset for chunk in range(3) for each in left(ledger, chunk)]
    assert found == [each.name for each in NAMES]
    assert [each.memory for each in left(ledger, 1)] == [None, 7, 7]
    for each in NAMES:
        assert [change.to_state for change in ledger.history(each)] == ["planned"]


def test_another_size_begins_another_chunk(ledger: Ledger) -> None:
    """No job goes into a chunk that was made with another size, or is out of order."""
    plan(ledger, [NewJob(each) for each in NAMES[:4]], size=3)
    plan(ledger, [NewJob(NAMES[4])], size=4)
    plan(ledger, [NewJob(each) for each in NAMES[5:]], size=1)
    assert ledger.ask(lambda rows: chunks_left(rows, 1)) == {0: 3, 1: 1, 2: 1, 3: 1, 4: 1}
    found = [each.dataset for chunk in range(5) for each in left(ledger, chunk)]
    assert found == [each.name for each in NAMES]


def test_other_settings_are_other_work(ledger: Ledger) -> None:
    """A rescue that changes settings forgets what named the work; one with more memory does not."""
    keys = [NewJob(each, work_key=each.name) for each in NAMES[:2]]
    plan(ledger, keys)
    ledger.write(lambda c: cancel_jobs(c, [1, 2], "by the operator"))
    ledger.write(lambda c: rescue_jobs(c, [1], "more", Changes(overrides={"set": ["a.b=1"]})))
    ledger.write(lambda c: rescue_jobs(c, [2], "more", Changes(memory=8)))
    rows = ledger.ask(lambda rows: rows("SELECT work_key FROM job ORDER BY id", {}))
    assert [row["work_key"] for row in rows] == [None, NAMES[1].name]


def test_what_was_decided_for_a_job_is_kept(ledger: Ledger) -> None:
    """Memory, disk, factor, priority and overrides come back as they went in."""
    asked = {"rung": 8, "set": ["DARKCORR=OMIT"]}
    new = NewJob(NAMES[0], "k" * 64, 2**40, 3, priority=9, time_scale=2.5, overrides=asked)
    plan(ledger, [NewJob(NAMES[1]), new])
    first = left(ledger)[0]
    assert (first.dataset, first.state, first.run) == (NAMES[0].name, "planned", "r1")
    assert (first.memory, first.disk, first.priority, first.time_scale) == (2**40, 3, 9, 2.5)
    assert (first.overrides, first.retries) == (asked, {})
    (campaign,) = ledger.ask(lambda rows: campaigns(rows, "nightly"))
    assert (campaign.plan, campaign.priority, campaign.context) == ({"a": 1}, 5, CONTEXT)


def test_plan_is_replaced_and_context_is_not(ledger: Ledger) -> None:
    """How a campaign is run may change; its context may not, and nothing is written then."""
    plan(ledger, [NewJob(NAMES[0])])
    ledger.write(lambda c: set_plan(c, "nightly", context=CONTEXT, plan='{"a": 2}'))
    with pytest.raises(ConfigError, match="frozen on another context"):
        ledger.write(lambda c: set_plan(c, "nightly", context="hst_2.pmap", plan="{}"))
    (campaign,) = ledger.ask(lambda rows: campaigns(rows, "nightly"))
    assert (campaign.plan, campaign.priority) == ({"a": 2}, 0)


def test_control_is_one_of_three_words(ledger: Ledger) -> None:
    """Another word, or another campaign, is refused."""
    plan(ledger, [NewJob(NAMES[0])])
    for word in ("pause", "cancel", "run"):
        ledger.write(lambda c, word=word: set_control(c, "nightly", word))  # type: ignore[misc]
        assert ledger.ask(lambda rows: campaigns(rows, "nightly"))[0].control == word
    with pytest.raises(ConfigError, match="not a wish"):
        ledger.write(lambda c: set_control(c, "nightly", "stop"))
    with pytest.raises(ConfigError, match="no such campaign"):
        ledger.write(lambda c: set_control(c, "nigthly", "run"))


def test_cancelling_a_job_at_work_closes_its_attempt(ledger: Ledger) -> None:
    """Its owner goes no further, and a worker that gets it later does not begin it."""
    plan(ledger, [NewJob(each) for each in NAMES[:3]])
    attempt = ledger.start(start_of(NAMES[0]), current_owner())
    ledger.open_stage(attempt, "calibrate")
    done = ledger.start(start_of(NAMES[1]), current_owner())
    ledger.finish_attempt(done, Outcome(NAMES[1].name, "processed", "a test"))

    assert ledger.write(lambda c: cancel_jobs(c, [1, 2, 3], "by the operator")) == 2
    assert ledger.count_states(campaign="nightly") == {"processed": 1, "cancelled": 2}
    (job,) = ledger.jobs_of(NAMES[0])
    assert (job.error_class, job.code, job.reason) == ("Cancelled", 143, "by the operator")
    for write in (ledger.heartbeat, lambda one: ledger.open_stage(one, "preview")):
        with pytest.raises(Interrupted, match="by the operator"):
            write(attempt)
    with pytest.raises(Cancelled, match="cancelled meanwhile: by the operator"):
        ledger.start(start_of(NAMES[0]), current_owner())
    with pytest.raises(Interrupted, match="processed meanwhile"):
        ledger.start(start_of(NAMES[1]), current_owner())
    assert ledger.write(lambda c: cancel_jobs(c, [1, 2, 3], "again")) == 0


def test_rescue_submits_what_failed_with_more(ledger: Ledger) -> None:
    """Errors, blocked and cancelled jobs go on with what was changed; the others stay."""
    plan(ledger, [NewJob(each, memory=2, overrides={"env": {"A": "1"}}) for each in NAMES[:5]])
    for each, state in zip(NAMES, ["error", "blocked", "processed"], strict=False):
        attempt = ledger.start(start_of(each), current_owner())
        ledger.finish_attempt(attempt, Outcome(each.name, state, "a test", 22, "NotFound"))
    ledger.write(lambda c: cancel_jobs(c, [4], "by the operator"))

    changes = Changes(memory=8, time_scale=2.0, priority=3, overrides={"retries": 5})
    assert ledger.write(lambda c: rescue_jobs(c, [1, 2, 3, 4, 5], "more", changes)) == 3
    states = {"planned": 1, "submitted": 3, "processed": 1}
    assert ledger.count_states(campaign="nightly") == states
    found = next(each for each in left(ledger) if each.dataset == NAMES[0].name)
    assert (found.memory, found.time_scale, found.priority, found.retries) == (8, 2.0, 3, {})
    assert found.overrides == {"env": {"A": "1"}, "retries": 5}
    (job,) = ledger.jobs_of(NAMES[0])
    assert (job.error_class, job.code, job.reason) == (None, None, "more")
    assert ledger.write(lambda c: rescue_jobs(c, [1], "again", Changes())) == 0


def test_rescue_counts_retries_anew(ledger: Ledger) -> None:
    """A job that was tried again twice has all its retries after a rescue."""
    plan(ledger, [NewJob(NAMES[0], memory=2)])
    attempt = ledger.start(start_of(NAMES[0]), current_owner())
    grant = Grant(memory=8, time_scale=2.0, retries={"memory": 1, "time": 1})
    retry = Retry("memory", "next rung", 0.0, grant)
    said = Outcome(NAMES[0].name, "error", "too little", 32, "OutOfMemory", retry=retry)
    ledger.finish_attempt(attempt, said)
    (job,) = left(ledger)
    assert (job.state, job.memory, job.time_scale) == ("submitted", 8, 2.0)
    assert job.retries == {"memory": 1, "time": 1}
    attempt = ledger.start(start_of(NAMES[0]), current_owner())
    ledger.finish_attempt(attempt, Outcome(NAMES[0].name, "error", "a test"))
    ledger.write(lambda c: rescue_jobs(c, [1], "more", Changes()))
    (job,) = left(ledger)
    assert (job.memory, job.retries) == (8, {})


def test_same_work_is_not_begun_twice(ledger: Ledger) -> None:
    """While one campaign processes a dataset another one waits, and learns where it is."""
    key = "a" * 64
    plan(ledger, [NewJob(NAMES[0], key), NewJob(NAMES[1], "b" * 64)])
    plan(ledger, [NewJob(NAMES[0], key)], name="other")
    attempt = ledger.start(start_of(NAMES[0]), current_owner())
    ledger.start(start_of(NAMES[1]), current_owner())
    with pytest.raises(Unavailable, match="being processed in campaign nightly by pid"):
        ledger.start(start_of(NAMES[0], "other"), current_owner())
    adhoc = start_of(NAMES[0], "adhoc", work_key=key, is_supervised=False)
    with pytest.raises(Unavailable, match="in campaign nightly"):
        ledger.start(adhoc, current_owner())
    ledger.finish_attempt(attempt, Outcome(NAMES[0].name, "processed", "a test"))
    second = ledger.start(start_of(NAMES[0], "other"), current_owner())
    with pytest.raises(Unavailable, match="in campaign other"):
        ledger.start(adhoc, current_owner())
    ledger.finish_attempt(second, Outcome(NAMES[0].name, "processed", "a test"))
    assert ledger.start(adhoc, current_owner()).number == 1


def test_same_work_of_a_dead_owner_is_taken_over(ledger: Ledger) -> None:
    """A dead owner in another campaign holds nothing; its job waits there to be done."""
    key = "a" * 64
    plan(ledger, [NewJob(NAMES[0], key)])
    plan(ledger, [NewJob(NAMES[0], key)], name="other")
    lost = ledger.start(start_of(NAMES[0]), dead())
    assert ledger.start(start_of(NAMES[0], "other"), current_owner()).number == 1
    with pytest.raises(Interrupted, match="was lost"):
        ledger.heartbeat(lost)
    assert ledger.count_states(campaign="nightly") == {"submitted": 1}


@pytest.mark.parametrize("is_freed", [False, True])
def test_second_worker_does_not_go_on_for_a_lost_one(ledger: Ledger, is_freed: bool) -> None:
    """A scheduler that gives a lost job out again is refused: the campaign decides on memory."""
    plan(ledger, [NewJob(NAMES[0], memory=2)])
    given = start_of(NAMES[0], attempts=0)
    ledger.start(given, dead())
    if is_freed:
        assert len(ledger.mark_dead_owners()) == 1
    with pytest.raises(WorkerLost, match="attempt 1 was lost: pid"):
        ledger.start(given, current_owner())
    second = ledger.start(start_of(NAMES[0], attempts=1), current_owner())
    assert second.number == 2
    with pytest.raises(Unavailable, match="being processed by"):
        ledger.start(given, current_owner())
    grant = Grant(memory=8, retries={"memory": 1})
    said = Outcome(NAMES[0].name, "error", "x", 32, retry=Retry("memory", "more", 0, grant))
    ledger.finish_attempt(second, said)
    with pytest.raises(Interrupted, match="attempt 2 was begun since"):
        ledger.start(given, current_owner())


def test_history_holds_valid_json(ledger: Ledger) -> None:
    """What a grant says of retries is JSON in the ledger, sorted."""
    plan(ledger, [NewJob(NAMES[0])])
    attempt = ledger.start(start_of(NAMES[0]), current_owner())
    retry = Retry("time", "again", 0.0, Grant(retries={"time": 1, "again": 2}))
    ledger.finish_attempt(attempt, Outcome(NAMES[0].name, "error", "x", 137, retry=retry))
    row = ledger.ask(lambda rows: rows("SELECT retries FROM job", {}))[0]
    assert json.loads(row["retries"]) == {"again": 2, "time": 1}


def test_many_are_cancelled_and_rescued_together(ledger: Ledger) -> None:
    """Each keeps its own settings and its history, whatever state it comes from."""
    own = [{}, {"priority": 1}, {"switches": {"A": "B"}}]
    plan(ledger, [NewJob(each, overrides=own[i % 3]) for i, each in enumerate(NAMES)])
    attempt = ledger.start(start_of(NAMES[1]), current_owner())
    numbers = [*range(1, len(NAMES) + 1)]

    assert ledger.write(lambda c: cancel_jobs(c, numbers, "enough")) == len(NAMES)
    assert ledger.write(lambda c: cancel_jobs(c, numbers, "again")) == 0
    with pytest.raises(Interrupted, match="enough"):
        ledger.write(lambda c: beat(c, attempt))
    changes = Changes(memory=9, overrides={"env": {"X": "1"}})
    assert ledger.write(lambda c: rescue_jobs(c, numbers, "once more", changes)) == len(NAMES)

    found = [job for chunk in range(3) for job in left(ledger, chunk)]
    assert [job.overrides for job in found] == [
        {**own[i % 3], "env": {"X": "1"}} for i in range(len(NAMES))
    ]
    assert {job.memory for job in found} == {9}
    said = "SELECT from_state, to_state, reason FROM transition WHERE job_id = 1 ORDER BY id"
    assert [tuple(row.values()) for row in ledger.ask(lambda rows: rows(said, {}))] == [
        (None, "planned", None),
        ("planned", "cancelled", "enough"),
        ("cancelled", "submitted", "once more"),
    ]
