"""What the artifacts of a campaign say, and that nothing in them acts."""

from __future__ import annotations

from calib.ledger.campaign_excerpt import Excerpt, Line
from calib.ledger.campaign_overview import Overview
from calib.ledger.campaign_reports import Campaign, Failure
from deployments.dashboard.links import LiveLinks
from flows.artifacts import LARGEST_PICTURE, key_of, picture, plain
from flows.campaign_pages import (
    Story,
    contact_sheet,
    dataset_url,
    duration,
    matrix,
    matrix_text,
    report,
)

HOSTILE = "</td><script>alert(1)</script> | [x](javascript:alert(1)) `a` ![i](http://x)\n# head"
LINE = Line(
    1,
    "j8bt06niq",
    "acs",
    "error",
    3,
    "OutOfMemory",
    HOSTILE,
    "2026-01-01",
    {"fetch": "reused", "bestrefs": "done", "calibrate": "error"},
)
CAMPAIGN = Campaign(
    1, "night", "hst_0001.pmap", 0, "run", "2026-01-01", {"a": 1}, None, {"error": 1, "planned": 9}
)


def test_row_has_a_word_for_each_stage_and_leads_to_the_dashboard() -> None:
    """Stages that were not reached are a dash; the address is the dashboard's own."""
    (row,) = matrix(Excerpt([LINE], 0), "http://dash/hst/")
    (bare,) = matrix(Excerpt([LINE], 0), None)

    assert list(row) == [
        *("dataset", "state", "fetch", "bestrefs", "calibrate", "preview", "archive"),
        *("state-message", "error", "attempt"),
    ]
    dash, page = r"\-", LiveLinks("/hst").to("dataset", LINE.dataset)
    stages = ["ok", "ok", "FAIL", dash, dash, dash]
    assert list(row.values())[1:] == ["error", *stages, "OutOfMemory", "3"]
    assert row["dataset"] == f"[j8bt06niq](http://dash{page})"
    assert bare["dataset"] == "j8bt06niq"
    assert dataset_url("http://dash", "a/b") == "http://dash/datasets/a%2Fb"


def test_table_says_how_much_it_does_not_show() -> None:
    """A part of a campaign is never taken for all of it."""
    assert "all 1 datasets" in matrix_text(CAMPAIGN, Excerpt([LINE], 0))
    assert "1 of 10 datasets" in matrix_text(CAMPAIGN, Excerpt([LINE], 9))


def test_report_shows_hostile_text_as_text() -> None:
    """A reason of others ends no table, makes no link, runs nothing."""
    failure = Failure("error", "OutOfMemory", 32, 1, "j8bt06niq", HOSTILE)
    text = report(Story(Overview(CAMPAIGN, "failed"), [failure]))
    sheet = contact_sheet([("d", "a_b.jpg", "data:image/jpeg;base64,AA")], [LINE], None)

    for page in (text, sheet):
        assert "<script" not in page
        assert "](javascript" not in page
        assert "\n# head" not in page
    row = next(line for line in text.splitlines() if "OutOfMemory |" in line)
    assert row.replace(r"\|", "").count("|") == 6
    assert "hstflow campaign rescue night --run" in text
    assert "hstflow campaign resume night" in text
    assert "![a\\_b.jpg](data:image/jpeg;base64,AA)" in sheet


def test_pictures_that_are_too_large_or_of_another_kind_are_left_out() -> None:
    """Data URLs lie in the server's database: JPEG and PNG up to a size."""
    assert picture("a_thumb.jpg", b"abc") == "data:image/jpeg;base64,YWJj"
    assert picture("a_thumb.PNG", b"abc") == "data:image/png;base64,YWJj"
    assert picture("a.svg", b"abc") is None
    assert picture("a.png", bytes(LARGEST_PICTURE + 1)) is None


def test_keys_have_what_prefect_allows() -> None:
    """Capitals, dots and blanks of a campaign's name are no part of a key."""
    assert key_of("campaign-matrix", "Night 0.1_b") == "campaign-matrix-night-0-1-b"
    assert plain("x" * 400, 10) == "xxxxxxx..."
    assert [duration(each) for each in (45, 1200, 12_000)] == ["45 s", "20 min", "3 h 20 min"]
