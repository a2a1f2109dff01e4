"""What a reprocessing lacks is told before anything heavy begins."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from calib.errors import Unavailable
from calib.ids import parse_dataset
from calib.ledger.ledger import Ledger, current_owner, open_ledger
from calib.ledger.reprocessing_holders import hold
from calib.ledger.reprocessing_reports import history, holder, reprocessings
from calib.ledger.reprocessings import NewMark, NewReprocessing, advance, enter_reprocessing
from calib.simulate.observatory import Observatory
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.enrolment import stored_text
from calib.stages.planning import Request
from flows.reprocessing_guard import blocked_at_once

ROOT = Path(__file__).parents[2]
IMPORT = "import sys, flows.reprocessing_guard; print({'prefect', 'dask'} & {*sys.modules})"
ABSENT = "y9999999j_drk.fits"


@pytest.fixture
def ledger(observatory: Observatory, tmp_path: Path) -> Iterator[Ledger]:
    """Return a ledger with a reprocessing whose new dark the cache does not have."""
    request = Request(
        source=f"file:{observatory.raws}",
        output="none",
        profile=observatory.profile,
        work=str(tmp_path / "work"),
        ledger="",
        context="hst_9002.pmap",
        campaign="july",
    )
    plan = stored_text(CampaignPlan(request=request))
    new = NewReprocessing("july", "hst_9001.pmap", "hst_9002.pmap", "context", plan)
    marks = [NewMark(parse_dataset("j8bt05njq"), 1, {"DARKFILE": ("a_drk.fits", ABSENT)})]
    with open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as found:
        found.write(lambda c: enter_reprocessing(c, new, marks, who="test"))
        yield found


@pytest.mark.parametrize("state", ["planned", "canary", "blocked"])
def test_blocked_says_what_is_missing_and_is_given_back(ledger: Ledger, state: str) -> None:
    """In every state that looks; the ledger has the reason, and nobody holds it afterwards."""
    if state != "planned":
        ledger.write(lambda c: advance(c, "july", state, who="test"))
    found = blocked_at_once("july", ledger.url)
    assert found is not None
    assert (found.outcome, ABSENT in found.message) == ("blocked", True)
    now = ledger.ask(reprocessings)[0]
    assert (now.state, now.reason) == ("blocked", found.message)
    assert ledger.ask(lambda rows: holder(rows, now.id)) is None


def test_what_may_go_on_is_left_as_it_is(ledger: Ledger) -> None:
    """Where nothing is missing, and at a review, which needs nothing."""
    assert blocked_at_once("july", ledger.url, guard=lambda *_: None) is None
    ledger.write(lambda c: advance(c, "july", "canary", who="test"))
    ledger.write(lambda c: advance(c, "july", "review", who="test"))
    assert blocked_at_once("july", ledger.url) is None
    steps = ledger.ask(lambda rows: history(rows, 1))
    assert [each.to_state for each in steps] == ["planned", "canary", "review"]


def test_what_another_process_has_is_not_touched(ledger: Ledger) -> None:
    """It would look for itself."""
    ledger.write(lambda c: hold(c, "july", current_owner()))
    with pytest.raises(Unavailable, match="in the hands of pid"):
        blocked_at_once("july", ledger.url)
    assert ledger.ask(reprocessings)[0].state == "planned"


def test_guard_needs_no_prefect() -> None:
    """The answer is there before Prefect would be imported."""
    words = [sys.executable, "-c", IMPORT]
    said = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"
