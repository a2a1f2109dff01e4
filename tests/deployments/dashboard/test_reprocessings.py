"""Reprocessings in the browser: what they mark, what canaries show, and a person's word."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from calib.errors import ConfigError
from calib.ledger.ledger import Ledger
from calib.ledger.reprocessing_reports import history, reprocessings, state_of
from calib.ledger.reprocessings import advance
from deployments.dashboard import canary_reports
from deployments.dashboard.opened import Opened
from deployments.dashboard.pages import reprocessings as reprocessings_pages
from deployments.dashboard.prefect_api import PrefectServer
from tests.deployments.dashboard.conftest import Client
from tests.deployments.dashboard.forms_of import fields_of, send
from tests.deployments.dashboard.reviewed import CANARY, OTHER, VISIT, drawn, review

ONE = "/reprocessings/july"
APPROVE = f"{ONE}/approve"


@pytest.fixture(autouse=True)
def no_prefect(monkeypatch: pytest.MonkeyPatch) -> None:
    """No Prefect server, whatever the environment of the tests says."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)


@pytest.fixture
def folder(ledger: Ledger, tmp_path: Path) -> Path:
    """Return the folder of the report of a reprocessing at its review."""
    return review(ledger, tmp_path / "work")


@pytest.fixture
def browser(client: Client, folder: Path) -> TestClient:
    """Return a browser of somebody who may decide."""
    return client(may_change=True, work=str(folder.parents[2]))


def state(ledger: Ledger) -> str | None:
    """Return the state of the reprocessing."""
    return ledger.ask(lambda rows: state_of(rows, "july"))


def steps(ledger: Ledger) -> list[Any]:
    """Return its history."""
    (one,) = ledger.ask(lambda rows: reprocessings(rows, "july"))
    return ledger.ask(lambda rows: history(rows, one.id))


def test_the_list_and_the_page_show_it(browser: TestClient) -> None:
    """The list links it; its page has waves, marks, reasons and history, all escaped."""
    assert f'href="{ONE}"' in browser.get("/reprocessings").text
    text = browser.get(ONE).text
    assert all(name in text for name in (CANARY, OTHER, VISIT))
    assert "no &lt;i&gt;engine&lt;/i&gt;" in text
    assert "<i>engine" not in text
    assert f'href="{APPROVE}"' in text
    assert OTHER not in browser.get(f"{ONE}?wave=2").text


def test_marked_datasets_come_in_pages(
    browser: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three marked datasets each page of one has its own, and leads to the next and back."""
    monkeypatch.setattr(reprocessings_pages, "PER_PAGE", 1)
    pages = [browser.get(f"{ONE}?part={part}").text.partition('id="marked"')[2] for part in (1, 2)]
    assert CANARY in pages[0]
    assert OTHER not in pages[0]
    assert OTHER in pages[1]
    assert f'href="{ONE}?part=2#marked"' in pages[0]
    assert f'href="{ONE}?part=1#marked"' in pages[1]
    assert "page 2 of 3" in pages[1]


def test_a_canary_is_shown_in_our_pages(browser: TestClient) -> None:
    """Numbers of the report become tables, pictures are served by number, markup is text."""
    text = browser.get(f"{ONE}/canary/{CANARY}").text
    assert "hot pixel" in text
    assert "a&lt;b&gt;_drk.fits" in text
    assert "<b>" not in text
    assert "data:image" not in text
    for number, shade in enumerate((10, 90, 200)):
        answer = browser.get(f"{ONE}/canary/{CANARY}/pictures/{number}")
        assert answer.headers["content-type"] == "image/png"
        assert answer.content == drawn(shade)
    assert browser.get(f"{ONE}/canary/{CANARY}/pictures/3").status_code == 404


def test_a_report_is_read_once(
    browser: TestClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page and its pictures read the files once, and again when they were written anew."""
    read: list[int] = []
    text = canary_reports._text

    def count(opened: Opened) -> str:
        read.append(opened.size)
        return text(opened)

    monkeypatch.setattr(canary_reports, "_text", count)
    for number in (0, 1, 2):
        browser.get(f"{ONE}/canary/{CANARY}")
        assert browser.get(f"{ONE}/canary/{CANARY}/pictures/{number}").status_code == 200
    assert len(read) == 2  # numbers and pictures
    (folder / "report.json").write_text("{}")
    assert browser.get(f"{ONE}/canary/{CANARY}").status_code == 400
    assert len(read) == 3


@pytest.mark.parametrize("name", ["../secret", "/etc/secret", "secret", CANARY.upper()])
def test_a_report_names_no_file_of_elsewhere(
    browser: TestClient, ledger: Ledger, folder: Path, name: str
) -> None:
    """A report is a worker's: what it calls a canary becomes a path only where it is a dataset."""
    for place in (folder, folder.parent):
        shutil.copy(folder / f"{CANARY}.html", place / "secret.html")
        shutil.copy(folder / f"{CANARY}.html", place / f"{CANARY.upper()}.html")
    report = folder / "report.json"
    report.write_text(report.read_text().replace(CANARY, name))
    asked = f"{ONE}/canary/{quote(name, safe='')}"
    assert browser.get(asked).status_code in {400, 404}
    assert browser.get(f"{asked}/pictures/0").status_code in {400, 404}
    assert browser.get(f"{ONE}/canary/{CANARY}").status_code == 400
    (one,) = ledger.ask(lambda rows: reprocessings(rows, "july"))
    with pytest.raises(ConfigError):
        canary_reports.read_pictures(one, str(folder.parents[2]), name)


@pytest.mark.parametrize("name", [OTHER, "..%2f..%2fetc%2fpasswd", "index", "..%2Fsecret"])
def test_only_canaries_of_the_report_are_read(browser: TestClient, folder: Path, name: str) -> None:
    """No name from an address becomes a path: a file beside the report is not found."""
    (folder.parent / "secret.html").write_text('<img alt="x" src="data:image/png;base64,iVBORw">')
    shutil.copy(folder / f"{CANARY}.html", folder / f"{OTHER}.html")
    assert browser.get(f"{ONE}/canary/{name}").status_code == 404
    assert browser.get(f"{ONE}/canary/{name}/pictures/0").status_code == 404


def test_a_report_outside_of_the_work_folder_is_not_read(
    client: Client, folder: Path, tmp_path: Path
) -> None:
    """What the ledger names elsewhere is not opened, nor what a link leads to."""
    reader = client(work=str(tmp_path / "other"))
    assert "outside of this dashboard" in reader.get(ONE).text
    assert reader.get(f"{ONE}/canary/{CANARY}").status_code == 404
    moved = folder / "report.json"
    moved.rename(tmp_path / "report.json")
    moved.symlink_to(tmp_path / "report.json")
    assert client(work=str(folder.parents[2])).get(f"{ONE}/canary/{CANARY}").status_code == 404


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"written_at": 1, "canaries": 3}', '{"canaries": [{}]}']
)
def test_a_report_that_cannot_be_read_is_said_to_be_so(
    browser: TestClient, folder: Path, content: str
) -> None:
    """A broken report breaks no page: the rest of the reprocessing is shown."""
    (folder / "report.json").write_text(content)
    answer = browser.get(ONE)
    assert answer.status_code == 200
    assert "cannot be read" in answer.text


