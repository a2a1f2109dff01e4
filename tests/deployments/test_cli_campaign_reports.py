"""`hstflow campaign report`, `export` and `clean`: what a person and a program see."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import campaign_story as story
import pytest
from databases import template
from reprocessed import BEFORE, give_name

from calib.errors import COMMAND
from calib.ids import parse_dataset
from calib.ledger.ledger import Ledger, open_ledger
from calib.ledger.location import as_url, sqlite_file
from calib.ledger.reprocessings import NewMark, NewReprocessing, enter_reprocessing
from deployments.cli.main import run

__all__ = ["template"]

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def ledger(template: Path) -> Iterator[Ledger]:
    """Return the ledger of a user with one campaign."""
    shutil.copy(template, sqlite_file(as_url(os.environ["HSTFLOW_LEDGER"])) or "")
    with open_ledger(os.environ["HSTFLOW_LEDGER"]) as opened:
        story.tell(opened)
        yield opened


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a work folder with what a finished and a failed job left."""
    monkeypatch.setenv("HSTFLOW_WORK", str(tmp_path / "work"))
    for dataset in (story.EASY, story.BROKEN):
        (tmp_path / "work" / story.RUN / dataset / "fetch").mkdir(parents=True)
    return tmp_path / "work"


def told(capsys: Capture, *words: str, code: int = 0) -> str:
    """Return what a command of the group says on stdout."""
    assert run(["campaign", *words]) == code
    return capsys.readouterr().out


def told_json(capsys: Capture, *words: str) -> Any:
    """Return what a command says in JSON."""
    return json.loads(told(capsys, *words, "--json"))


@pytest.mark.usefixtures("ledger")
def test_report_for_people(capsys: Capture) -> None:
    """States, failures with an example, rungs, stages and sessions; what next on stderr."""
    assert run(["campaign", "report", story.NAME]) == 0
    captured = capsys.readouterr()
    for promised in (
        "2 of 5 datasets finished",
        "CorruptFile",
        f"{story.BROKEN}_raw.fits: [cut] short",
        "right for 50.0 %",
        "8 GB",
        "2 of 5 failed",
    ):
        assert promised in captured.out
    assert "hstflow campaign resume night" in captured.err
    assert "rescue night" in captured.err


@pytest.mark.usefixtures("ledger")
def test_report_for_programs(capsys: Capture) -> None:
    """The same as JSON, whole."""
    found = told_json(capsys, "report", story.NAME)
    assert (found["total"], found["finished"], found["attempts"]) == (5, 2, 4)
    assert found["failures"][0]["state"] in {"error", "cancelled"}
    assert found["prediction"]["smaller"] == 1
    assert any("resume" in step for step in found["next"])


@pytest.mark.usefixtures("ledger")
def test_page_is_written_once(capsys: Capture, tmp_path: Path) -> None:
    """A page never takes the place of a file unasked."""
    page = tmp_path / "night.html"
    told(capsys, "report", story.NAME, "--html", str(page))
    assert page.read_text().startswith("<!doctype html>")
    told(capsys, "report", story.NAME, "--html", str(page), code=COMMAND)
    told(capsys, "report", story.NAME, "--html", str(page), "--replace")
    told(capsys, "report", story.NAME, "--html", str(tmp_path / "no" / "x.html"), code=COMMAND)


def enter(ledger: Ledger, name: str) -> None:
    """Enter a reprocessing of a name."""
    marks = [NewMark(parse_dataset(each), 1) for each in story.EVERY]
    marks[0] = dataclasses.replace(marks[0], left_out="no [raw] file")
    new = NewReprocessing(BEFORE, "hst_0.pmap", story.CONTEXT, "context", '{"at": "secret place"}')
    ledger.write(lambda c: enter_reprocessing(c, new, marks, who="me@here"))
    ledger.write(lambda c: give_name(c, name))


