"""What dead processes left is removed at the end of a session, and nothing of live ones."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path

import pytest
from failing_stages import failing

from calib.errors import CorruptFile
from calib.ledger.ledger import current_owner
from calib.stages.job import Job
from calib.stages.recording import ledger_of
from calib.stages.scratch import remove_leftovers
from calib.stages.sequence import process_dataset

DEAD = 2**22 + 1  # above the largest process number (proc(5), pid_max)


def swept(job: Job, *, keep_scratch: bool = False) -> list[Path]:
    """Remove the leftovers of a run."""
    return remove_leftovers(
        job.work,
        job.run,
        ledger=job.ledger,
        campaign=job.campaign,
        keep_scratch=keep_scratch,
    )


def leave(job: Job, pid: int, *, age: float = 60.0) -> Path:
    """Leave a half-made stage of a process behind."""
    folder = job.folder / f".calibrate.{pid}"
    folder.mkdir(parents=True)
    (folder / "half.fits").write_bytes(b"x")
    then = time.time() - age
    os.utime(folder, (then, then))
    return folder


def test_half_made_stages_of_dead_processes_go(job: Job) -> None:
    """The finished stages of a failed job stay for its next attempt."""
    process_dataset(job, failing("preview", CorruptFile("broken")))
    dead, alive, new = leave(job, DEAD), leave(job, os.getpid()), leave(job, DEAD + 1, age=-60)

    assert swept(job) == [dead]

    assert alive.exists()
    assert new.exists()
    assert (job.folder / "calibrate" / "stage.json").exists()


def test_live_job_is_left_alone(job: Job) -> None:
    """While somebody processes the dataset nothing of it is touched, on whatever host."""
    ledger = ledger_of(job.ledger)
    number = ledger.submit(job.campaign, job.id, job.run, context=job.context)
    ledger.begin_attempt(number, current_owner())
    left = leave(job, DEAD)

    assert swept(job) == []
    assert left.exists()


@pytest.mark.parametrize("keep", [False, True])
def test_folder_of_a_published_dataset_goes(job: Job, *, keep: bool) -> None:
    """A process that died after publishing leaves a folder; the run's folder goes with it."""
    process_dataset(job)
    left = leave(job, DEAD)
    then = time.time() - 60
    os.utime(job.folder, (then, then))

    removed = swept(job, keep_scratch=keep)

    assert removed == ([left] if keep else [job.folder])
    assert (Path(job.work) / job.run).exists() == keep


def test_products_that_lie_in_the_work_folder_stay(job: Job) -> None:
    """Without an output the work folder is where the products are."""
    job = dataclasses.replace(job, output=None)
    assert process_dataset(job).state == "processed"
    then = time.time() - 60
    os.utime(job.folder, (then, then))

    assert swept(job) == []
    assert (job.folder / "calibrate").is_dir()


def test_run_without_a_folder_has_nothing_to_remove(job: Job) -> None:
    """A session that began nothing leaves nothing."""
    assert swept(job) == []
