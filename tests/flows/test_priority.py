"""Where campaigns share workers, a job goes by its own priority."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from calib.ledger.campaign_reports import LeftJob
from calib.ledger.ledger import open_ledger
from calib.references.profile import load_profile
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.planning import Request
from calib.stages.recording import close_ledgers
from flows.backlog import Ticket
from flows.session import Loop
from flows.work import Work


def test_priority_of_the_campaign_counts_once(tmp_path: Path) -> None:
    """The row of a job has it already, unless the manifest says another one."""
    url, orders = f"sqlite:///{tmp_path / 'ledger.db'}", []
    profile = load_profile("onsite", {})
    request = Request("file:/in", "none", profile, str(tmp_path), url, context="hst_1.pmap")
    left = LeftJob(1, "j8bt05njq", "r1", "submitted", 5, None, None, 1.0, 0)

    def submit(order: Any) -> Future[Any]:
        orders.append(order)
        return Future()

    placement = SimpleNamespace(take=lambda _need: None)
    pool: Any = SimpleNamespace(submit=submit, placement=placement)
    others: Any = SimpleNamespace(frame=lambda _chunk: None, put=lambda _end: None)
    with open_ledger(url) as ledger:
        plan = CampaignPlan(request, priority=5)
        Loop(plan, Work(), ledger, others, pool, others, others, others)._start(Ticket(left, 0))
    close_ledgers()
    assert [each.priority for each in orders] == [5]
