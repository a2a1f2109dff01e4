"""What a submission would do, told without doing it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from calib.campaigns.manifest import entries_of
from calib.errors import ConfigError, ContextError
from calib.ledger.ledger import open_ledger
from calib.simulate.observatory import Observatory
from calib.stages.campaign_forecast import forecast_campaign
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.enrolment import enrol
from calib.stages.planning import Request

NAMES = ["jsim01aaq rung=16", "jsim01abq", "iaaj01ivq"]


@pytest.fixture
def plan(request_of: Request) -> CampaignPlan:
    """Return a plan on the simulated observatory."""
    return CampaignPlan(request=replace(request_of, campaign="spring"))


def on(plan: CampaignPlan, context: str) -> CampaignPlan:
    """Return a plan on another context."""
    return replace(plan, request=replace(plan.request, context=context))


def test_without_a_ledger(plan: CampaignPlan, tmp_path: Path) -> None:
    """All datasets would run, on the rungs that they would begin with, and no file is made."""
    found = forecast_campaign(None, plan, entries_of(NAMES))
    assert (found.total, len(found.to_run), found.states) == (3, 3, {})
    assert found.instruments == {"acs": 2, "wfc3": 1}
    assert sum(found.rungs.values()) == len(NAMES)
    assert found.rungs[16 * 10**9] >= 1
    assert not list(tmp_path.iterdir())


def test_it_agrees_with_what_is_done(plan: CampaignPlan) -> None:
    """Enrolment does what was told: context, run, rungs; then everything is known."""
    entries = entries_of(NAMES)
    before = forecast_campaign(None, plan, entries)
    done = enrol(plan, entries)
    assert (before.run, before.rungs) == (done.run, dict(sorted(done.rungs.items())))
    with open_ledger(plan.request.ledger) as ledger:
        job = ledger.ask(lambda rows: rows("SELECT id FROM job ORDER BY id", {}))[0]["id"]
        ledger.change_state(job, "cancelled", "by the operator")
        after = ledger.ask(lambda rows: forecast_campaign(rows, plan, entries))
    assert after.states == {"planned": 2, "cancelled": 1}
    assert after.to_run == ["jsim01abq", "iaaj01ivq"]


def test_what_cannot_work_is_refused(plan: CampaignPlan, observatory: Observatory) -> None:
    """An unknown context, or another one than the campaign is frozen on."""
    entries = entries_of(NAMES)
    with pytest.raises(ContextError):
        forecast_campaign(None, on(plan, "hst_0000.pmap"), entries)
    enrol(plan, entries)
    other = on(plan, observatory.contexts[1])
    with (
        open_ledger(plan.request.ledger) as ledger,
        pytest.raises(ConfigError, match="other settings"),
    ):
        ledger.ask(lambda rows: forecast_campaign(rows, other, entries))
