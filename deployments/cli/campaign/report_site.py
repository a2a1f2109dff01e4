"""`hstflow campaign report -o`: the dashboard's pages of a campaign as files."""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.markup import escape

from calib.ledger.campaign_reports import campaigns
from calib.ledger.location import ledger_url
from calib.reprocessing.final_report import find_reprocessing
from deployments.cli.campaign.lookup import find_campaign, reading
from deployments.cli.console import out, print_json
from deployments.cli.progress import following

if TYPE_CHECKING:
    from calib.ledger.reports import Rows
    from deployments.dashboard.export import Wanted, Written


def write_site(
    name: str,
    output: Path,
    datasets: Literal["all", "failed", "none"],
    others: int,
    *,
    replace: bool,
    json: bool,
) -> int:
    """Write the pages of a campaign, and say what was written.

    Raises
    ------
    ConfigError
        There is no such campaign, or the target is there or cannot be written.
    """
    from deployments.dashboard.export import export_site
    from deployments.dashboard.static_files import refuse

    target = output.absolute()
    refuse(target, replace=replace)
    began = time.monotonic()
    with reading() as rows, following("pages") as follow:
        wanted = _wanted(rows, name, datasets, others)
        written = export_site(rows, wanted, target, replace=replace, follow=follow)
    if json:
        print_json({"campaign": name, **asdict(written), "seconds": time.monotonic() - began})
    else:
        _tell(written, target)
    return 0


def _wanted(
    rows: Rows, name: str, datasets: Literal["all", "failed", "none"], others: int
) -> Wanted:
    from deployments.dashboard.export import Wanted
    from deployments.dashboard.settings import DashboardSettings
    from tasks.settings import load_settings

    one = find_reprocessing(rows, name)
    found = None
    # A reprocessing may have no campaign of its own name yet, or never.
    if one is None or campaigns(rows, name):
        campaign = find_campaign(rows, name)
        found = (campaign.id, campaign.name)
    settings = DashboardSettings(
        ledger=ledger_url(os.environ), work=str(load_settings().work.absolute())
    )
    return Wanted(settings, found, one.name if one else None, datasets, others)


def _tell(written: Written, target: Path) -> None:
    out.print(
        f"{escape(str(target))}: {written.pages:,} pages, {written.datasets:,} of datasets, "
        f"{written.pictures:,} pictures, {written.bytes / 1e6:,.1f} MB",
        soft_wrap=True,
    )
    if written.not_shown:
        out.print(f"{written.not_shown:,} pages say why there is nothing to show", soft_wrap=True)
    if target.is_dir():
        out.print(f"open {escape(str(target / 'index.html'))}", soft_wrap=True)
