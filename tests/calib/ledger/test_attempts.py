"""Attempts: one owner at a time, taken over from the dead, closed once."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from calib.errors import ConfigError, Interrupted, Unavailable
from calib.ids import DatasetId, parse_dataset
from calib.ledger.ledger import Attempt, Ledger, current_owner, open_ledger
from calib.ledger.reports import stages_of
from calib.ledger.schema import attempt as attempts
from calib.records import Outcome

Begin = Callable[..., Attempt]
LONG_AGO = 1.0  # start of a process that cannot be ours, seconds since 1970


def outcome(state: str, dataset: str = "j8bt05njq", **fields: object) -> Outcome:
    """Return how a dataset ended."""
    return Outcome(dataset, state, "a test", **fields)  # type: ignore[arg-type]


def states(ledger: Ledger, dataset: DatasetId) -> list[str]:
    """Return the states a dataset went through."""
    return [change.to_state for change in ledger.history(dataset)]


def test_first_attempt(ledger: Ledger, dataset: DatasetId, begin: Begin) -> None:
    """A submitted job becomes processing, and the history says whose attempt it is."""
    attempt = begin()
    assert (attempt.number, attempt.dataset) == (1, dataset.name)
    last = ledger.history(dataset)[-1]
    assert (last.from_state, last.to_state, last.attempt) == ("submitted", "processing", 1)
    assert last.reason == f"attempt 1 by {current_owner()}"


@pytest.mark.parametrize("state", ["processed", "skipped", "blocked", "error", "cancelled"])
def test_end_of_an_attempt_is_the_state_of_the_job(
    ledger: Ledger, dataset: DatasetId, begin: Begin, state: str
) -> None:
    """The outcome is written to job, attempt and history; a second attempt may follow."""
    ledger.finish_attempt(begin(), outcome(state, error_class="NotFound", code=22))
    (job,) = ledger.jobs_of(dataset)
    assert (job.state, job.reason, job.code, job.error_class) == (state, "a test", 22, "NotFound")
    assert states(ledger, dataset) == ["planned", "submitted", "processing", state]
    assert begin().number == 2
    (job,) = ledger.jobs_of(dataset)
    assert (job.error_class, job.code) == (None, None), "the error of before is forgotten"


def test_skipped_because_published_is_processed(
    ledger: Ledger, dataset: DatasetId, begin: Begin
) -> None:
    """Nothing to do because the products exist: the job is processed, and they are named."""
    ledger.finish_attempt(begin(), outcome("skipped", uri="https://me:pw@host/r1/acs/j8bt05njq"))
    (job,) = ledger.jobs_of(dataset)
    assert (job.state, job.uri) == ("processed", "https://host/r1/acs/j8bt05njq")


def test_finishing_twice_is_finishing_once(
    ledger: Ledger, dataset: DatasetId, begin: Begin
) -> None:
    """The same outcome again, after a lost answer, changes nothing."""
    attempt = begin()
    for _ in range(2):
        ledger.finish_attempt(attempt, outcome("processed"))
    assert states(ledger, dataset).count("processed") == 1
    with pytest.raises(Interrupted, match="attempt 1 is closed"):
        ledger.finish_attempt(attempt, outcome("error"))


@pytest.mark.parametrize("state", ["submitted", "processing", "synced", "done", ""])
def test_attempt_ends_in_an_outcome(ledger: Ledger, begin: Begin, state: str) -> None:
    """Only the five outcomes end an attempt."""
    with pytest.raises(ConfigError, match="cannot end in this state"):
        ledger.finish_attempt(begin(), outcome(state))


def test_outcome_of_another_dataset_is_refused(ledger: Ledger, begin: Begin) -> None:
    """An attempt cannot be closed with what happened to another dataset."""
    with pytest.raises(ConfigError, match="another dataset"):
        ledger.finish_attempt(begin(), outcome("processed", dataset="j8bt05nkq"))


def test_live_owner_keeps_the_job(ledger: Ledger, dataset: DatasetId, begin: Begin) -> None:
    """Nobody takes a job from a live process: the message says who has it, and since when."""
    attempt = begin()
    words = rf"being processed by pid {os.getpid()} on .* since 2\d{{3}}-.*dataset j8bt05njq"
    with pytest.raises(Unavailable, match=words):
        ledger.begin_attempt(attempt.job_id, current_owner())
    with pytest.raises(Unavailable, match=words):
        ledger.submit("adhoc", dataset, "r1", context="hst_1.pmap")
    assert ledger.mark_dead_owners() == []
    ledger.finish_attempt(attempt, outcome("processed"))


@pytest.mark.parametrize("by", ["begin", "submit", "mark"])
def test_dead_owner_loses_the_job(
    ledger: Ledger, dataset: DatasetId, begin: Begin, by: str
) -> None:
    """Whoever asks next frees the job of an ended process, and the history says so."""
    lost = begin(started=LONG_AGO)
    stage = ledger.open_stage(lost, "calibrate")
    if by == "mark":
        assert ledger.mark_dead_owners() == [lost]
    if by == "submit":
        assert ledger.submit("adhoc", dataset, "r1", context="hst_1.pmap") == lost.job_id
    attempt = ledger.begin_attempt(lost.job_id, current_owner())
    assert attempt.number == 2
    freed = ledger.history(dataset)[-2]
    assert (freed.from_state, freed.to_state, freed.attempt) == ("processing", "submitted", 1)
    assert (
        freed.reason == f"attempt 1 was lost: pid {os.getpid()} on {current_owner().host} has ended"
    )
    _assert_fenced(ledger, lost, stage)
    ledger.finish_attempt(attempt, outcome("processed"))


def _assert_fenced(ledger: Ledger, lost: Attempt, stage: int) -> None:
    """Check that an attempt that was taken over can write nothing any more."""
    before = ledger.history(parse_dataset(lost.dataset))
    for write in (
        lambda: ledger.finish_attempt(lost, outcome("processed")),
        lambda: ledger.heartbeat(lost),
        lambda: ledger.open_stage(lost, "archive"),
    ):
        with pytest.raises(Interrupted, match="attempt 1 is closed: attempt 1 was lost"):
            write()
    ledger.close_stage(stage, "done")
    (job, *_others) = ledger.jobs_of(parse_dataset(lost.dataset))
    assert [run.state for run in ledger.ask(lambda rows: stages_of(rows, job))] == ["interrupted"]
    assert ledger.history(parse_dataset(lost.dataset)) == before


def test_owner_elsewhere_is_judged_by_its_heartbeat(url: str, ledger: Ledger, begin: Begin) -> None:
    """A job on another host is taken over only when its owner has been silent too long."""
    attempt = begin(host="elsewhere", pid=1)
    with pytest.raises(Unavailable, match="pid 1 on elsewhere"):
        ledger.begin_attempt(attempt.job_id, current_owner())
    with open_ledger(url, stale_after=timedelta(0)) as impatient:
        impatient.heartbeat(attempt)
        second = impatient.begin_attempt(attempt.job_id, current_owner())
    assert second.number == 2


def test_heartbeat_is_written(ledger: Ledger, begin: Begin) -> None:
    """A heartbeat moves the time at which the owner was last heard of."""
    attempt = begin()
    row = select(attempts).where(attempts.c.id == attempt.id)
    before = ledger._store.read(lambda c: c.execute(row).one())
    ledger.heartbeat(attempt)
    after = ledger._store.read(lambda c: c.execute(row).one())
    assert before.started_at == after.started_at <= before.heartbeat_at < after.heartbeat_at


def test_foreign_token_is_refused(ledger: Ledger, begin: Begin) -> None:
    """The number of an attempt is not enough: its token proves the owner."""
    attempt = begin()
    stolen = Attempt(attempt.id, attempt.job_id, attempt.dataset, attempt.number, "0" * 32)
    with pytest.raises(Interrupted):
        ledger.finish_attempt(stolen, outcome("processed"))


def test_job_must_be_submitted_first(ledger: Ledger, begin: Begin) -> None:
    """A job at rest is not processed before somebody asks for it again."""
    attempt = begin()
    ledger.finish_attempt(attempt, outcome("error"))
    with pytest.raises(ConfigError, match="a job that is error cannot become processing"):
        ledger.begin_attempt(attempt.job_id, current_owner())


def test_cancelling_closes_the_attempt(ledger: Ledger, dataset: DatasetId, begin: Begin) -> None:
    """A job cancelled at work is cancelled; its owner learns so, and may agree."""
    attempt = begin()
    ledger.change_state(attempt.job_id, "cancelled", "by the operator", code=143)
    with pytest.raises(Interrupted, match="by the operator"):
        ledger.heartbeat(attempt)
    with pytest.raises(Interrupted):
        ledger.finish_attempt(attempt, outcome("processed"))
    ledger.finish_attempt(attempt, outcome("cancelled"))
    assert states(ledger, dataset)[-2:] == ["processing", "cancelled"]


def test_archive_acknowledges(ledger: Ledger, dataset: DatasetId, begin: Begin) -> None:
    """Synced and archived follow processed, with the products' place kept."""
    attempt = begin()
    ledger.finish_attempt(attempt, outcome("processed", uri="file:///out"))
    ledger.change_state(attempt.job_id, "synced", "copied")
    ledger.change_state(attempt.job_id, "archived", "acknowledged")
    (job,) = ledger.jobs_of(dataset)
    assert (job.state, job.uri) == ("archived", "file:///out")


def test_processing_is_not_set_from_outside(ledger: Ledger, dataset: DatasetId) -> None:
    """Only an attempt brings a job into processing."""
    job = ledger.submit("adhoc", dataset, "r1", context="hst_1.pmap")
    with pytest.raises(ConfigError, match="only an attempt"):
        ledger.change_state(job, "processing", "a test")


def test_messages_hold_no_credentials(ledger: Ledger, dataset: DatasetId, begin: Begin) -> None:
    """A URL with a password in a reason is stored without it, everywhere."""
    said = Outcome(dataset.name, "error", "cannot reach https://me:hunter2@host/x", 22)
    ledger.finish_attempt(begin(), said)
    assert "hunter2" not in str(ledger.history(dataset)) + str(ledger.jobs_of(dataset))
    rows = ledger._store.read(lambda c: c.execute(select(attempts)).all())
    assert "https://host/x" in str(rows)
    assert "hunter2" not in str(rows)
