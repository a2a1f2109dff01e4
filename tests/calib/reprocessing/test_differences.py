"""The difference report of datasets that were processed on two contexts."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from reprocessed import DARKS, Twice, canary

from calib.errors import ArchiveError, ConfigError
from calib.ids import parse_dataset
from calib.ledger.ledger import open_ledger
from calib.ledger.reprocessing_reports import Mark
from calib.ledger.reprocessings import NewMark
from calib.reprocessing import differences
from calib.reprocessing.difference_records import type_changes
from calib.reprocessing.differences import write_difference_report
from calib.simulate.observatory import Observatory
from calib.stages.planning import plan_jobs
from calib.stages.sequence import process_dataset


def report_in(folder: Path) -> Any:
    """Return the numbers of a report."""
    return json.loads((folder / "report.json").read_text())


class _Checker(HTMLParser):
    """Insists that elements are closed in order, and gathers what matters."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in {"meta", "img", "br", "path", "rect"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check_page(path: Path) -> _Checker:
    """Insist that a page stands alone and can be read without eyes and without a mouse."""
    text = path.read_text()
    found = _Checker(text)
    tags = [tag for tag, _ in found.seen]
    assert "script" not in tags
    assert {"header", "main", "footer", "h1"} <= set(tags)
    assert "Content-Security-Policy" in text
    for tag, attributes in found.seen:
        assert not any(name.startswith("on") for name in attributes)
        if tag == "img":
            assert attributes["alt"]
            assert str(attributes["src"]).startswith("data:image/png;base64,")
        if tag == "a":
            target = str(attributes["href"])
            assert target.startswith("#") or (path.parent / target).is_file()
        if tag == "th":
            assert attributes["scope"] in {"col", "row"}
    ids = [attributes["id"] for _, attributes in found.seen if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = re.findall(r'href="#([^"]+)"', text)
    assert set(targets) <= set(ids)
    for picture in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ET.fromstring(picture)  # noqa: S314 - we wrote it
    return found


@pytest.fixture(scope="module")
def done(observatory: Observatory, tmp_path_factory: pytest.TempPathFactory) -> Twice:
    """Return two datasets processed on the new context, one of them on the old one, too."""
    twice = Twice.at(tmp_path_factory.mktemp("twice"), observatory)
    first, second = twice.datasets
    old, new = twice.contexts
    twice.process("before", old, first)
    twice.process("again-canary", new, first, second)
    left = NewMark(parse_dataset("j8bt05njq"), 1, DARKS, left_out="no <raw>")
    twice.enter("again", canary(first), canary(second), canary("j8bt06o6q"), left)
    return twice


@pytest.fixture
def reported(done: Twice, tmp_path: Path) -> tuple[Twice, Path]:
    """Return those datasets and their report."""
    index = write_difference_report(done.ledger, done.read("again"), tmp_path / "report")
    assert index == tmp_path / "report" / "index.html"
    return done, tmp_path / "report"


def test_a_canary_beside_what_was_current(reported: tuple[Twice, Path]) -> None:
    """Numbers follow from the two files; first time, not run and left out are said."""
    twice, folder = reported
    first, second = twice.datasets
    found = report_in(folder)
    assert found["schema"] == 1
    assert "plan" not in found["reprocessing"]
    by_name = {each["dataset"]: each for each in found["canaries"]}
    one = by_name[first]
    assert (one["old"]["context"], one["new"]["context"]) == twice.contexts
    products = {each["name"]: each for each in one["products"]}
    flt = products[f"{first}_flt.fits"]
    assert (flt["state"], products[f"{first}_raw.fits"]["state"]) == ("data", "header")
    assert "DARKFILE" in [card["keyword"] for card in flt["headers"] if card["is_reference"]]
    science = flt["sets"][0]["planes"][0]
    assert science["changed"] == science["where_changed"]["count"] > 0
    assert science["total"] > science["changed"]
    assert one["summary"]["changed"] == science["changed"] / science["total"]
    assert by_name[second]["old"] is None
    assert {each["state"] for each in by_name[second]["products"]} == {"new"}
    assert by_name["j8bt06o6q"]["state"] == "not run"
    (dark,) = found["types"]
    assert (dark["datasets"], dark["left_out"]) == (4, 1)
    assert found["left_out"] == {"no <raw>": 1}
    # Worst first; what could not be compared last.
    assert [each["dataset"] for each in found["canaries"]] == [first, second, "j8bt06o6q"]


def test_pages_stand_alone(reported: tuple[Twice, Path]) -> None:
    """No script, nothing from elsewhere, landmarks, alternative texts; words are escaped."""
    twice, folder = reported
    names = {f"{name}.html" for name in (*twice.datasets, "j8bt06o6q")}
    assert {path.name for path in folder.iterdir()} == {*names, "index.html", "report.json"}
    for path in folder.glob("*.html"):
        check_page(path)
    index = (folder / "index.html").read_text()
    assert "a&lt;b&gt;_drk.fits" in index
    assert "no &lt;raw&gt;" in index
    for promised in (
        "hstflow campaign approve again",
        "--reject",
        "differs: 1, first time: 1, not run yet: 1",
        "1 of 1 changed types",
    ):
        assert promised in index
    page = (folder / f"{twice.datasets[0]}.html").read_text()
    pictures = [
        attributes
        for tag, attributes in check_page(folder / f"{twice.datasets[0]}.html").seen
        if tag == "img"
    ]
    assert len(pictures) == 3
    assert "hot" in page
    assert len(page) < 2_000_000


def test_a_report_is_replaced_whole(
    reported: tuple[Twice, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same again takes its place; what fails leaves it, and nothing else."""
    twice, folder = reported
    one = twice.read("again")
    (folder / "stray.html").write_text("old")
    write_difference_report(twice.ledger, one, folder)
    assert not (folder / "stray.html").exists()
    before = sorted(folder.parent.iterdir())

    def fail(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(ArchiveError, match=r"report cannot be written: .*No space left"):
        write_difference_report(twice.ledger, one, folder)
    assert report_in(folder)["schema"] == 1
    assert sorted(folder.parent.iterdir()) == before


class Killed(BaseException):
    """What ends a process."""


def test_a_writer_that_is_killed_while_it_replaces_loses_nothing(
    twice: Twice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report of before lies aside; the next writer puts it back, and what is old goes."""
    folder = tmp_path / "report"
    one = twice.enter("again")
    write_difference_report(twice.ledger, one, folder)
    aside = tmp_path / ".part-report-killed"
    (aside / "new").mkdir(parents=True)
    folder.rename(aside / "old")
    stranger = tmp_path / ".part-report-1-killed"  # of a report that is called report-1
    (stranger / "old").mkdir(parents=True)
    (stranger / "old" / "report.json").write_text("{}")
    for place in (aside, stranger):
        os.utime(place, (0, 0))

    def killed(*_: object) -> str:
        assert (folder / "index.html").is_file()
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(differences, "index_page", killed)
        with pytest.raises(Killed):
            write_difference_report(twice.ledger, one, folder)
    assert report_in(folder)["schema"] == 1
    write_difference_report(twice.ledger, one, folder)
    left = {each.name for each in tmp_path.iterdir() if each.name.startswith(".part-")}
    assert left == {stranger.name}


def test_a_product_that_the_disk_does_not_give_is_said(
    done: Twice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of reading is that of the product: the report is written."""

    def fail(*_: object) -> object:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(differences, "compare_products", fail)
    write_difference_report(done.ledger, done.read("again"), tmp_path / "report")

    products = report_in(tmp_path / "report")["canaries"][0]["products"]
    assert any("Input/output error" in str(each["problem"]) for each in products)


def test_other_folders_are_not_replaced(twice: Twice, tmp_path: Path) -> None:
    """A folder of somebody's files, a file, and a ledger that is not there are refused."""
    one = twice.enter("again")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    (tmp_path / "file").write_text("x")
    for name in ("mine", "file"):
        with pytest.raises(ConfigError, match="not a difference report"):
            write_difference_report(twice.ledger, one, tmp_path / name)
    with pytest.raises(ConfigError, match="no ledger"):
        write_difference_report(f"sqlite:///{tmp_path / 'no.db'}", one, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_no_canaries_is_a_report_too(twice: Twice, tmp_path: Path) -> None:
    """It says so, and what to do."""
    one = twice.enter("again")
    write_difference_report(twice.ledger, one, tmp_path / "report")
    check_page(tmp_path / "report" / "index.html")
    assert "hstflow campaign canary again" in (tmp_path / "report" / "index.html").read_text()


def test_what_is_gone_or_damaged_is_said(done: Twice, tmp_path: Path) -> None:
    """A product of before that was changed on disk does not end the report."""
    first = done.datasets[0]
    place = done.file(f"{first}_flt.fits", first, done.contexts[0])
    kept = place.read_bytes()
    place.unlink()
    place.write_bytes(b"SIMPLE")
    try:
        write_difference_report(done.ledger, done.read("again"), tmp_path / "report")
    finally:
        place.write_bytes(kept)
    found = report_in(tmp_path / "report")["canaries"][0]
    states = {each["name"]: each["state"] for each in found["products"]}
    assert (found["dataset"], states[f"{first}_flt.fits"]) == (first, "unreadable")
    page = (tmp_path / "report" / f"{first}.html").read_text()
    assert "not the file that was registered" in page
    assert "cannot be compared: 1" in (tmp_path / "report" / "index.html").read_text()


def test_the_current_version_counts_not_the_last(done: Twice, tmp_path: Path) -> None:
    """A canary that readers do not see leaves what is current; that is compared with."""
    first = done.datasets[0]
    was, now = (done.run_on(context) for context in done.contexts)
    with open_ledger(done.ledger) as ledger:
        ledger.set_current(parse_dataset(first), was)
        write_difference_report(done.ledger, done.read("again"), tmp_path / "report")
        ledger.set_current(parse_dataset(first), now)
    found = report_in(tmp_path / "report")["canaries"][0]
    assert (found["old"]["run"], found["old"]["is_current"]) == (was, True)
    assert (found["new"]["run"], found["new"]["campaign"]) == (now, "again-canary")


def test_products_in_a_bucket(twice: Twice, bucket: str, tmp_path: Path) -> None:
    """They are brought, compared and removed again."""
    request = dataclasses.replace(twice.request, output=f"s3://{bucket}/archive")
    remote = dataclasses.replace(twice, request=request)
    first = twice.datasets[0]
    remote.process("before", twice.contexts[0], first)
    remote.process("again-canary", twice.contexts[1], first)
    one = remote.enter("again", canary(first))
    write_difference_report(remote.ledger, one, tmp_path / "report")
    (found,) = report_in(tmp_path / "report")["canaries"]
    assert {each["state"] for each in found["products"]} == {"data", "header"}


def test_types_are_those_of_all_members() -> None:
    """Members of an association may have references of their own: one type, several pairs."""
    changes = {
        "DARKFILE": ("a", "b"),
        "DARKFILE 2": ("c", "d"),
        "MDRIZTAB/stage 2": (None, "m"),
    }
    marks = [
        Mark("j8bt05010", "ipst", "acs", 1, is_canary=True, changes=changes, left_out=None),
        Mark("j8bt05njq", "ipst", "acs", 1, is_canary=False, changes=DARKS, left_out="why"),
    ]
    dark, drizzle = type_changes(marks)
    assert (dark.keyword, dark.datasets, dark.left_out, dark.stage2_only) == ("DARKFILE", 2, 1, 0)
    pairs = {(pair.old, pair.new) for pair in dark.references}
    assert pairs == {("a", "b"), ("c", "d"), DARKS["DARKFILE"]}
    assert (drizzle.keyword, drizzle.stage2_only) == ("MDRIZTAB", 1)
    assert drizzle.canaries == ("j8bt05010",)


def test_what_was_predicted_is_shown(twice: Twice, tmp_path: Path) -> None:
    """Time, memory, missing files; once it was decided no commands for it."""
    one = twice.enter("again")
    foresight = {
        "cpu_seconds": 7200.0,
        "wall_seconds": 90.0,
        "rungs": {"2000000000": 4},
        "missing_references": [f"x{number}_drk.fits" for number in range(30)],
    }
    planned = dataclasses.replace(one, foresight=foresight)
    write_difference_report(twice.ledger, planned, tmp_path / "report")
    page = (tmp_path / "report" / "index.html").read_text()
    for promised in ("2 h of CPU", "1.5 min until", "2 GB", "30 references:", "10 more"):
        assert promised in page
    assert "approve again" in page
    rejected = dataclasses.replace(planned, state="rejected")
    write_difference_report(twice.ledger, rejected, tmp_path / "report")
    page = (tmp_path / "report" / "index.html").read_text()
    assert "It was decided: this reprocessing is rejected." in page
    assert "approve again" not in page


def test_a_canary_that_failed_comes_first(twice: Twice, tmp_path: Path) -> None:
    """With its reason, and what to do about it; another one that is cancelled says so."""
    request = dataclasses.replace(twice.request, campaign="again-canary", context=twice.contexts[1])
    (job,) = plan_jobs(request, ["j8bt05njq"])
    assert process_dataset(job).state == "error"
    one = twice.enter("again", canary("j8bt05njq"), canary("j8bt06o6q"))
    write_difference_report(twice.ledger, one, tmp_path / "report")
    found = report_in(tmp_path / "report")["canaries"]
    assert [each["dataset"] for each in found] == ["j8bt05njq", "j8bt06o6q"]
    assert (found[0]["state"], found[0]["products"]) == ("error", [])
    index = (tmp_path / "report" / "index.html").read_text()
    assert "Look at what failed first (j8bt05njq)" in index
    assert 'class="box warn"' in index
    page = (tmp_path / "report" / "j8bt05njq.html").read_text()
    assert found[0]["reason"]
    assert escape(found[0]["reason"]) in page
    check_page(tmp_path / "report" / "j8bt05njq.html")
