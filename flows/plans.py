"""Campaigns and their plans, as the ledger has them."""

from __future__ import annotations

import json

from calib.errors import ConfigError
from calib.ledger.campaign_reports import Campaign, campaigns
from calib.ledger.ledger import Ledger
from calib.records import from_json
from calib.stages.campaign_plan import CampaignPlan


def plan_of(ledger: Ledger, name: str) -> CampaignPlan:
    """Return the plan of a campaign.

    Raises
    ------
    ConfigError
        There is no such campaign, or nobody planned it.
    """
    plan = campaign_of(ledger, name).plan
    if not plan:
        raise ConfigError("the campaign was not planned: submit it", found=name)
    return from_json(CampaignPlan, json.dumps(plan))


def campaign_of(ledger: Ledger, name: str) -> Campaign:
    """Return a campaign as it is now.

    Raises
    ------
    ConfigError
        There is no such campaign.
    """
    found = ledger.ask(lambda rows: campaigns(rows, name))
    if not found:
        raise ConfigError("there is no such campaign", found=name)
    return found[0]
