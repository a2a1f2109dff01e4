"""The page of workers: who is at what, and how memory rungs serve."""

from __future__ import annotations

import threading

import pytest
from campaign_ledger import BUSY, GB, HEAVY, end, enter
from sqlalchemy import text

from calib.ids import parse_dataset
from calib.ledger.campaign_reports import Campaign, campaigns
from calib.ledger.ledger import Ledger, current_owner
from calib.ledger.reports import Rows
from calib.ledger.rung_use import RungPast, rungs_now, rungs_past
from calib.records import Outcome
from deployments.dashboard.pages import workers
from tests.deployments.dashboard.conftest import Client


def test_who_works_at_what(client: Client) -> None:
    """The host, the process, the dataset and its stage are shown, with when it was heard of."""
    shown = client(dask="http://dask.example").get("/campaigns/spring/workers").text
    owner = current_owner()
    assert owner.host in shown
    assert f'<td class="n">{owner.pid}</td>' in shown
    assert f'href="/datasets/{BUSY}"' in shown
    assert "calibrate" in shown
    assert "http://dask.example" in shown


def test_rungs_are_counted(ledger: Ledger) -> None:
    """Attempts, ends, lack of memory and peaks of each rung are those of its attempts.

    The campaign has rungs of 2 and 8 GB. One attempt of 8 GB finishes with a peak of 1 GB: it
    would have fitted on the rung below.
    """
    enter(ledger, "rungs", (HEAVY,))
    ledger.write(lambda c: c.execute(text("UPDATE job SET memory = 8000000000 WHERE id > 5")))
    job = ledger.submit("rungs", parse_dataset(HEAVY), "rungs", context="hst_0001.pmap")
    attempt = ledger.begin_attempt(job, current_owner())
    run = ledger.open_stage(attempt, "calibrate")
    peak = text("UPDATE stage_run SET peak_rss = :peak WHERE id = :id")
    ledger.write(lambda c: c.execute(peak, {"peak": GB, "id": run}))
    ledger.finish_attempt(attempt, Outcome(HEAVY, "processed", "published"))
    (found,) = ledger.ask(lambda rows: campaigns(rows, "rungs"))
    past = ledger.ask(lambda rows: rungs_past(rows, found.id, (2 * GB, 8 * GB)))
    assert past == {8 * GB: RungPast(1, 1, 0, 1, 1, GB, GB, 8 * GB)}


def test_lack_of_memory_and_what_waits(ledger: Ledger, client: Client) -> None:
    """A job that ran out of memory counts on its rung; those that wait and run are counted."""
    (spring,) = ledger.ask(lambda rows: campaigns(rows, "spring"))
    past = ledger.ask(lambda rows: rungs_past(rows, spring.id, (2 * GB, 8 * GB)))
    assert (past[2 * GB].attempts, past[2 * GB].starved, past[2 * GB].finished) == (4, 1, 1)
    now = ledger.ask(lambda rows: rungs_now(rows, spring.id))
    assert now == {2 * GB: {"planned": 1, "processing": 1}}
    assert "short of memory" in client().get("/campaigns/spring/workers").text


def test_nobody_at_work_is_said(client: Client, ledger: Ledger) -> None:
    """A campaign that nobody works on has no table of workers."""
    enter(ledger, "calm", (HEAVY,))
    end(ledger, "calm", Outcome(HEAVY, "processed", "published"))
    assert "Nobody works" in client().get("/campaigns/calm/workers").text


def test_attempts_are_counted_beside(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who works is shown at once where counting takes long, and the numbers come by themselves."""
    counted = threading.Event()
    past_of = workers.past_of

    def slow(rows: Rows, found: Campaign) -> workers.Past:
        counted.wait(5)
        return past_of(rows, found)

    monkeypatch.setattr(workers, "past_of", slow)
    asked = client(period=0.0)
    first = asked.get("/campaigns/spring/workers").text
    counted.set()
    assert asked.app.state.desk.later.wait()
    second = asked.get("/campaigns/spring/workers").text
    assert f'href="/datasets/{BUSY}"' in first
    assert ("being counted" in first, "being counted" in second) == (True, False)
