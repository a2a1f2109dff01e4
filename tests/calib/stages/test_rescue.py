"""A rescue goes on at the stage that failed; another context goes on at the references."""

from __future__ import annotations

import dataclasses

import pytest

from calib.campaigns.manifest import entries_of
from calib.ledger.campaign_reports import campaigns, chunks_left, jobs_left
from calib.ledger.campaigns import Changes, rescue_jobs
from calib.ledger.reports import stages_of
from calib.records import Outcome
from calib.simulate.observatory import Observatory
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.enrolment import enrol, job_of
from calib.stages.faults import parse_faults
from calib.stages.job import Job, Options
from calib.stages.planning import Request, plan_jobs
from calib.stages.policy import POLICIES, RetryPolicy
from calib.stages.recording import ledger_of
from calib.stages.sequence import process_dataset

# The disk is full in the first try, and a preview that fails is an error.
FAILS = Options(previews="required", faults=parse_faults(["preview=disk-full"]))


@pytest.fixture(autouse=True)
def one_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no stage try again by itself: it would pass."""
    monkeypatch.setitem(POLICIES, "preview", RetryPolicy(delays=()))


def left_of(plan: CampaignPlan) -> list[Job]:
    """Return the jobs that a campaign still has to run, as its process makes them."""
    ledger = ledger_of(plan.request.ledger)
    number = ledger.ask(lambda rows: campaigns(rows, plan.name))[0].id
    chunks = ledger.ask(lambda rows: chunks_left(rows, number))
    left = ledger.ask(lambda rows: [jobs_left(rows, number, chunk) for chunk in chunks])
    return [job_of(plan, row) for rows in left for row in rows]


def stages_of_last(job: Job) -> dict[str, str]:
    """Return the state of each stage of the last attempt."""
    ledger = ledger_of(job.ledger)
    row = ledger.jobs_of(job.id, campaign=job.campaign)[-1]
    return {
        each.stage: each.state
        for each in ledger.ask(lambda rows: stages_of(rows, row, last_only=True))
    }


def test_rescue_after_a_failed_preview_runs_the_preview_alone(
    request_of: Request, observatory: Observatory
) -> None:
    """Fetch, bestrefs and calibrate are used again; the dataset is published."""
    asked = dataclasses.replace(request_of, campaign="night", options=FAILS)
    wanted = entries_of([f"{observatory.datasets[0]} retries=0"])
    plan = enrol(CampaignPlan(asked), wanted).plan
    (job,) = left_of(plan)

    failed = process_dataset(job)

    assert (failed.state, failed.stage, failed.retry) == ("error", "preview", None)
    assert left_of(plan) == []
    ledger = ledger_of(job.ledger)
    number = ledger.jobs_of(job.id, campaign="night")[-1].id
    assert ledger.write(lambda c: rescue_jobs(c, [number], "disk mended", Changes())) == 1
    (again,) = left_of(plan)
    assert process_dataset(again).state == "processed"
    assert stages_of_last(job) == {
        **dict.fromkeys(("fetch", "bestrefs", "calibrate"), "reused"),
        **dict.fromkeys(("preview", "archive", "state-message"), "done"),
    }


def test_another_context_goes_on_at_the_references(
    request_of: Request, observatory: Observatory
) -> None:
    """What was fetched is used again; references, products and previews are made anew."""

    def attempt(context: str, options: Options) -> tuple[Outcome, dict[str, str]]:
        asked = dataclasses.replace(request_of, context=context, run="night", options=options)
        job = plan_jobs(asked, observatory.datasets[:1])[0]
        return process_dataset(job), stages_of_last(job)

    failed, _ = attempt(observatory.contexts[0], FAILS)
    assert failed.stage == "preview"

    outcome, stages = attempt(observatory.contexts[1], Options(previews="required"))

    assert (outcome.state, outcome.context) == ("processed", observatory.contexts[1])
    assert stages.pop("fetch") == "reused"
    assert set(stages.values()) == {"done"}
