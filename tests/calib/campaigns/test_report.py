"""A campaign's report: what it counts, and the page that shows it."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

import campaign_story as story
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.campaigns.charts import (
    histogram_chart,
    memory_chart,
    span_text,
    stage_chart,
    throughput_chart,
)
from calib.campaigns.report import Bin, CampaignReport, RungUse, report_of
from calib.campaigns.report_page import report_page
from calib.campaigns.report_words import summary_words
from calib.ledger.campaign_reports import campaigns
from calib.ledger.cost_summaries import Spread, StageSummary
from calib.ledger.ledger import Ledger
from calib.records import Outcome


@pytest.fixture
def report(ledger: Ledger) -> CampaignReport:
    """Return the report of the story."""
    story.tell(ledger)
    return ledger.ask(lambda ask: report_of(ask, campaigns(ask, story.NAME)[0]))


def test_report_counts_what_happened(report: CampaignReport) -> None:
    """States, attempts, and what ended in bins of time."""
    assert (report.total, report.finished, report.attempts) == (5, 2, 4)
    assert report.undrizzled == 0
    assert report.counts == {"planned": 1, "processed": 2, "error": 1, "cancelled": 1}
    assert sum(each.finished for each in report.throughput) == 2
    assert sum(each.failed for each in report.throughput) == 2
    assert {each.dataset for each in report.slowest} == {story.EASY, story.CLIMBS, story.BROKEN}
    assert [each.outcome for each in report.sessions] == ["failed"]


def test_report_judges_the_first_rung(report: CampaignReport) -> None:
    """One began on the rung that it needed, one had to climb; both rungs are counted."""
    quality = report.prediction
    assert quality is not None
    assert (quality.right, quality.larger, quality.smaller) == (1, 0, 1)
    assert (quality.granted, quality.used) == (10 * story.GB, 6 * story.GB)
    two, eight = report.rungs
    assert (two.memory, two.attempts, two.first, two.out_of_memory) == (2 * story.GB, 3, 3, 1)
    assert (eight.memory, eight.attempts, eight.finished) == (8 * story.GB, 1, 1)
    assert eight.most == 5 * story.GB


def test_report_counts_what_was_not_drizzled(ledger: Ledger) -> None:
    """Datasets that asked for stage 2 and ended without it are told once for all."""
    numbers = story.tell(ledger)
    ledger.change_state(numbers[story.BROKEN], "submitted", "once more")
    reason = "published in run r1; not drizzled"
    story.work(ledger, numbers[story.BROKEN], story.GB, Outcome(story.BROKEN, "processed", reason))

    found = ledger.ask(lambda ask: report_of(ask, campaigns(ask, story.NAME)[0]))

    assert found.undrizzled == 1
    assert any(line.startswith("1 not drizzled") for line in summary_words(found))
    assert "1 not drizzled" in report_page(found, [])


def test_page_stands_alone(report: CampaignReport) -> None:
    """No script, nothing from elsewhere, three charts that are well-formed, all names escaped."""
    odd = replace(report.failures[0], reason="<script>alert(1)</script>")
    page = report_page(replace(report, failures=(odd,)), ["hstflow campaign rescue night  # <x>"])
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"(src=|href=|url\(|@import)", page)
    assert page.count("<svg") == 3
    for picture in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ET.fromstring(picture)  # noqa: S314 - our own text
    for promised in (*story.EVERY[2:4], "2 GB", "calibrate", "hstflow campaign rescue night"):
        assert promised in page


def test_report_of_nothing(ledger: Ledger) -> None:
    """A campaign that has not begun has a report too, on the page as well."""
    ledger.ensure_campaign("empty")
    found = ledger.ask(lambda ask: report_of(ask, campaigns(ask, "empty")[0]))
    assert (found.attempts, found.seconds, found.prediction, found.throughput) == (
        0,
        None,
        None,
        (),
    )
    assert "0 of 0 datasets" in report_page(found, [])


counts = st.integers(0, 10**6)
sizes = st.integers(1, 10**13)
seconds = st.floats(0, 1e6)


def numbers_in(picture: str) -> list[float]:
    """Return every coordinate of a chart."""
    svg = re.search(r"<svg.*</svg>", picture, re.DOTALL)
    assert svg is not None
    root = ET.fromstring(svg[0])  # noqa: S314 - our own text
    shapes: list[dict[str, Any]] = [each.attrib for each in root.iter()]
    return [float(v) for a in shapes for k, v in a.items() if k in {"x", "y", "cx", "cy", "width"}]


@given(st.lists(st.tuples(counts, counts), max_size=61), st.floats(1, 1e6))
def test_throughput_stays_in_its_frame(bins: list[tuple[int, int]], step: float) -> None:
    """Whatever was counted, every bar lies within the chart."""
    found = [Bin("2026-01-01T00:00:00+00:00", good, bad) for good, bad in bins]
    assert all(0 <= number <= 720 for number in numbers_in(throughput_chart(found, step)))


@pytest.mark.parametrize("number", [1, 2, 11, 12, 60])
def test_a_few_bars_are_no_wall(number: int) -> None:
    """A campaign of a second has one bar, a twelfth of the chart wide, and one time below it."""
    chart = throughput_chart([Bin("2026-01-01T00:00:00+00:00", 3, 0)] * number, 1.0)
    widths = [float(each) for each in re.findall(r'class="good"[^>]* width="([^"]+)"', chart)]
    assert len(widths) == number
    assert max(widths) <= (720 - 62 - 12) / 12
    assert chart.count(">01-01 00:00<") == (3 if number >= 12 else 1)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (0.0, "0 s"),
        (4e-7, "< 0.01 ms"),
        (0.000497, "0.497 ms"),
        (0.52, "520 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1 s"),
        (12.34, "12.3 s"),
        (89.96, "90 s"),
        (480.0, "8 min"),
        (12_600.0, "3.5 h"),
        (5e8, "5,787 d"),
    ],
)
def test_times_are_for_people(given: float, said: str) -> None:
    """Below a second in milliseconds, never with an exponent."""
    assert span_text(given) == said


@given(st.lists(st.tuples(st.none() | sizes, st.lists(sizes, max_size=5)), max_size=6))
def test_memory_stays_in_its_frame(rungs: list[tuple[int | None, list[int]]]) -> None:
    """Whatever the rungs and peaks are, every dot lies within the chart."""
    found = [RungUse(m, 1, 1, 0, 1, tuple(p), max(p, default=None)) for m, p in rungs]
    assert all(0 <= number <= 720 for number in numbers_in(memory_chart(found)))


@given(st.lists(st.tuples(seconds, seconds, seconds), max_size=7))
def test_stages_stay_in_their_frame(times: list[tuple[float, float, float]]) -> None:
    """Whatever the stages took, every bar lies within the chart."""
    spreads = [Spread(*sorted(each)) for each in times]
    found = [StageSummary("fetch", 1, 0, 0, s, None, None, 0, 0, 0, 0, None) for s in spreads]
    assert all(0 <= number <= 720 for number in numbers_in(stage_chart(found)))


def test_a_histogram_shows_single_pixels() -> None:
    """Each bin that is not empty has a bar, however large the others; the rest is in words."""
    chart = histogram_chart([1, 0, 2_000_000, 0, 3], 0.5, "a < b", ends=(7, 0))
    heights = [float(value) for value in re.findall(r'<rect[^>]* height="([^"]+)"', chart)]
    assert len(heights) == 3
    assert min(heights) > 5
    assert "a &lt; b" in chart
    assert "7 below" in chart
    assert "above" not in chart
    ET.fromstring(chart)  # noqa: S314 - we wrote it
