"""What reprocessings wait for before they may go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from calib.ledger.ledger import Ledger
from calib.ledger.reports import Rows
from calib.ledger.reprocessing_reports import Reprocessing, reprocessings
from calib.records import from_json
from calib.references.profile import CrdsProfile
from calib.reprocessing.awaited import awaited_references
from calib.reprocessing.guard import what_is_missing
from calib.reprocessing.waves import runnable
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.planning import Request

# Takes profile, context and references; says what is missing: what_is_missing.
Guard = Callable[[CrdsProfile, str, Iterable[str]], str | None]


def awaited_by_blocked(ledger: Ledger) -> dict[str, str | None]:
    """Try to bring what blocked reprocessings wait for; return what is still missing, by name.

    None: all that a reprocessing needs is in the cache now.
    """
    found = [each for each in ledger.ask(reprocessings) if each.state == "blocked"]
    return {each.name: awaited_by(ledger, each) for each in found}


def awaited_by(ledger: Ledger, one: Reprocessing, guard: Guard = what_is_missing) -> str | None:
    """Try to bring what a reprocessing needs; return what is still missing, and why.

    None: it may go on.
    """
    request = from_json(CampaignPlan, one.plan).request
    names = ledger.ask(partial(_names, one=one, request=request))
    return guard(request.profile, one.new_context, names)


def _names(rows: Rows, one: Reprocessing, request: Request) -> set[str]:
    todo, own = runnable(rows, one), request.options.references
    return awaited_references(request.profile, one.new_context, todo, rows, own)
