"""What is shown while a campaign runs."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest
from campaign_ledger import begin_session, campaign_template, ledger
from rich.console import Console

from calib.ledger.ledger import Ledger
from deployments.cli.campaign import following
from deployments.cli.campaign.following import overview_in, showing

__all__ = ["campaign_template", "ledger"]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_progress_is_read_from_the_ledger(
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    is_terminal: bool,
) -> None:
    """A bar on a terminal, lines elsewhere: both tell what the ledger has."""
    begin_session(ledger)
    console = Console(force_terminal=is_terminal, width=120, record=True, file=io.StringIO())
    monkeypatch.setattr(following, "err", console)
    monkeypatch.setattr(following, "INTERVAL", 0.01)
    monkeypatch.setattr(following, "LINES", 0.01)
    with showing(ledger.url, "spring"):
        threading.Event().wait(0.3)
    assert "1 of 5 done" in console.export_text()


def test_quiet_shows_nothing(ledger: Ledger) -> None:
    """Nothing looks at the ledger where nothing is to be shown."""
    with showing(ledger.url, "spring", quiet=True):
        assert not [each for each in threading.enumerate() if each.name == "progress"]


def test_trouble_of_the_ledger_stops_no_campaign(tmp_path: Path) -> None:
    """A ledger that is not there or cannot be read is nothing to show."""
    assert overview_in(f"sqlite:///{tmp_path}/none.db", "spring") is None
    assert overview_in(f"sqlite:///{tmp_path}", "spring") is None
