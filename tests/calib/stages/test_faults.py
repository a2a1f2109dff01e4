"""Failures on purpose: how they are asked for, and that they happen as the real ones do."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.archive.outputs import open_output
from calib.errors import ConfigError
from calib.ledger.reports import stages_of
from calib.programs.allowance import Allowance
from calib.records import Outcome
from calib.stages.faults import KINDS, Fault, parse_fault, parse_faults
from calib.stages.job import Job
from calib.stages.policy import STAGES
from calib.stages.recording import ledger_of
from calib.stages.sequence import process_dataset


@given(
    stage=st.sampled_from(STAGES),
    kind=st.sampled_from(sorted(set(KINDS) - {"corrupt-output"})),
    times=st.integers(1, 1000),
    dataset=st.sampled_from([None, "j8pq010a1", "jsim01aaq"]),
)
def test_what_is_shown_is_read_again(
    stage: str, kind: str, times: int, dataset: str | None
) -> None:
    """The text of a fault, as the log has it, asks for the same fault."""
    fault = Fault(stage, kind, times, dataset)
    assert parse_fault(str(fault)) == fault


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "not a fault"),
        ("calibrate", "not a fault"),
        ("calibrate=memory:x", "not a fault"),
        ("calibrate=memory@", "not a fault"),
        ("calibrate=memory:0", "too often or never"),
        ("calibrate=memory:1001", "too often or never"),
        ("cook=memory", "not a stage"),
        ("calibrate=hunger", "not a kind"),
        ("bestrefs=corrupt-output", "leaves files"),
        ("calibrate=memory@../etc", "dataset"),
    ],
)
def test_bad_fault_is_refused(text: str, match: str) -> None:
    """A fault that cannot happen is refused before any work; the message says what can."""
    with pytest.raises(ConfigError, match=match):
        parse_fault(text)


def test_several_faults_stand_in_one_text() -> None:
    """A variable holds more than one, and may be empty."""
    assert parse_faults(["fetch=network:2,calibrate=crash@J8PQ010A1", ""]) == (
        Fault("fetch", "network", 2),
        Fault("calibrate", "crash", 1, "j8pq010a1"),
    )


@pytest.fixture(autouse=True)
def _kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never let a fault end the process of the tests, whatever another test said of it."""
    monkeypatch.setattr("calib.stages.watch._threads.is_disposable", False)


def processed(job: Job, *faults: str) -> Outcome:
    """Process a dataset with faults."""
    options = dataclasses.replace(job.options, faults=parse_faults(faults), previews="none")
    return process_dataset(dataclasses.replace(job, options=options))


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ("calibrate=memory", "OutOfMemory", 32),
        ("calibrate=crash", "ConfigError", 2),
        ("calibrate=corrupt-output", "ArchiveError", 25),
    ],
)
def test_fault_is_an_error_once_and_then_passes(
    job: Job, fault: str, error: str, code: int
) -> None:
    """The next attempt of the same job succeeds, and publishes whole products."""
    outcome = processed(job, fault)
    assert (outcome.state, outcome.error_class, outcome.code) == ("error", error, code)
    assert f"simulated fault: {fault}:1" in (job.folder / "process.txt").read_text()

    assert processed(job, fault).state == "processed"
    assert open_output(str(job.output)).verify(job.id) == []


@pytest.mark.parametrize("fault", ["bestrefs=network:2", "bestrefs=disk-full"])
def test_passing_fault_is_tried_again_by_the_stage(
    job: Job, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that is away and a disk that is full for a moment end no attempt."""
    waits: list[float] = []
    monkeypatch.setattr(Allowance, "wait", lambda _self, seconds: waits.append(seconds))

    outcome = processed(job, fault)

    assert outcome.state == "processed"
    ledger = ledger_of(job.ledger)
    rows = ledger.ask(lambda rows: stages_of(rows, ledger.jobs_of(job.id)[-1]))
    states = [row.state for row in rows if row.stage == "bestrefs"]
    assert states == ["error"] * len(waits) + ["done"]
    assert len(waits) == int(fault.partition(":")[2] or 1)


def test_fault_of_another_dataset_does_not_happen(job: Job) -> None:
    """A fault that names a dataset leaves the others alone."""
    assert processed(job, "fetch=network:9@j8pq010a1").state == "processed"


def test_disk_full_leaves_nothing_half_made(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the stage had written is removed, and the error names the place."""
    monkeypatch.setattr(Allowance, "wait", lambda *_given: None)
    outcome = processed(job, "fetch=disk-full:9")

    assert (outcome.error_class, outcome.code) == ("Unavailable", 25)
    assert "No space left" in outcome.reason
    assert [path.name for path in Path(job.folder).glob(".*")] == []
