"""Rescue from a browser: exactly what was shown, once, by whom, and who takes it up."""

from __future__ import annotations

import json
from typing import Any

import pytest
from campaign_ledger import BUSY, DONE, GB, GONE, HEAVY, WAITING, begin_session, end, enter, states

from calib.campaigns import operating
from calib.ledger.campaign_reports import JobSelection, control_of, find_jobs
from calib.ledger.campaigns import Changes
from calib.ledger.ledger import Ledger
from calib.ledger.reports import history_of
from calib.records import Outcome
from deployments.dashboard.prefect_api import PrefectServer
from tests.deployments.dashboard.conftest import Client
from tests.deployments.dashboard.forms_of import fields_of, send

ALL = "/campaigns/spring/rescue"
RUN = "11111111-2222-3333-4444-555555555555"


@pytest.fixture(autouse=True)
def no_prefect(monkeypatch: pytest.MonkeyPatch) -> None:
    """No Prefect server, whatever the environment of the tests says."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)


def rescuer(ledger: Ledger, dataset: str) -> str | None:
    """Return the last word of a dataset's history."""
    return ledger.ask(lambda rows: history_of(rows, dataset))[-1].reason


def job(ledger: Ledger, dataset: str) -> dict[str, Any]:
    """Return all that the ledger says of a job."""
    return ledger.ask(lambda ask: ask("SELECT * FROM job WHERE dataset = :d", {"d": dataset}))[0]


def test_the_page_says_which_datasets_and_changes_nothing(client: Client, ledger: Ledger) -> None:
    """The question names what would be rescued, and nothing else; asking rescues nothing."""
    text = client(may_change=True).get(ALL).text
    assert "Rescue 2 datasets of spring?" in text
    assert GONE in text
    assert HEAVY in text
    assert not any(name in text for name in (DONE, BUSY, WAITING))
    assert states(ledger)[GONE] == "error"


def test_what_was_confirmed_is_rescued_by_that_person(client: Client, ledger: Ledger) -> None:
    """The form rescues those that were shown, with its changes, and history names the person."""
    browser = client(may_change=True)
    url = f"{ALL}?class=OutOfMemory"
    fields = fields_of(browser.get(url).text)
    changed = {"rung": str(8 * GB), "time_scale": "2.5", "priority": "7", "disk": "3"}
    answer = send(browser, url, fields, settings="PCTECORR=OMIT\nrepair.sigma=4", **changed)
    assert answer.status_code == 303
    row = job(ledger, HEAVY)
    assert (row["state"], row["memory"], row["time_scale"]) == ("submitted", 8 * GB, 2.5)
    assert (row["priority"], row["disk"]) == (7, 3 * GB)
    assert "PCTECORR=OMIT" in row["overrides"]
    assert rescuer(ledger, HEAVY) == "rescued by local in the dashboard"
    assert states(ledger)[GONE] == "error"
    shown = browser.get(answer.headers["location"]).text
    assert "1 dataset rescued" in shown
    assert "hstflow campaign resume spring" in shown


def test_a_second_click_does_nothing_and_says_the_same(client: Client, ledger: Ledger) -> None:
    """The same form sent twice rescues once and leads to the same page."""
    browser = client(may_change=True)
    fields = fields_of(browser.get(ALL).text)
    first = send(browser, ALL, fields)
    end(ledger, "spring", Outcome(GONE, "error", "again", 21, "NotFound"))  # it failed meanwhile
    second = send(browser, ALL, fields)
    assert second.headers["location"] == first.headers["location"]
    assert states(ledger)[GONE] == "error"


def test_what_failed_after_the_page_was_shown_is_not_rescued(
    client: Client, ledger: Ledger
) -> None:
    """Nobody confirmed what was not on the page."""
    browser = client(may_change=True)
    fields = fields_of(browser.get(ALL).text)
    end(ledger, "spring", Outcome(WAITING, "error", "new", 21, "NotFound"))
    send(browser, ALL, fields)
    assert states(ledger)[WAITING] == "error"
    assert states(ledger)[GONE] == "submitted"


