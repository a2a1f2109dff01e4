"""The flow `campaign-resume`: it begins nothing where there is nothing for it to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from campaign_ledger import DONE, begin_session, campaign_template, end, enter, ledger

from calib.ledger.campaign_reports import campaigns
from calib.ledger.campaigns import set_control
from calib.ledger.ledger import Ledger
from calib.records import Outcome
from calib.references.profile import load_profile
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.planning import Request
from flows import campaign as flow
from flows.resume import campaign_resume

__all__ = ["campaign_template", "ledger"]


def test_a_campaign_that_somebody_runs_is_left_to_them(ledger: Ledger) -> None:
    """Where a process is at work the run ends well, and says who it is."""
    begin_session(ledger)
    state = campaign_resume.fn("spring")
    assert state.is_completed()
    assert "is run by pid" in str(state.message)


def test_nothing_is_left_to_do(ledger: Ledger) -> None:
    """A campaign whose datasets have all ended is not begun again."""
    enter(ledger, "done", (DONE,))
    end(ledger, "done", Outcome(DONE, "processed", "published"))
    state = campaign_resume.fn("done")
    assert state.is_completed()
    assert "nothing is left of done" in str(state.message)


def test_what_was_paused_while_the_run_waited_stays_paused(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A run that a schedule put into the queue begins nothing, and the wish is still there."""
    request = Request(
        source="file:.",
        output="none",
        profile=load_profile("offsite", {"CRDS_PATH": str(tmp_path)}),
        work=str(tmp_path),
        ledger=ledger.url,
        campaign="spring",
    )
    monkeypatch.setattr(flow, "plan_of", lambda *_: CampaignPlan(request, runner="threads"))
    monkeypatch.setattr(flow, "require_rules", lambda *_: None)
    ledger.write(lambda c: set_control(c, "spring", "pause"))

    state = campaign_resume.fn("spring", unless_paused=True)

    assert state.is_completed()
    assert "somebody asked for pause of campaign spring" in str(state.message)
    (found,) = ledger.ask(lambda rows: campaigns(rows, "spring"))
    assert (found.control, found.session) == ("pause", None)
