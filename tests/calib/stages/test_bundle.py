"""A failed dataset leaves what tells why, in little room; a rescued one takes it away."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from failing_stages import failing

from calib.errors import CorruptFile
from calib.records import Outcome
from calib.stages import bundle
from calib.stages.bundle import bundle_folder, write_bundle
from calib.stages.job import Job
from calib.stages.sequence import process_dataset


def test_failure_leaves_a_bundle_and_success_removes_it(job: Job) -> None:
    """Outcome, log, headers and the records of finished stages are there; then nothing is."""
    process_dataset(job, failing("preview", CorruptFile("broken")))

    place = bundle_folder(job)
    assert place == Path(job.work) / "failed" / job.run / job.dataset
    told = json.loads((place / "outcome.json").read_text())
    assert told["outcome"]["error_class"] == "CorruptFile"
    assert told["attempt"] == 1
    assert "preview failed: CorruptFile: broken" in (place / "process.txt").read_text()
    assert "ROOTNAME" in (place / "headers.txt").read_text()
    assert {path.name for path in place.iterdir()} == {
        *("outcome.json", "process.txt", "headers.txt"),
        *("fetch.json", "bestrefs.json", "calibrate.json"),
    }
    assert sum(path.stat().st_size for path in place.iterdir()) < 100_000

    assert process_dataset(job).state == "processed"

    assert not place.exists()


def test_bundle_has_what_a_program_said(job: Job) -> None:
    """The log that was kept of a failed program is in the bundle, too."""
    job.folder.mkdir(parents=True)
    (job.folder / "j8bt05njq_hstcal.log").write_text("it hurts")

    write_bundle(job, 1, Outcome(job.dataset, "error", "failed"))

    assert (bundle_folder(job) / "j8bt05njq_hstcal.log").read_text() == "it hurts"


def test_bundle_is_small_whatever_the_log_says(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a long log the end is kept."""
    monkeypatch.setattr(bundle, "MOST", 1000)
    job.folder.mkdir(parents=True)
    (job.folder / "process.txt").write_text("noise\n" * 10_000)

    process_dataset(job, failing("fetch", CorruptFile("broken")))

    log = bundle_folder(job) / "process.txt"
    assert log.stat().st_size <= 1000
    assert "broken" in log.read_text()


def test_bundle_that_cannot_be_written_changes_nothing(job: Job) -> None:
    """The outcome stays what it was."""
    Path(job.work).mkdir(parents=True)
    (Path(job.work) / "failed").write_text("in the way")

    outcome = process_dataset(job, failing("fetch", CorruptFile("broken")))

    assert (outcome.state, outcome.error_class) == ("error", "CorruptFile")