def test_what_somebody_else_rescued_meanwhile_is_told(client: Client, ledger: Ledger) -> None:
    """Two operators: the second is told that one was changed, and the other is rescued."""
    browser = client(may_change=True)
    fields = fields_of(browser.get(ALL).text)
    found = ledger.ask(lambda rows: find_jobs(rows, JobSelection("spring", datasets=[GONE])))
    operating.rescue(ledger, found, Changes(), "rescued by the other one")
    answer = send(browser, ALL, fields)
    shown = browser.get(answer.headers["location"]).text
    assert "1 dataset rescued" in shown
    assert "1 that was on the page you confirmed had changed meanwhile" in shown
    assert rescuer(ledger, GONE) == "rescued by the other one"


def test_two_operators_with_one_page_each_rescue_once(client: Client, ledger: Ledger) -> None:
    """Of two persons who confirm the same, one rescues and the other learns of it."""
    browser = client(may_change=True)
    one, other = (fields_of(browser.get(ALL).text) for _ in range(2))
    first, second = send(browser, ALL, one), send(browser, ALL, other)
    assert "2 datasets rescued" in browser.get(first.headers["location"]).text
    assert "0 datasets rescued" in browser.get(second.headers["location"]).text
    rescues = ledger.ask(
        lambda ask: ask("SELECT id FROM transition WHERE reason LIKE 'rescued by%'", {})
    )
    assert len(rescues) == 2


def test_inputs_are_fetched_from_another_place(client: Client, ledger: Ledger) -> None:
    """What the form says is with the job, and nothing else of it changes."""
    browser = client(may_change=True)
    before = job(ledger, HEAVY)
    url = f"{ALL}?class=OutOfMemory"
    fields = fields_of(browser.get(url).text)
    assert send(browser, url, fields, input=" file:/again ").status_code == 303
    row = job(ledger, HEAVY)
    assert json.loads(row["overrides"]) == {
        **json.loads(before["overrides"] or "{}"),
        "input": "file:/again",
    }
    same = ("memory", "disk", "time_scale", "priority", "work_key")
    assert [row[name] for name in same] == [before[name] for name in same]


@pytest.mark.parametrize(
    "wrong",
    [
        {"rung": "3000000000"},
        {"rung": "x"},
        {"disk": "-1"},
        {"time_scale": "nan"},
        {"time_scale": "0"},
        {"priority": "1e3"},
        {"settings": "nonsense"},
        {"input": "file:again"},
        {"input": "ftp://host/again"},
        {"input": "none"},
    ],
)
def test_what_cannot_be_used_is_told_on_the_form(
    client: Client, ledger: Ledger, wrong: dict[str, str]
) -> None:
    """A wrong value changes nothing; the form comes back with it, and can be sent mended."""
    browser = client(may_change=True)
    answer = send(browser, ALL, fields_of(browser.get(ALL).text), **wrong)
    assert answer.status_code == 400
    assert "Nothing was changed" in answer.text
    assert states(ledger)[GONE] == "error"
    mended = dict.fromkeys(wrong, "")
    assert send(browser, ALL, fields_of(answer.text), **mended).status_code == 303
    assert states(ledger)[GONE] == "submitted"


@pytest.mark.parametrize(
    "query",
    ["state=processed", "code=x", "code=999", "dataset=../../etc", "state=error&state=processing"],
)
def test_a_selection_that_cannot_be_is_refused(client: Client, query: str) -> None:
    """Only error, blocked and cancelled, exit codes and names of datasets select anything."""
    assert client(may_change=True).get(f"{ALL}?{query}").status_code == 400


def test_read_only_refuses(client: Client, ledger: Ledger) -> None:
    """A dashboard that only shows has no form, and takes none."""
    fields = fields_of(client(may_change=True).get(ALL).text)
    reader = client()
    text = reader.get(ALL).text
    assert "<form" not in text
    assert "hstflow campaign rescue spring" in text
    assert send(reader, ALL, fields).status_code == 403
    assert states(ledger)[GONE] == "error"


@pytest.mark.parametrize("wrong", [{"token": "1.2"}, {"token": ""}])
def test_a_wrong_token_is_refused(client: Client, ledger: Ledger, wrong: dict[str, str]) -> None:
    """A form without a token of this process changes nothing."""
    browser = client(may_change=True)
    assert send(browser, ALL, fields_of(browser.get(ALL).text), **wrong).status_code == 403
    assert states(ledger)[GONE] == "error"


