"""Every page of the dashboard on each kind of database."""

from __future__ import annotations

import pytest
from campaign_ledger import BUSY, DONE, EVERY, HEAVY, end, enter
from starlette.testclient import TestClient

from calib.ids import parse_dataset
from calib.ledger.ledger import current_owner, open_ledger
from calib.records import Outcome
from deployments.dashboard.app import build_app
from deployments.dashboard.settings import DashboardSettings
from tests.databases import template, url  # noqa: F401 - fixtures

PAGES = (
    "/",
    "/campaigns/spring",
    "/campaigns/spring/datasets",
    "/campaigns/spring/datasets?state=error&sort=changed",
    "/campaigns/spring/datasets?name=*0*&again=1&sort=duration",
    "/campaigns/spring/errors",
    "/campaigns/spring/gallery",
    "/campaigns/spring/workers",
    "/campaigns/spring/rescue?state=error",
    "/campaigns/spring/control?wish=pause",
    f"/datasets/{HEAVY}",
    f"/datasets/{BUSY}",
    "/references",
    "/contexts",
    "/errors",
    "/rescue?state=error",
    "/reprocessings",
    "/metrics",
)


@pytest.fixture
def pages(url: str) -> TestClient:  # noqa: F811
    """Return a client of a dashboard on a campaign: done, failed, at work, waiting."""
    with open_ledger(url) as ledger:
        enter(ledger, "spring", EVERY)
        end(ledger, "spring", Outcome(DONE, "processed", "published"))
        end(ledger, "spring", Outcome(HEAVY, "error", "more than 8 GB", 32, "OutOfMemory"))
        job = ledger.submit("spring", parse_dataset(BUSY), "spring", context="hst_0001.pmap")
        ledger.open_stage(ledger.begin_attempt(job, current_owner()), "calibrate")
    app = build_app(DashboardSettings(ledger=url, period=0.0, may_change=True))
    return TestClient(app, base_url="http://localhost", raise_server_exceptions=False)


def test_every_page_is_answered(pages: TestClient) -> None:
    """No question of a page is one that only SQLite, or only PostgreSQL, understands."""
    with pages:
        codes = {path: pages.get(path).status_code for path in PAGES}
    assert {path: code for path, code in codes.items() if code != 200} == {}
