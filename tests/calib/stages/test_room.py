"""What a dataset needs is held against its grant: measured before it is predicted."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from calib.campaigns.rungs import rung_for
from calib.cost_model import FORESEEN, Features
from calib.errors import OutOfMemory, Unavailable
from calib.grants import Grant
from calib.ledger.attempts import finish
from calib.ledger.ledger import StageMetrics, Start, current_owner
from calib.ledger.stage_runs import close_stage, open_stage
from calib.records import Outcome
from calib.stages.job import Job
from calib.stages.outcomes import failed
from calib.stages.recording import ledger_of
from calib.stages.room import check_disk, check_memory

GB = 10**9
# A large association: its formula is above the small rung.
HUGE = Features(8, 3000.0, 1, 1, 2, 0, 1, 1, 0)


def granted(job: Job, **values: Any) -> Job:
    """Return the job with a grant of a campaign."""
    return dataclasses.replace(job, grant=Grant(is_supervised=True, rungs=(GB, 64 * GB), **values))


def was_measured(job: Job, peak: int) -> None:
    """Let the ledger know what another campaign has measured."""
    ledger = ledger_of(job.ledger)
    known = Start("earlier", job.id, "r0", job.context)
    attempt = ledger.start(known, current_owner())
    number = ledger.write(lambda c: open_stage(c, attempt, "calibrate"))
    costs = StageMetrics(wall=1.0, cpu=1.0, peak_rss=peak)
    ledger.write(lambda c: close_stage(c, number, "done", costs, None))
    outcome = Outcome(job.dataset, "processed", "done")
    ledger.write(lambda c: finish(c, attempt, outcome))


def test_job_that_is_foreseen_to_fail_is_given_back(job: Job) -> None:
    """Its message is the one that training knows: nothing can be learned from it."""
    small = granted(job, memory=GB)
    with pytest.raises(OutOfMemory, match=FORESEEN) as caught:
        check_memory(small, HUGE)

    assert caught.value.need is not None
    ladder = dataclasses.replace(small.grant, rungs=(GB, 2 * GB, 64 * GB))
    retry = failed(dataclasses.replace(small, grant=ladder), caught.value, "calibrate").retry
    assert retry is not None
    assert retry.grant.memory == rung_for(caught.value.need, ladder.rungs) != 2 * GB


def test_measurement_is_believed_before_the_formula(job: Job) -> None:
    """A dataset that was placed by what it took before is not sent up by its headers."""
    was_measured(job, GB // 2)
    check_memory(granted(job, memory=GB), HUGE)


def test_largest_rung_is_tried(job: Job) -> None:
    """A prediction alone ends no job."""
    check_memory(dataclasses.replace(job, grant=Grant(memory=GB, rungs=(GB,))), HUGE)


def test_no_room_on_the_disk_may_pass(job: Job) -> None:
    """Others may give some back."""
    with pytest.raises(Unavailable, match="no room"):
        check_disk(granted(job, disk=10**18))
