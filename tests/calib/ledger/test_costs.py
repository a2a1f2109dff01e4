"""Rows of costs: each table as its view, streamed in windows, on both databases."""

from __future__ import annotations

import campaign_story as story
import pytest

from calib.ledger import costs
from calib.ledger.costs import FEATURES, TABLES, read_costs, read_submissions
from calib.ledger.ledger import Ledger
from calib.ledger.views import VIEWS


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_views(ledger: Ledger, name: str) -> None:
    """Every table has the columns of its view, and values of the kinds that it promises."""
    story.tell(ledger)
    table = TABLES[name]
    rows = [row for some in ledger.ask(lambda ask: [*read_costs(ask, table)]) for row in some]
    kinds = {"text": str, "integer": int, "number": float, "time": str}
    assert table.view in VIEWS
    assert rows
    for row in rows:
        assert list(row) == list(table.columns)
        for column, kind in table.columns.items():
            value = row[column]
            assert value is None or isinstance(value, kinds[kind]), (column, value)
    everything = ledger.ask(lambda ask: ask(f"SELECT * FROM {table.view}", {}))  # noqa: S608 - our own names
    assert len(everything) == len(rows)


def test_stage_rows_say_what_was_granted_and_seen(ledger: Ledger) -> None:
    """A row has its attempt, the memory granted to it, its costs, and the nine features."""
    story.tell(ledger)
    rows = [
        row for some in ledger.ask(lambda ask: [*read_costs(ask, costs.STAGES)]) for row in some
    ]
    climbs = [row for row in rows if row["dataset"] == story.CLIMBS and row["stage"] == "calibrate"]
    told = [(r["attempt"], r["state"], r["memory"], r["peak_rss"], r["wall"]) for r in climbs]
    gb = story.GB
    assert told == [(1, "error", 2 * gb, 2 * gb, 8.0), (2, "done", 8 * gb, 5 * gb, 8.0)]
    assert {name: climbs[0][name] for name in FEATURES} == vars(story.FEATURES)


def test_windows_lose_nothing(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small the windows, every row comes once, in order, and never an empty list."""
    story.tell(ledger)
    story.tell(ledger, name="other")
    whole = ledger.ask(lambda ask: [*read_costs(ask, costs.STAGES)])
    monkeypatch.setattr(costs, "_AT_ONCE", 3)
    parts = ledger.ask(lambda ask: [*read_costs(ask, costs.STAGES)])
    assert len(parts) > 2
    assert all(parts)
    assert [row for some in parts for row in some] == [row for some in whole for row in some]
    one = ledger.ask(lambda ask: [*read_costs(ask, costs.STAGES, campaign="other")])
    assert {row["campaign"] for some in one for row in some} == {"other"}


def test_submissions_are_of_the_last_attempt(ledger: Ledger) -> None:
    """Each job comes once, with its last attempt; one that has not begun has none."""
    story.tell(ledger)
    found = {each.dataset: each for each in ledger.ask(lambda ask: [*read_submissions(ask)])}
    assert tuple(found) == story.EVERY
    climbs, left = found[story.CLIMBS], found[story.LEFT]
    assert (climbs.attempt, climbs.peak_rss, climbs.has_begun) == (2, 5 * story.GB, True)
    assert (left.attempt, left.started_at, left.peak_rss, left.has_begun) == (
        None,
        None,
        None,
        False,
    )


def test_an_empty_ledger_has_no_rows(ledger: Ledger) -> None:
    """Where nothing was run there is nothing to read."""
    assert ledger.ask(lambda ask: [*read_costs(ask, costs.JOBS)]) == []
    assert ledger.ask(lambda ask: [*read_submissions(ask)]) == []
