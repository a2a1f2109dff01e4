"""What blocked reprocessings wait for: changed files, and those that their jobs name."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest
from databases import ledger, template, url
from sqlalchemy import update

from calib.ids import parse_dataset
from calib.ledger.ledger import Ledger
from calib.ledger.reprocessings import NewMark, NewReprocessing, advance, enter_reprocessing
from calib.ledger.schema import job
from calib.references.profile import CrdsProfile
from calib.reprocessing import arrivals
from calib.reprocessing.arrivals import awaited_by_blocked
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.enrolment import stored_text
from calib.stages.planning import Options, Request

__all__ = ["ledger", "template", "url"]

NEW = "hst_9002.pmap"
DATASET = parse_dataset("j8bt05njq")
DARK, BIAS = "z0000009j_drk.fits", "z0000001j_bia.fits"
REASON = (
    f"references that calibration opens cannot be used on {NEW}: BIASFILE: {BIAS} is not in the "
    "cache (j8bt05njq_raw.fits)"
)
LONG = timedelta(minutes=1)


class Cache:
    """A cache that lacks what a test says."""

    def __init__(self) -> None:
        self.lacking: set[str] = set()
        self.asked: list[list[str]] = []

    def missing(self, _profile: CrdsProfile, _context: str, names: Iterable[str]) -> str | None:
        """Stand in for `what_is_missing`."""
        self.asked.append(list(names))
        return ", ".join(sorted(set(self.asked[-1]) & self.lacking)) or None


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> Cache:
    """Put such a cache in the place of the real one."""
    found = Cache()
    monkeypatch.setattr(arrivals, "what_is_missing", found.missing)
    return found


def block(ledger: Ledger, name: str, options: Options | None = None, darks: int = 1) -> None:
    """Enter a reprocessing that is blocked; its datasets have new darks."""
    profile = CrdsProfile("test", "", Path("cache"))
    options = options or Options()
    request = Request("file:raws", "file:out", profile, "work", "", NEW, options=options)
    new = NewReprocessing(name, None, NEW, "list", stored_text(CampaignPlan(request)))
    names = [DARK, *(f"z{number:07}j_drk.fits" for number in range(100, 99 + darks))]
    changes = {f"DARKFILE{place or ''}": (None, each) for place, each in enumerate(names)}
    marks = [NewMark(DATASET, 1, changes)]
    ledger.write(lambda c: enter_reprocessing(c, new, marks, who="test"))
    ledger.write(lambda c: advance(c, name, "blocked", who="test", note="it waits"))


def block_job(ledger: Ledger, name: str, reason: str = REASON) -> None:
    """Let a job of a reprocessing be blocked."""
    ledger.ensure_campaign(name, context=NEW)
    ledger.submit(name, DATASET, NEW, context=NEW)
    ledger.write(lambda c: c.execute(update(job).values(state="blocked", reason=reason)))


@pytest.mark.parametrize("campaign", ["july", "july-canary"])
def test_unchanged_file_that_a_job_names_is_waited_for(
    ledger: Ledger, cache: Cache, campaign: str
) -> None:
    """The rules did not change it, so no mark names it: the job that found it gone does."""
    block(ledger, "july")
    block_job(ledger, campaign)
    cache.lacking = {BIAS}

    assert dict(awaited_by_blocked(ledger, limit=LONG)) == {"july": BIAS}
    assert cache.asked == [[BIAS, DARK]]

    cache.lacking = set()
    assert dict(awaited_by_blocked(ledger, limit=LONG)) == {"july": None}


def test_file_of_the_users_own_is_not_asked_of_the_archive(ledger: Ledger, cache: Cache) -> None:
    """Nobody else has it."""
    block(ledger, "july", Options(references={"BIASFILE": "/own/bias.fits"}))
    block_job(ledger, "july", "BIASFILE names a file that is not there (file /own/bias.fits)")

    assert dict(awaited_by_blocked(ledger, limit=LONG)) == {"july": None}
    assert cache.asked == [[DARK]]


def test_time_is_limited(ledger: Ledger, cache: Cache) -> None:
    """What is left when the time is over comes in a later look, and is said."""
    block(ledger, "july", darks=20)
    block(ledger, "august")
    slow = awaited_by_blocked(ledger, limit=timedelta(0))

    said = dict(slow)

    assert "not looked at this time" in str(said["july"])
    assert "it waits" in str(said["august"])
    assert cache.asked == []


def test_many_references_are_brought_some_at_a_time(
    ledger: Ledger, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two parts the clock is looked at."""
    block(ledger, "july", darks=20)
    assert dict(awaited_by_blocked(ledger, limit=LONG)) == {"july": None}
    assert [len(names) for names in cache.asked] == [16, 4]

    clock = iter([0.0, 0.0, 61.0])
    monkeypatch.setattr(arrivals.time, "monotonic", lambda: next(clock, 61.0))
    ((_, why),) = awaited_by_blocked(ledger, limit=LONG)
    assert "16 of 20 references are there" in str(why)
