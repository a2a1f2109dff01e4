"""Questions about campaigns: which jobs, what failed, what is at work, how fast."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from calib.ids import parse_dataset
from calib.ledger.campaign_reports import (
    Campaign,
    Failure,
    JobSelection,
    at_work,
    campaigns,
    count_by_instrument,
    ended_lately,
    failures_of,
    find_jobs,
)
from calib.ledger.campaigns import NewJob, enter_jobs, set_plan
from calib.ledger.ledger import Ledger, current_owner
from calib.records import Outcome

ACS = ("j8bt05njq", "j8bt06niq", "j8bt07oyq")
WFC3 = ("iaaj01ivq", "iaaj01iwq")
CONTEXT = "hst_0001.pmap"


@pytest.fixture
def campaign(ledger: Ledger) -> Campaign:
    """Return a campaign of five: two in the same error, one in another, one at work, one left."""
    names = [parse_dataset(name) for name in (*ACS, *WFC3)]

    def enter(connection: object) -> None:
        set_plan(connection, "spring", context=CONTEXT, plan="{}")  # type: ignore[arg-type]
        wanted = [NewJob(name, memory=2_000_000_000) for name in names]
        enter_jobs(connection, "spring", wanted, run="r1", context=CONTEXT, chunk_size=2)  # type: ignore[arg-type]

    ledger.write(enter)
    ledger.submit("other", parse_dataset(ACS[0]), "r2", context=CONTEXT)
    for name, error, code in (
        (0, "Unavailable", 22),
        (1, "Unavailable", 22),
        (3, "CorruptFile", 21),
    ):
        job = ledger.submit("spring", names[name], "r1", context=CONTEXT)
        attempt = ledger.begin_attempt(job, current_owner())
        outcome = Outcome(names[name].name, "error", f"reason of {name}", code, error)
        ledger.finish_attempt(attempt, outcome)
    job = ledger.submit("spring", names[2], "r1", context=CONTEXT)
    attempt = ledger.begin_attempt(job, replace(current_owner(), host="node7", pid=77))
    ledger.open_stage(attempt, "fetch")
    ledger.close_stage(ledger.open_stage(attempt, "bestrefs"), "done")
    ledger.open_stage(attempt, "calibrate")
    return ledger.ask(lambda rows: campaigns(rows, "spring")[0])


def names_of(ledger: Ledger, selection: JobSelection, limit: int | None = None) -> list[str]:
    """Return the datasets that a selection finds."""
    return [job.dataset for job in ledger.ask(lambda rows: find_jobs(rows, selection, limit))]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ({}, [*ACS, *WFC3]),
        ({"states": ["error"]}, [ACS[0], ACS[1], WFC3[0]]),
        ({"states": ["error", "planned"], "instruments": ["wfc3"]}, list(WFC3)),
        ({"error_class": "Unavailable"}, [ACS[0], ACS[1]]),
        ({"code": 21}, [WFC3[0]]),
        ({"datasets": [WFC3[1], ACS[2], "nobody"]}, [ACS[2], WFC3[1]]),
        ({"older_than": "2001-01-01T00:00:00"}, []),
        ({"older_than": "9999-01-01T00:00:00", "code": 22}, [ACS[0], ACS[1]]),
    ],
)
def test_jobs_are_found(
    ledger: Ledger, campaign: Campaign, selection: dict[str, object], expected: list[str]
) -> None:
    """Each part of a selection narrows it, and jobs come in the order of the campaign."""
    wanted = JobSelection(campaign=campaign.name, **selection)  # type: ignore[arg-type]
    assert names_of(ledger, wanted) == expected
    assert names_of(ledger, wanted, 1) == expected[:1]


def test_jobs_of_all_campaigns(ledger: Ledger, campaign: Campaign) -> None:
    """Without a campaign the jobs of all of them are found, each with its campaign."""
    jobs = ledger.ask(lambda rows: find_jobs(rows, JobSelection(datasets=[ACS[0]])))
    assert [(job.campaign, job.run) for job in jobs] == [("spring", "r1"), ("other", "r2")]
    assert campaign.total == len(ACS) + len(WFC3)


def test_more_names_than_a_query_takes(ledger: Ledger, campaign: Campaign) -> None:
    """Forty thousand names are more parameters than SQLite takes, and are found all the same."""
    many = [*(f"name{number}" for number in range(40_000)), WFC3[0], ACS[1]]
    assert names_of(ledger, JobSelection(campaign.name, datasets=many)) == [ACS[1], WFC3[0]]


def test_failures_are_grouped(ledger: Ledger, campaign: Campaign) -> None:
    """Failures with one class and code are one line, with the first of them as example."""
    assert ledger.ask(lambda rows: failures_of(rows, campaign.id)) == [
        Failure("error", "Unavailable", 22, 2, ACS[0], "reason of 0"),
        Failure("error", "CorruptFile", 21, 1, WFC3[0], "reason of 3"),
    ]


def test_what_is_at_work(ledger: Ledger, campaign: Campaign) -> None:
    """A job at work is shown with its host and the stage that it reached last."""
    (found,) = ledger.ask(lambda rows: at_work(rows, campaign.id))
    assert (found.dataset, found.host, found.pid, found.attempt) == (ACS[2], "node7", 77, 1)
    assert found.stage == "calibrate"
    assert found.stage_started_at is not None
    assert found.stage_started_at >= found.started_at


def test_counts_by_instrument(ledger: Ledger, campaign: Campaign) -> None:
    """States are counted for each instrument."""
    counts = ledger.ask(lambda rows: count_by_instrument(rows, campaign.id))
    assert counts == {
        "acs": {"processing": 1, "error": 2},
        "wfc3": {"planned": 1, "error": 1},
    }


def test_how_many_ended_lately(ledger: Ledger, campaign: Campaign) -> None:
    """Only what has ended, and not before the span, counts as throughput."""
    in_an_hour = ledger.ask(lambda rows: ended_lately(rows, campaign.id, timedelta(hours=1)))
    assert in_an_hour == 3
    ahead = timedelta(seconds=-1)
    assert ledger.ask(lambda rows: ended_lately(rows, campaign.id, ahead)) == 0
