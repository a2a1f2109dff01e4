"""A dashboard on a real ledger, asked without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from campaign_ledger import campaign_template, ledger  # noqa: F401 - fixtures
from starlette.testclient import TestClient

from calib.ledger.ledger import Ledger
from calib.simulate.observatory import Observatory
from deployments.dashboard.app import build_app
from deployments.dashboard.settings import DashboardSettings
from tests.deployments.dashboard.browser import chrome, served, visit  # noqa: F401 - fixtures
from tests.deployments.dashboard.world import World, build_world

Client = Callable[..., TestClient]


@pytest.fixture
def client(ledger: Ledger) -> Client:  # noqa: F811
    """Return a function that gives a client of a dashboard with these settings."""

    def open_client(**settings: Any) -> TestClient:
        given = {"ledger": ledger.url, "period": 0.0} | settings
        app = build_app(DashboardSettings(**given))
        return TestClient(app, base_url="http://localhost", raise_server_exceptions=False)

    return open_client


@pytest.fixture(scope="session")
def world(observatory: Observatory, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return a ledger with all that pages show; tests that change it need one of their own."""
    return build_world(tmp_path_factory.mktemp("world"), observatory)


@pytest.fixture(scope="session")
def site(world: World) -> Iterator[str]:
    """Return the address of a dashboard on that world, by the real server."""
    with served(build_app(world.settings)) as address:
        yield address