@pytest.mark.parametrize("decision", ["approved", "rejected"])
def test_a_word_is_written_down_once(browser: TestClient, ledger: Ledger, decision: str) -> None:
    """Who decided, and why, is in the ledger; the same form again changes and says nothing new."""
    fields = fields_of(browser.get(APPROVE).text)
    words = {"decision": decision, "note": "<b>looks</b> right"}
    first, second = (send(browser, APPROVE, fields, **words) for _ in range(2))
    assert first.status_code == second.status_code == 303
    assert state(ledger) == decision
    last = steps(ledger)[-1]
    assert (last.who, last.note) == ("local in the dashboard", "<b>looks</b> right")
    assert [step.to_state for step in steps(ledger)].count(decision) == 1
    text = browser.get(ONE).text
    assert "&lt;b&gt;looks" in text
    assert "<b>looks" not in text


def test_the_second_of_two_persons_is_told(browser: TestClient, ledger: Ledger) -> None:
    """Two open the page; the first approves, the second rejects and learns who was first."""
    one, other = (fields_of(browser.get(APPROVE).text) for _ in range(2))
    assert send(browser, APPROVE, one, decision="approved", note="mine").status_code == 303
    answer = send(browser, APPROVE, other, decision="rejected", note="but why")
    assert answer.status_code == 409
    assert "moved by somebody else meanwhile" in answer.text
    assert "local in the dashboard" in answer.text
    assert "but why" in answer.text
    assert state(ledger) == "approved"


def test_what_moved_on_is_not_decided(browser: TestClient, ledger: Ledger) -> None:
    """A word for a review does not count once its canaries run again."""
    fields = fields_of(browser.get(APPROVE).text)
    ledger.write(lambda c: advance(c, "july", "canary", who="other"))
    assert send(browser, APPROVE, fields, decision="approved").status_code == 409
    assert state(ledger) == "canary"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"token": "x.y"}, 403),
        ({"decision": "finished"}, 400),
        ({"decision": ""}, 400),
        ({"once": "1", "decision": "approved"}, 400),
    ],
)
def test_what_is_no_form_of_ours_decides_nothing(
    browser: TestClient, ledger: Ledger, wrong: dict[str, str], code: int
) -> None:
    """A wrong token, or a word that is no decision, is refused."""
    fields = fields_of(browser.get(APPROVE).text)
    assert send(browser, APPROVE, fields, **wrong).status_code == code
    assert state(ledger) == "review"


def test_read_only_decides_nothing(client: Client, browser: TestClient, ledger: Ledger) -> None:
    """A dashboard that only shows tells the commands, and takes no form."""
    fields = fields_of(browser.get(APPROVE).text)
    reader = client()
    text = reader.get(APPROVE).text
    assert "<form" not in text
    assert "hstflow campaign approve july --reject" in text
    assert send(reader, APPROVE, fields, decision="approved").status_code == 403
    assert state(ledger) == "review"


def test_prefect_runs_what_was_approved(
    browser: TestClient, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An approved reprocessing is run by its deployment; a rejected one asks nobody."""
    asked: list[tuple[str, Any]] = []

    def start(_self: object, deployment: str, parameters: dict[str, str], _key: str) -> str:
        asked.append((deployment, parameters))
        return "11111111-2222-3333-4444-555555555555"

    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    monkeypatch.setattr(PrefectServer, "start", start)
    send(browser, APPROVE, fields_of(browser.get(APPROVE).text), decision="approved")
    assert asked == [("reprocess/reprocess", {"name": "july"})]
    assert json.dumps(asked[0][1]) == '{"name": "july"}'
