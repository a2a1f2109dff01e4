"""Campaigns and their plans, as the ledger has them."""

from __future__ import annotations

import json
from dataclasses import replace

from pydantic import ValidationError

from calib.errors import ConfigError
from calib.ledger.campaign_reports import Campaign, campaigns
from calib.ledger.ledger import Ledger
from calib.records import first_fault, from_json
from calib.stages.campaign_plan import CampaignPlan


def plan_of(ledger: Ledger, name: str, url: str) -> CampaignPlan:
    """Return the plan of a campaign.

    Parameters
    ----------
    ledger, name
        The campaign, and who knows it.
    url
        Of that ledger: the plan is kept without it, since it may hold a password.

    Raises
    ------
    ConfigError
        There is no such campaign, nobody planned it, or another version did, in words that
        this one does not read.
    """
    plan = campaign_of(ledger, name).plan
    if not plan:
        raise ConfigError("the campaign was not planned: submit it", found=name)
    try:
        found = from_json(CampaignPlan, json.dumps(plan))
    except ValidationError as error:
        message = f"the plan of campaign {name} cannot be read by this version"
        raise ConfigError(message, found=first_fault(error)) from error
    return replace(found, request=replace(found.request, ledger=url))


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
