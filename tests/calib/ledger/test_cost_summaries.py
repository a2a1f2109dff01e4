"""Sums for a report, on both databases, against what was told."""

from __future__ import annotations

import campaign_story as story
import pytest
from sqlalchemy import text

from calib.ledger.cost_summaries import (
    FailureGroup,
    RetriedGroup,
    Spread,
    failure_groups,
    longest_stage,
    read_attempts,
    retried_groups,
    span_of,
    stage_summaries,
)
from calib.ledger.ledger import Ledger


def test_stages_are_summed(ledger: Ledger) -> None:
    """Counts by state, sums over all runs, and the spread of those that did the work."""
    story.tell(ledger)
    fetch, calibrate = ledger.ask(lambda ask: stage_summaries(ask, 1))
    assert (fetch.stage, fetch.done, fetch.reused, fetch.failed) == ("fetch", 4, 0, 0)
    assert (calibrate.stage, calibrate.done, calibrate.failed) == ("calibrate", 2, 2)
    assert calibrate.peak_rss == Spread(story.GB, 5 * story.GB, 5 * story.GB)
    assert (calibrate.total_wall, calibrate.total_cpu) == (32.0, 16.0)
    assert (fetch.bytes_in, fetch.bytes_out) == (4_000, 40)


@pytest.mark.parametrize(
    ("number", "expected"),
    [(1, (1, 1, 1)), (2, (1, 2, 2)), (20, (10, 19, 20)), (100, (50, 95, 100))],
)
def test_spread_is_the_nearest_rank(
    ledger: Ledger, number: int, expected: tuple[int, int, int]
) -> None:
    """Median and 95 % are values that were measured: rank ceil(n/2) and ceil(0.95 n)."""
    story.tell(ledger)
    insertion = text(
        "INSERT INTO stage_run (attempt_id, stage, state, started_at, wall) "
        "VALUES (1, 'preview', 'done', '2026', :wall)"
    )
    values = [{"wall": float(wall)} for wall in range(number, 0, -1)]
    ledger.write(lambda c: c.execute(insertion, values))
    last = ledger.ask(lambda ask: stage_summaries(ask, 1))[-1]
    assert last.stage == "preview"
    assert last.wall == Spread(*map(float, expected))
    assert last.cpu is None


def test_failures_are_grouped_with_examples(ledger: Ledger) -> None:
    """What failed or was cancelled comes by error, with the names of the first few."""
    story.tell(ledger)
    found = ledger.ask(lambda ask: failure_groups(ask, 1))
    broken = FailureGroup(
        "error", "CorruptFile", 22, 1, (story.BROKEN,), f"{story.BROKEN}_raw.fits: [cut] short"
    )
    assert broken in found
    assert {(each.state, each.examples) for each in found} == {
        ("error", (story.BROKEN,)),
        ("cancelled", (story.CANCELLED,)),
    }
    assert ledger.ask(lambda ask: retried_groups(ask, 1)) == [RetriedGroup("OutOfMemory", 31, 1)]


def test_attempts_know_where_their_job_began(ledger: Ledger) -> None:
    """An attempt comes with the memory of its job's first one, its peak and its time."""
    story.tell(ledger)
    found = ledger.ask(lambda ask: [*read_attempts(ask, 1)])
    last = next(each for each in found if each.dataset == story.CLIMBS and each.number == 2)
    assert len(found) == 4
    assert (last.is_last, last.memory, last.first_memory) == (True, 8 * story.GB, 2 * story.GB)
    assert (last.peak_rss, last.seconds) == (5 * story.GB, 8.5)
    assert ledger.ask(lambda ask: longest_stage(ask, 1, story.CLIMBS, 2)) == "calibrate"
    assert ledger.ask(lambda ask: longest_stage(ask, 1, story.LEFT, 1)) is None


def test_a_campaign_that_has_not_begun(ledger: Ledger) -> None:
    """Without attempts there is no span and nothing to sum."""
    ledger.ensure_campaign("empty")
    assert ledger.ask(lambda ask: span_of(ask, 1)) == (None, None)
    assert ledger.ask(lambda ask: stage_summaries(ask, 1)) == []
