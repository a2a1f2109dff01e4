"""The pages of campaigns."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from calib.errors import ConfigError
from calib.ledger.campaign_overview import overview_of
from calib.ledger.campaign_reports import campaigns, failures_of
from calib.ledger.ledger import Ledger
from calib.ledger.reports import Rows
from calib.records import Outcome
from deployments.dashboard.app import build_desk
from deployments.dashboard.digests import digest_of, look_later, mark_of
from deployments.dashboard.links import LiveLinks
from deployments.dashboard.page import Frame, render
from deployments.dashboard.pages.campaigns import (
    CAMPAIGNS,
    campaign_page,
    page_number,
    steps_of,
    wishes_of,
)
from deployments.dashboard.settings import DashboardSettings
from tests.campaign_ledger import BUSY, DONE, GONE, HEAVY, begin_session, end, enter
from tests.deployments.dashboard.conftest import Client

T = TypeVar("T")

FLOW_RUN = "0192aa00-0000-7000-8000-000000000000"


def test_home_shows_each_campaign_with_its_counts(client: Client) -> None:
    """The first page has the campaign, how many datasets it has and a link to it."""
    answer = client().get("/")
    assert answer.status_code == 200
    assert 'href="/campaigns/spring"' in answer.text
    assert '<td class="n" data-name="finished">20 %</td>' in answer.text
    assert 'aria-label="1 planned, 1 processing, 1 processed, 2 error"' in answer.text


def test_unknown_campaign_is_not_found(client: Client) -> None:
    """A campaign that is not there is said so, with the code of HTTP for that, escaped."""
    answer = client().get("/campaigns/<script>")
    assert answer.status_code == 404
    assert "<script>" not in answer.text


def test_campaign_shows_what_failed_and_what_to_do(client: Client) -> None:
    """Each class of error has its number, its first dataset, links, and the next command."""
    text = client().get("/campaigns/spring").text
    assert 'href="/campaigns/spring/datasets?state=error&amp;class=OutOfMemory&amp;code=32"' in text
    assert 'href="/campaigns/spring/errors"' in text
    for dataset in (HEAVY, GONE, BUSY):
        assert f'href="/datasets/{dataset}"' in text
    assert "hstflow campaign rescue spring --class OutOfMemory --rung GB" in text
    assert "hstflow campaign resume spring" in text


def test_campaign_shows_its_cost(ledger: Ledger) -> None:
    """Counted at once for a report: charts without styles of their own, rungs and stages."""
    page = ledger.ask(lambda rows: campaign_page(rows, LiveLinks(), "spring"))
    text = render(page, Frame(LiveLinks()))
    assert text.count("<figure>") == 2  # no stage was timed
    assert 'id="stages"' in text
    assert 'id="memory"' in text
    assert " style=" not in text


def test_each_question_of_counting_has_its_own_look(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is counted no look at the ledger is held: its write-ahead log can be shortened."""
    monkeypatch.setattr("deployments.dashboard.digests.PATIENCE", 10.0)
    desk = build_desk(DashboardSettings(ledger=ledger.url))
    asked: list[int] = []
    ask = desk.reader.ask

    def count(question: Callable[[Rows], T], patience: float | None = None) -> T:
        def counting(rows: Rows) -> T:
            asked.append(0)

            def one(query: str, given: Mapping[str, Any]) -> list[dict[str, Any]]:
                asked[-1] += 1
                return rows(query, given)

            return question(one)

        return ask(counting, patience)

    monkeypatch.setattr(desk.reader, "ask", count)
    (campaign,) = ledger.ask(campaigns)
    found = look_later(desk, ledger.ask, campaign)
    desk.reader.close()
    assert found == replace(ledger.ask(lambda rows: digest_of(rows, campaign)), report=found.report)
    assert found.report.attempts == 4
    assert len(asked) > 5
    assert set(asked) == {1}


def test_cost_that_is_being_counted_is_said(ledger: Ledger) -> None:
    """The page does not wait for it."""
    page = ledger.ask(
        lambda rows: campaign_page(rows, LiveLinks(), "spring", lambda _rows, _campaign: None)
    )
    assert "being counted" in render(page, Frame(LiveLinks()))


def test_sessions_link_to_their_flow_runs(client: Client, ledger: Ledger) -> None:
    """Where Prefect has pages, a session leads to its run there."""
    begin_session(ledger)
    with closing(sqlite3.connect(ledger.url.removeprefix("sqlite:///"))) as connection:
        connection.execute("UPDATE campaign_session SET flow_run = ?", (FLOW_RUN,))
        connection.commit()
    address = f"http://p:4200/runs/flow-run/{FLOW_RUN}"
    assert address in client(prefect="http://p:4200/").get("/campaigns/spring").text
    assert FLOW_RUN not in client().get("/campaigns/spring").text


