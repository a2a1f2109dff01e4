"""What reprocessings that are blocked still wait for."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from calib.ledger.ledger import Ledger
from calib.ledger.reports import Rows
from calib.ledger.reprocessing_reports import Reprocessing, reprocessings
from calib.records import from_json
from calib.reprocessing.awaited import awaited_references
from calib.reprocessing.guard import what_is_missing
from calib.reprocessing.life import to_run
from calib.stages.campaign_plan import CampaignPlan


def awaited_by_blocked(ledger: Ledger) -> dict[str, str | None]:
    """Try to bring what blocked reprocessings wait for; return what is still missing, by name.

    None: all that a reprocessing needs is in the cache now.
    """
    found = [each for each in ledger.ask(reprocessings) if each.state == "blocked"]
    return {each.name: _awaited(ledger, each) for each in found}


def _awaited(ledger: Ledger, one: Reprocessing) -> str | None:
    request = from_json(CampaignPlan, one.plan).request
    names = ledger.ask(partial(_names, number=one.id, own=request.options.references))
    return what_is_missing(request.profile, one.new_context, names)


def _names(rows: Rows, number: int, own: Collection[str]) -> set[str]:
    return awaited_references(to_run(rows, number), rows, own)
