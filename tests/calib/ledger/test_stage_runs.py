"""Stage runs: opened and closed once, with what they cost."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from calib.errors import ConfigError
from calib.ids import DatasetId
from calib.ledger.ledger import Attempt, Ledger, StageMetrics
from calib.ledger.reports import StageRun, stages_of
from calib.records import Outcome

Begin = Callable[..., Attempt]


def stages(ledger: Ledger, dataset: DatasetId, *, last_only: bool = False) -> list[StageRun]:
    """Return the stage runs of a dataset with one job."""
    (job,) = ledger.jobs_of(dataset)
    return ledger.ask(lambda rows: stages_of(rows, job, last_only=last_only))


def test_stage_with_its_costs(ledger: Ledger, dataset: DatasetId, begin: Begin) -> None:
    """What a stage cost is kept: seconds, and bytes beyond 32 bits."""
    number = ledger.open_stage(begin(), "fetch")
    metrics = StageMetrics(wall=1.25, cpu=0.5, peak_rss=5 * 2**30, bytes_in=2**40, bytes_out=0)
    ledger.close_stage(number, "done", metrics=metrics)
    (run,) = stages(ledger, dataset)
    assert (run.attempt, run.stage, run.state, run.error) == (1, "fetch", "done", None)
    assert (run.wall, run.cpu, run.peak_rss, run.bytes_in, run.bytes_out) == (
        1.25,
        0.5,
        5 * 2**30,
        2**40,
        0,
    )
    assert run.ended_at is not None
    assert run.started_at <= run.ended_at


def test_running_stage_is_the_stage_of_the_job(
    ledger: Ledger, dataset: DatasetId, begin: Begin
) -> None:
    """A job shows the stage that was opened last; an open one is running and has no end."""
    attempt = begin()
    ledger.close_stage(ledger.open_stage(attempt, "fetch"), "done")
    ledger.open_stage(attempt, "bestrefs")
    (job,) = ledger.jobs_of(dataset)
    assert job.stage == "bestrefs"
    assert [(run.state, run.ended_at is None) for run in stages(ledger, dataset)] == [
        ("done", False),
        ("running", True),
    ]


def test_stages_of_the_last_attempt(ledger: Ledger, dataset: DatasetId, begin: Begin) -> None:
    """The stages of all attempts are kept; those of the last can be asked for alone."""
    for state in ("error", "processed"):
        attempt = begin()
        ledger.close_stage(ledger.open_stage(attempt, "fetch"), "done")
        ledger.finish_attempt(attempt, Outcome(dataset.name, state, "a test"))
    assert [run.attempt for run in stages(ledger, dataset)] == [1, 2]
    assert [run.attempt for run in stages(ledger, dataset, last_only=True)] == [2]


def test_attempt_stopped_from_outside_has_no_stage_running(
    ledger: Ledger, dataset: DatasetId, begin: Begin
) -> None:
    """The open stage of an attempt that is cancelled is interrupted."""
    attempt = begin()
    ledger.open_stage(attempt, "calibrate")
    ledger.change_state(attempt.job_id, "cancelled", "by the operator")
    (run,) = stages(ledger, dataset)
    assert (run.state, run.error) == ("interrupted", "by the operator")


def test_last_stage_outlives_its_attempt(ledger: Ledger, dataset: DatasetId, begin: Begin) -> None:
    """The stage that finishes the attempt is closed by its owner, a moment later."""
    attempt = begin()
    number = ledger.open_stage(attempt, "state-message")
    ledger.finish_attempt(attempt, Outcome(dataset.name, "processed", "a test"))
    ledger.close_stage(number, "done")
    assert [run.state for run in stages(ledger, dataset)] == ["done"]


def test_closed_stage_stays_closed(
    ledger: Ledger, dataset: DatasetId, begin: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    """The first end of a stage counts; a second one is a warning, not an error."""
    number = ledger.open_stage(begin(), "fetch")
    ledger.close_stage(number, "error", error="no such file at https://me:pw@host")
    with caplog.at_level(logging.WARNING):
        ledger.close_stage(number, "done")
    (run,) = stages(ledger, dataset)
    assert (run.state, run.error) == ("error", "no such file at https://host")
    assert "closed before" in caplog.text


def test_unknown_end_is_refused(ledger: Ledger, begin: Begin) -> None:
    """A stage run ends in a state of the table."""
    number = ledger.open_stage(begin(), "fetch")
    with pytest.raises(ConfigError, match="cannot end in this state"):
        ledger.close_stage(number, "finished")