def test_report_of_a_reprocessing(ledger: Ledger, capsys: Capture, tmp_path: Path) -> None:
    """What became of its waves comes first, then its campaign; the same as JSON and a page."""
    enter(ledger, story.NAME)
    text = told(capsys, "report", story.NAME)
    assert text.index("reprocessing night") < text.index("campaign night")
    for promised in ("2 of 5 finished", "no [raw] file", "me@here", "hst_0.pmap to hst_1.pmap"):
        assert promised in text
    found = told_json(capsys, "report", story.NAME)
    assert (found["total"], found["reprocessing"]["waves"][0]["marked"]) == (5, 5)
    assert "plan" not in found["reprocessing"]["reprocessing"]
    told(capsys, "report", story.NAME, "--html", str(tmp_path / "night.html"))
    page = (tmp_path / "night.html").read_text()
    assert "Reprocessing night" in page
    assert "Throughput" in page
    assert "secret" not in page + text + json.dumps(found)


def test_report_of_a_reprocessing_before_its_campaign(
    ledger: Ledger, capsys: Capture, tmp_path: Path
) -> None:
    """It is planned: there is a report, and none of a campaign."""
    enter(ledger, "spring")
    assert "not begun" in told(capsys, "report", "spring")
    assert [*told_json(capsys, "report", "spring")] == ["reprocessing", "next"]
    assert "written" in told(capsys, "report", "spring", "--html", str(tmp_path / "a.html"))
    assert "Reprocessing spring" in (tmp_path / "a.html").read_text()


@pytest.mark.usefixtures("ledger")
def test_export_by_name(capsys: Capture, tmp_path: Path) -> None:
    """The file's name tells the format; the campaign may be left out; stdout needs a format."""
    target = tmp_path / "blackboardAWS.snapshot"
    assert told_json(capsys, "export", story.NAME, str(target)) == {
        "campaign": story.NAME,
        "file": str(target),
        "format": "blackboard",
        "rows": 5,
    }
    assert target.read_text().count("|") == 6 * 11
    assert "8 rows" in told(capsys, "export", str(tmp_path / "all.csv"))
    lines = told(capsys, "export", "-", "--format", "jsonl", "--rows", "jobs").splitlines()
    assert [json.loads(line)["dataset"] for line in lines] == [*story.EVERY]


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["report", "nigth"], "expected night"),
        (["export"], "name a file"),
        (["export", "a", "b", "c.csv"], "name a file"),
        (["export", "nigth", "x.csv"], "no such campaign"),
        (["export", "x.odd"], "--format"),
        (["export", "-", "--format", "csv", "--json"], "cannot share stdout"),
        (["clean", "nigth"], "no such campaign"),
        (["clean", "--older-than", "never"], "not an age"),
        (["clean", "--older-than", "999999w"], "no such time"),
        (["clean", "--state", "odd"], "not a state"),
    ],
)
def test_bad_input_is_refused(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    """Bad input stops a command with exit code 2, in words, and leaves no file."""
    monkeypatch.chdir(tmp_path)
    before = {path.name for path in tmp_path.iterdir()}
    assert run(["campaign", *words]) == COMMAND
    assert said in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("words", [["report", "x"], ["export", "x.csv"], ["clean"]])
def test_without_a_ledger(capsys: Capture, own_home: Path, words: list[str]) -> None:
    """Where nothing was run yet a command says so, and makes no ledger."""
    told(capsys, *words, code=COMMAND)
    assert not (own_home / "ledger.db").exists()


@pytest.mark.usefixtures("ledger")
def test_clean_looks_first(capsys: Capture, folder: Path) -> None:
    """Nothing goes without --yes; with it only what no rescue needs; force takes that too."""
    assert "--yes does it" in told(capsys, "clean", story.NAME)
    found = told_json(capsys, "clean")
    assert (found["dry_run"], [each["dataset"] for each in found["going"]]) == (True, [story.EASY])
    assert len([*folder.rglob("fetch")]) == 2
    assert "1 thing removed" in told(capsys, "clean", story.NAME, "--older-than", "0", "--yes")
    assert [path.parent.name for path in folder.rglob("fetch")] == [story.BROKEN]
    told(capsys, "clean", "--force", "--state", "error", "--yes")
    assert [*folder.rglob("fetch")] == []
    assert "nothing to do" in told(capsys, "clean")
