"""Pictures of the dashboard's pages of a ledger: `make pages` (needs Chromium).

``python tests/deployments/dashboard/pictures.py LEDGER WORK CAMPAIGN DATASET FOLDER``
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[3]))

from deployments.dashboard.app import build_app
from deployments.dashboard.links import LiveLinks
from deployments.dashboard.settings import DashboardSettings
from tests.deployments.dashboard.browser import SWITCHES, chromium, served

WIDTH = 1100
OF_ALL = ("campaigns", "references")
OF_CAMPAIGN = ("campaign", "matrix", "errors", "gallery", "workers")


def draw(settings: DashboardSettings, campaign: str, dataset: str, folder: Path) -> None:
    """Draw the pages into a folder, as ``dashboard-PAGE.png``."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [(page, ()) for page in OF_ALL] + [(page, (campaign,)) for page in OF_CAMPAIGN]
    wanted.append(("dataset", (dataset,)))
    with served(build_app(settings)) as address, sync_playwright() as talk:
        browser = talk.chromium.launch(executable_path=chromium(), args=[*SWITCHES])
        page = browser.new_page(viewport={"width": WIDTH, "height": 700}, color_scheme="light")
        for name, names in wanted:
            page.goto(f"{address}{LiveLinks().to(name, *names)}")
            page.screenshot(path=folder / f"dashboard-{name}.png")
        browser.close()


if __name__ == "__main__":
    ledger, work, campaign, dataset, folder = sys.argv[1:]
    draw(DashboardSettings(ledger=ledger, work=work), campaign, dataset, Path(folder))
