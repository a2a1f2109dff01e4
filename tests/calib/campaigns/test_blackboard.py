"""CALCLOUD's blackboard: twelve columns, AWS Batch's words, nothing that breaks a column."""

from __future__ import annotations

from dataclasses import replace

import campaign_story as story
import pytest

from calib.campaigns.blackboard import COLUMNS, JOB_STATES, blackboard
from calib.ledger.costs import Submission, read_submissions
from calib.ledger.ledger import Ledger
from calib.ledger.states import STATES

JOB = Submission(
    id=7,
    campaign="night",
    dataset="j8bt05njq",
    run="r1",
    state="processing",
    reason=None,
    code=None,
    uri=None,
    created_at="2026-01-01T00:00:00.9+00:00",
    attempt=1,
    started_at="2026-01-01T00:01:00+00:00",
    ended_at=None,
    has_begun=True,
    peak_rss=2048,
)


def cells(job: Submission) -> dict[str, str]:
    """Return the one line of a job by column."""
    head, line = blackboard([job], "/scratch")
    assert head == (
        "GlobalJobId|SubmitDate|JobStartDate|CompletionDate|JobDuration|ImageSize|JobState|"
        "ExitCode|ExitReason|Dataset|LogStream|S3Path\n"
    )
    assert line.endswith("\n")
    return dict(zip(COLUMNS, line.removesuffix("\n").split("|"), strict=True))


def test_a_job_at_work() -> None:
    """Times are whole seconds, 0 where there is none yet; memory is KiB; the log is named."""
    found = cells(JOB)
    assert (found["SubmitDate"], found["JobStartDate"]) == ("1767225600", "1767225660")
    assert (found["CompletionDate"], found["JobDuration"]) == ("0", "0")
    assert (found["ImageSize"], found["JobState"], found["ExitReason"]) == ("2", "RUNNING", "None")
    assert found["LogStream"] == "file:/scratch/r1/j8bt05njq/process.txt"


def test_a_job_before_its_first_stage_is_starting() -> None:
    """AWS Batch's word for a job that has a place and has not begun."""
    assert cells(replace(JOB, has_begun=False))["JobState"] == "STARTING"


@pytest.mark.parametrize("state", STATES)
def test_every_state_has_a_word_of_aws_batch(state: str) -> None:
    """No state of ours is without one, and no other word comes up."""
    known = {"SUBMITTED", "PENDING", "RUNNABLE", "RUNNING", "SUCCEEDED", "FAILED"}
    assert JOB_STATES[state] in known
    assert cells(replace(JOB, state=state))["JobState"] == JOB_STATES[state]


def test_a_reason_stays_one_cell() -> None:
    """Bars and line ends in a reason do not make columns or lines; it is cut as CALCLOUD does."""
    found = cells(replace(JOB, state="error", reason="a|b\r\nc " + "x" * 300, code=31))
    assert found["ExitReason"].startswith("a/b c xxx")
    assert len(found["ExitReason"]) <= 255
    assert found["ExitCode"] == "31"


def test_blackboard_of_a_campaign(ledger: Ledger) -> None:
    """Every job has its line; a published one names the log and the place of its products."""
    story.tell(ledger)
    _, *lines = blackboard(ledger.ask(lambda ask: [*read_submissions(ask)]), "/scratch")
    rows = [dict(zip(COLUMNS, line.rstrip("\n").split("|"), strict=True)) for line in lines]
    assert [(row["Dataset"], row["JobState"]) for row in rows] == [
        (story.EASY, "SUCCEEDED"),
        (story.CLIMBS, "SUCCEEDED"),
        (story.BROKEN, "FAILED"),
        (story.CANCELLED, "FAILED"),
        (story.LEFT, "SUBMITTED"),
    ]
    assert rows[1]["ImageSize"] == str(5 * story.GB // 1024)
    assert rows[0]["LogStream"] == f"{story.place(story.EASY)}/logs/process.txt"
    assert rows[4]["LogStream"] == "None"