def test_all_campaigns_at_once(client: Client, ledger: Ledger) -> None:
    """A class may be rescued over all campaigns; without any word nothing is selected."""
    enter(ledger, "summer", (GONE,))
    end(ledger, "summer", Outcome(GONE, "error", "<i>gone</i>", 21, "NotFound"))
    browser = client(may_change=True)
    assert browser.get("/rescue").status_code == 400
    page = browser.get("/rescue?class=NotFound").text
    assert "Rescue 2 datasets?" in page
    assert "<i>gone" not in page
    send(browser, "/rescue", fields_of(page))
    assert states(ledger, "summer")[GONE] == states(ledger)[GONE] == "submitted"


def test_a_live_session_is_said_to_take_them_up(
    client: Client, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a process is at work nobody is asked to begin another one."""
    begin_session(ledger)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    monkeypatch.setattr(PrefectServer, "start", lambda *_: pytest.fail("a run was started"))
    browser = client(may_change=True)
    page = browser.get(ALL).text
    assert "and takes them up" in page
    answer = send(browser, ALL, fields_of(page))
    assert "takes them up" in browser.get(answer.headers["location"]).text


def test_prefect_goes_on_with_what_was_rescued(
    client: Client, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a server a run is started, after the ledger has the rescue; its page is linked."""
    asked: list[Any] = []

    def start(_self: object, deployment: str, parameters: dict[str, str], key: str) -> str:
        asked.append((deployment, parameters, key, states(ledger)[GONE]))
        return RUN

    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    monkeypatch.setattr(PrefectServer, "start", start)
    browser = client(may_change=True, prefect="http://prefect.example")
    fields = fields_of(browser.get(ALL).text)
    answer = send(browser, ALL, fields)
    (deployment, parameters, _, state) = asked[0]
    assert deployment == "campaign-resume/campaign-resume"
    assert (parameters, state) == ({"name": "spring"}, "submitted")
    send(browser, ALL, fields)
    assert len(asked) == 1
    shown = browser.get(answer.headers["location"]).text
    assert f"http://prefect.example/runs/flow-run/{RUN}" in shown


def test_a_server_that_is_away_hinders_no_rescue(
    client: Client, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger has the rescue; the page says that nobody was asked, and the command."""
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    browser = client(may_change=True)
    answer = send(browser, ALL, fields_of(browser.get(ALL).text))
    shown = browser.get(answer.headers["location"]).text
    assert states(ledger)[GONE] == "submitted"
    assert "did not answer" in shown
    assert "hstflow campaign resume spring" in shown


def test_pause_and_cancel(client: Client, ledger: Ledger) -> None:
    """A campaign is paused, then cancelled, each after a question; the history has the person."""
    browser = client(may_change=True)
    url = "/campaigns/spring/control?wish=pause"
    answer = send(browser, url, fields_of(browser.get(url).text))
    assert answer.status_code == 303
    assert ledger.ask(lambda rows: control_of(rows, "spring")) == "pause"
    assert "nothing to pause" in browser.get(url).text
    url = "/campaigns/spring/control?wish=cancel"
    send(browser, url, fields_of(browser.get(url).text))
    assert states(ledger)[WAITING] == states(ledger)[BUSY] == "cancelled"
    assert states(ledger)[DONE] == "processed"
    assert rescuer(ledger, WAITING) == "cancelled by local in the dashboard"


def test_resume_asks_prefect_and_else_tells_the_command(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a server there is no button that would do nothing; with one a run is started."""
    browser = client(may_change=True)
    url = "/campaigns/spring/control?wish=resume"
    assert "<form" not in browser.get(url).text
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    monkeypatch.setattr(PrefectServer, "start", lambda *_: RUN)
    answer = send(browser, url, fields_of(browser.get(url).text))
    assert RUN in answer.headers["location"]
    assert "Prefect was asked to go on" in browser.get(answer.headers["location"]).text


@pytest.mark.parametrize("wish", ["", "run", "<b>"])
def test_no_other_wish_is_taken(client: Client, wish: str) -> None:
    """What is no wish is refused."""
    answer = client(may_change=True).get("/campaigns/spring/control", params={"wish": wish})
    assert answer.status_code == 400
    assert "<b>" not in answer.text
