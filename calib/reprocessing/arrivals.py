"""What reprocessings that are blocked still wait for."""

from __future__ import annotations

from functools import partial

from calib.ledger.ledger import Ledger
from calib.ledger.reprocessing_reports import Reprocessing, reprocessings
from calib.records import from_json
from calib.reprocessing.guard import what_is_missing
from calib.reprocessing.life import references_of, to_run
from calib.stages.campaign_plan import CampaignPlan


def awaited_by_blocked(ledger: Ledger) -> dict[str, str | None]:
    """Try to bring what blocked reprocessings wait for; return what is still missing, by name.

    None: all that a reprocessing needs is in the cache now.
    """
    found = [each for each in ledger.ask(reprocessings) if each.state == "blocked"]
    return {each.name: _awaited(ledger, each) for each in found}


def _awaited(ledger: Ledger, one: Reprocessing) -> str | None:
    request = from_json(CampaignPlan, one.plan).request
    own = {keyword.upper() for keyword in request.options.references}
    names = references_of(ledger.ask(partial(to_run, number=one.id)), own)
    return what_is_missing(request.profile, one.new_context, names)
