"""As much of a campaign as fits on a page."""

from __future__ import annotations

from campaign_ledger import BUSY, DONE, EVERY, GONE, HEAVY, WAITING, campaign_template, ledger

from calib.ledger.campaign_excerpt import excerpt, failed_since
from calib.ledger.campaign_reports import campaigns
from calib.ledger.ledger import Ledger

__all__ = ["campaign_template", "ledger"]


def test_failures_come_first_and_the_rest_is_counted(ledger: Ledger) -> None:
    """Two failed, one is at work, one is done, one waits: three rows leave two."""
    (found,) = ledger.ask(lambda rows: campaigns(rows, "spring"))

    some = ledger.ask(lambda rows: excerpt(rows, found.id, found.counts, 3))
    every = ledger.ask(lambda rows: excerpt(rows, found.id, found.counts, 100))

    assert [line.dataset for line in some.lines] == [GONE, HEAVY, BUSY]
    assert some.more == 2
    assert [line.dataset for line in every.lines] == [GONE, HEAVY, BUSY, DONE, WAITING]
    assert every.more == 0
    assert dict(some.lines[2].stages) == {"calibrate": "running"}
    assert some.lines[0].error_class == "NotFound"


def test_failures_since_a_moment(ledger: Ledger) -> None:
    """The first comes first, and what is older does not come."""
    (found,) = ledger.ask(lambda rows: campaigns(rows, "spring"))

    failed = ledger.ask(lambda rows: failed_since(rows, found.id, "2000-01-01", 10))
    later = ledger.ask(lambda rows: failed_since(rows, found.id, failed[0].updated_at, 10))

    assert [line.dataset for line in failed] == [HEAVY, GONE]
    assert [line.dataset for line in later] == [GONE]
    assert len(EVERY) == 5