def test_many_campaigns_are_on_pages(client: Client, ledger: Ledger) -> None:
    """The latest are first; a page that is not there is said so."""
    for number in range(CAMPAIGNS):
        enter(ledger, f"c{number}", (DONE,))
    asked = client()
    first, second = asked.get("/").text, asked.get("/?page=2").text
    assert 'href="/?page=2"' in first
    assert 'href="/campaigns/spring"' not in first
    assert 'href="/campaigns/spring"' in second
    assert 'rel="prev" href="/"' in second
    assert asked.get("/?page=3").status_code == 404


@pytest.mark.parametrize("said", ["0", "-1", "", "x", "1.0", "٣", "1" * 30])
def test_odd_numbers_of_pages_are_refused(said: str) -> None:
    """A number of a page is a small one in plain digits."""
    with pytest.raises(ConfigError):
        page_number(said)


def test_steps_and_wishes_follow_the_state(ledger: Ledger) -> None:
    """With nobody at work one goes on; with somebody one watches or pauses."""

    def look() -> tuple[str, list[str]]:
        return ledger.ask(
            lambda rows: (
                steps_of(
                    overview_of(rows, found := campaigns(rows)[0]), failures_of(rows, found.id)
                )[0][0],
                [wish for _, wish in wishes_of(overview_of(rows, found))],
            )
        )

    assert look() == ("hstflow campaign resume spring", ["resume", "cancel"])
    begin_session(ledger)
    assert look() == ("hstflow campaign watch spring", ["pause", "cancel"])


def test_mark_changes_with_the_campaign(ledger: Ledger) -> None:
    """What is counted is counted again when there is something new, and not before."""

    def mark() -> object:
        return ledger.ask(lambda rows: mark_of(campaigns(rows)[0]))

    before = mark()
    assert mark() == before
    begin_session(ledger)
    assert mark() != before


def test_page_below_a_proxy_links_there(client: Client) -> None:
    """Whether the proxy takes the path away or not, the page is found and its links have it."""
    asked = client(root="/hst")
    for path in ("/", "/hst/", "/hst"):
        answer = asked.get(path)
        assert 'href="/hst/campaigns/spring"' in answer.text
    assert asked.get("/hst/static/style.css").status_code == 200
    assert asked.get("/hstx").status_code == 404


def test_lost_campaign_is_told_with_what_to_do(client: Client, ledger: Ledger) -> None:
    """Both pages say since when its process is gone, and how to go on: by a page or a command."""
    assert 'class="warning alert"' not in client().get("/").text
    begin_session(ledger, pid=2**22 + 1)
    for path in ("/", "/campaigns/spring"):
        text = client().get(path).text
        assert text.count('class="warning alert"') == 1
        assert "has lost its process" in text
        assert "(<code>hstflow campaign resume spring</code>)" in text
        changing = client(may_change=True).get(path).text
        assert 'href="/campaigns/spring/control?wish=resume">go on with it...' in changing


def test_failing_campaign_is_told_with_its_errors(client: Client, ledger: Ledger) -> None:
    """Ten of ten that failed in this session are an alert, with the way to their errors."""
    names = tuple(f"j8bt{number:02d}njq" for number in range(10, 22))
    enter(ledger, "spring", names)
    begin_session(ledger)
    for name in names[:10]:
        end(ledger, "spring", Outcome(name, "error", "gone <b>", 21, "NotFound"))
    text = client().get("/").text
    assert "is failing</b> since" in text
    assert "10 of the last 10 datasets failed (100%): 10 NotFound." in text
    assert '<a href="/campaigns/spring/errors">its errors</a>' in text


def test_stalled_campaign_is_told_with_its_workers(client: Client, ledger: Ledger) -> None:
    """Nothing ended for hours in a session that lives: who is at work, and since when."""
    begin_session(ledger)
    with closing(sqlite3.connect(ledger.url.removeprefix("sqlite:///"))) as opened, opened:
        opened.execute("UPDATE campaign_session SET started_at = '2026-01-01T00:00:00+00:00'")
        opened.execute("UPDATE job SET updated_at = '2025-12-31T00:00:00+00:00'")
    text = client().get("/campaigns/spring").text
    assert "stands still</b> since 2026-01-01 00:00:00" in text
    assert '<a href="/campaigns/spring/workers">who is at work</a>' in text
