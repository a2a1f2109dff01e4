"""The plan of a campaign, from the ledger that knows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from calib.errors import ConfigError
from calib.ledger.campaigns import set_plan
from calib.ledger.ledger import open_ledger
from calib.references.profile import load_profile
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.enrolment import stored_text
from calib.stages.planning import Request
from flows.plans import plan_of

URL = "postgresql://me:s3cret@host/name"


def test_plan_is_of_the_ledger_that_was_asked(tmp_path: Path) -> None:
    """The ledger keeps a plan without its own URL; who asks for the plan sets it."""
    request = Request("file:/in", "none", load_profile("onsite", {}), "/w", URL, campaign="spring")
    plan = CampaignPlan(request)
    with open_ledger(str(tmp_path / "ledger.db")) as ledger:
        text = stored_text(plan)
        ledger.write(lambda c: set_plan(c, "spring", context="hst_1.pmap", plan=text))
        assert plan_of(ledger, "spring", URL) == plan
        with pytest.raises(ConfigError, match="no such campaign"):
            plan_of(ledger, "autumn", URL)
    assert b"s3cret" not in (tmp_path / "ledger.db").read_bytes()
