"""The end of a reprocessing: waves, what is left out, who decided, what came meanwhile."""

from __future__ import annotations

from typing import Any

import campaign_story as story
import pytest
from databases import ledger, template, url

from calib.ids import parse_dataset
from calib.ledger.ledger import Ledger
from calib.ledger.reprocessings import (
    NewMark,
    NewReprocessing,
    advance,
    enter_reprocessing,
    see_context,
)
from calib.reprocessing.final_page import final_page
from calib.reprocessing.final_report import (
    FinalReport,
    final_report_of,
    final_words,
    find_reprocessing,
)

__all__ = ["ledger", "template", "url"]

OLD, NEW, LATER = "hst_0.pmap", story.CONTEXT, "hst_2.pmap"
VISITS = ("acs_8bt_05", "acs_8bt_06", "acs_8bt_07")


@pytest.fixture
def told(ledger: Ledger) -> Ledger:
    """Return a ledger with a reprocessing that runs, and of which a visit is left out."""
    marks = [NewMark(parse_dataset(name), 1) for name in story.EVERY]
    gone = [NewMark(parse_dataset(name), 2, left_out="no engine <x>") for name in VISITS[:2]]
    new = NewReprocessing(story.NAME, OLD, NEW, "context", '{"secret": "place"}')
    ledger.write(lambda c: see_context(c, "https://a.server", OLD))
    ledger.write(
        lambda c: enter_reprocessing(
            c, new, [*marks, *gone, NewMark(parse_dataset(VISITS[2]), 2)], who="me@here"
        )
    )
    for state in ("approved", "running"):
        ledger.write(lambda c, s=state: advance(c, story.NAME, s, who="me@here", note="looks good"))
    story.tell(ledger)
    return ledger


def report(ledger: Ledger) -> FinalReport:
    """Return the final report."""
    one = ledger.ask(lambda rows: find_reprocessing(rows, story.NAME))
    assert one is not None
    return ledger.ask(lambda rows: final_report_of(rows, one))


def test_waves_are_counted(told: Ledger) -> None:
    """The exposures by their campaign, the visits before they have one."""
    found = report(told)
    first, second = found.waves
    assert (first.campaign, first.marked, first.left_out) == (story.NAME, 5, 0)
    assert (first.finished, first.failed, first.missing) == (2, 2, 1)
    assert {failure.error_class for failure in first.failures} == {"CorruptFile", None}
    assert (second.campaign, second.state) == (f"{story.NAME}-visits", None)
    assert (second.marked, second.left_out, second.missing) == (3, 2, 1)
    assert (found.finished, found.failed) == (2, 2)
    (gone,) = found.left_out
    assert (gone.reason, gone.datasets, gone.examples) == ("no engine <x>", 2, VISITS[:2])
    assert [step.to_state for step in found.steps] == ["planned", "approved", "running"]


def test_a_context_that_comes_meanwhile_is_told(told: Ledger) -> None:
    """One that came before, or that it runs on, is not; one after its end neither."""
    assert report(told).meanwhile == ()
    told.write(lambda c: see_context(c, "https://a.server", NEW))
    told.write(lambda c: see_context(c, "https://a.server", LATER))
    (found,) = report(told).meanwhile
    assert found.context == LATER
    told.write(lambda c: advance(c, story.NAME, "finished", who="me@here"))
    told.write(lambda c: see_context(c, "https://a.server", "hst_3.pmap"))
    words = "\n".join(final_words(report(told)))
    assert f"context {LATER} became operational at https://a.server meanwhile" in words
    assert f"this ran on {NEW}" in words
    assert "hst_3" not in words


def test_what_is_current_elsewhere_is_told(told: Ledger) -> None:
    """Not all that is current has come along: people see how much has not."""
    assert report(told).elsewhere == {}
    origin: dict[str, Any] = {
        "engine": "native",
        "engine_version": "1",
        "parameters": {},
        "output": "file:/o",
    }
    told.ensure_run("before", context="hst_7.pmap", **origin)
    for name in story.EVERY[:2]:
        told.set_current(parse_dataset(name), "before")
    found = report(told)
    assert found.elsewhere == {"hst_7.pmap": 2}
    assert f"2 current datasets are not on {NEW} (hst_7.pmap 2)" in final_words(found)


def test_words_and_page_say_the_same(told: Ledger) -> None:
    """Every line is on the page, escaped; the plan is not."""
    found = report(told)
    words = list(final_words(found))
    assert words[0] == "now running: looks good"
    assert "2 of 5 finished, 2 failed, 1 still to run" in "\n".join(words)
    page = final_page(found, ["hstflow campaign resume night"])
    assert "no engine &lt;x&gt;" in page
    assert "CorruptFile" in page
    assert "me@here" in page
    assert "<script" not in page
    assert "secret" not in page


def test_an_empty_one_has_a_report(ledger: Ledger) -> None:
    """Nothing marked, nothing run."""
    new = NewReprocessing(story.NAME, None, NEW, "list", "{}")
    ledger.write(lambda c: enter_reprocessing(c, new, [], who="me"))
    found = report(ledger)
    assert (found.waves, found.finished, found.left_out) == ((), 0, ())
    assert "context hst_1.pmap; 0 datasets" in "\n".join(final_words(found))
    assert ledger.ask(lambda rows: find_reprocessing(rows, "other")) is None
