"""A campaign in a real ledger, for the tests of `hstflow campaign`."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from calib.ids import parse_dataset
from calib.ledger.campaign_reports import JobSelection, find_jobs
from calib.ledger.campaigns import NewJob, enter_jobs, set_plan
from calib.ledger.ledger import Ledger, current_owner, open_ledger
from calib.ledger.sessions import open_session
from calib.records import Outcome

CONTEXT = "hst_0001.pmap"
GB = 10**9
DONE, HEAVY, GONE, BUSY, WAITING = "j8bt05njq", "j8bt06niq", "iaaj01ivq", "iaaj01iwq", "j8bt07oyq"
EVERY = (DONE, HEAVY, GONE, BUSY, WAITING)
PLAN = json.dumps({"runner": "threads", "rungs": [2 * GB, 8 * GB]})


def enter(ledger: Ledger, campaign: str, names: tuple[str, ...], plan: str = PLAN) -> None:
    """Plan a campaign."""
    wanted = [NewJob(parse_dataset(name), memory=2 * GB) for name in names]
    ledger.write(lambda c: set_plan(c, campaign, context=CONTEXT, plan=plan))
    ledger.write(
        lambda c: enter_jobs(c, campaign, wanted, run=campaign, context=CONTEXT, chunk_size=2)
    )


def end(ledger: Ledger, campaign: str, outcome: Outcome) -> None:
    """Bring a job to its end."""
    job = ledger.submit(campaign, parse_dataset(outcome.dataset), campaign, context=CONTEXT)
    ledger.finish_attempt(ledger.begin_attempt(job, current_owner()), outcome)


def states(ledger: Ledger, campaign: str = "spring") -> dict[str, str]:
    """Return the states of a campaign's datasets."""
    jobs = ledger.ask(lambda rows: find_jobs(rows, JobSelection(campaign)))
    return {job.dataset: job.state for job in jobs}


def begin_session(ledger: Ledger, campaign: str = "spring", **owner: object) -> None:
    """Say that this process, or another one, is at work on a campaign."""
    who = replace(current_owner(), **owner)  # type: ignore[arg-type]
    ledger.write(lambda c: open_session(c, campaign, who))


@pytest.fixture(scope="session")
def campaign_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a ledger with a campaign of five: one of each fate, nobody at work."""
    path = tmp_path_factory.mktemp("campaign") / "ledger.db"
    with open_ledger(str(path)) as opened:
        enter(opened, "spring", EVERY)
        end(opened, "spring", Outcome(DONE, "processed", "published"))
        end(opened, "spring", Outcome(HEAVY, "error", "more than 8 GB", 32, "OutOfMemory"))
        end(opened, "spring", Outcome(GONE, "error", "[no] such file", 21, "NotFound"))
        job = opened.submit("spring", parse_dataset(BUSY), "spring", context=CONTEXT)
        opened.open_stage(opened.begin_attempt(job, current_owner()), "calibrate")
    return path


@pytest.fixture
def ledger(campaign_template: Path) -> Iterator[Ledger]:
    """Return a copy of it as the user's ledger."""
    path = os.environ["HSTFLOW_LEDGER"].removeprefix("sqlite:///")
    with (
        closing(sqlite3.connect(campaign_template)) as source,
        closing(sqlite3.connect(path)) as to,
    ):
        source.backup(to)
    with open_ledger(path) as opened:
        yield opened
