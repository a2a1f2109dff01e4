"""What reprocessings that are blocked still wait for."""

from __future__ import annotations

from calib.errors import HstflowError
from calib.ledger.ledger import Ledger
from calib.ledger.reprocessing_reports import Reprocessing, marks, reprocessings
from calib.records import from_json
from calib.references.readiness import Readiness, readiness
from calib.references.syncing import sync_references, sync_rules
from calib.stages.campaign_plan import CampaignPlan


def awaited_by_blocked(ledger: Ledger) -> dict[str, str | None]:
    """Try to bring what blocked reprocessings wait for; return what is still missing, by name.

    None: all that a reprocessing needs is in the cache now.
    """
    found = [each for each in ledger.ask(reprocessings) if each.state == "blocked"]
    return {each.name: _awaited(ledger, each) for each in found}


def _awaited(ledger: Ledger, one: Reprocessing) -> str | None:
    try:
        now = _brought(ledger, one)
    except HstflowError as error:
        return str(error)
    return None if now.ready else str(now)


def _brought(ledger: Ledger, one: Reprocessing) -> Readiness:
    """Bring what is missing where the profile can; say what is there afterwards."""
    profile, context = from_json(CampaignPlan, one.plan).request.profile, one.new_context
    marked = ledger.ask(lambda rows: marks(rows, one.id))
    names = {new for each in marked for _, new in each.changes.values() if new}
    before = readiness(profile, context, names)
    if before.ready or not profile.can_fill:
        return before
    if before.missing_rules:
        sync_rules(profile, [context])
    sync_references(profile, context, before.missing_references)
    return readiness(profile, context, names)
