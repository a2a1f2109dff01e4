"""The page of contexts: what is operational where, used by what, and what is behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from campaign_ledger import CONTEXT

from calib.ledger.context_use import ContextUse, behind, context_uses
from calib.ledger.ledger import Ledger
from calib.ledger.reprocessing_reports import SeenContext
from calib.ledger.reprocessings import see_context
from calib.references import pins
from calib.references.pins import Pin
from tests.deployments.dashboard.conftest import Client
from tests.deployments.dashboard.reviewed import NEW, review


def test_contexts_with_what_uses_them(client: Client, ledger: Ledger, tmp_path: Path) -> None:
    """Each context has its campaigns, its reprocessings and the sources that call it so."""
    review(ledger, tmp_path)
    for context in (CONTEXT, NEW):
        ledger.write(lambda c, name=context: see_context(c, "https://<crds>", name))
    uses = {use.name: use for use in ledger.ask(context_uses)}
    assert uses[CONTEXT].campaigns == ["spring"]
    assert uses[CONTEXT].operational_at == []
    assert uses[NEW].operational_at == ["https://<crds>"]
    text = client().get("/contexts").text
    assert 'href="/campaigns/spring"' in text
    assert 'href="/reprocessings/july"' in text
    assert "https://&lt;crds&gt;" in text


def test_what_is_behind_is_summed() -> None:
    """Current products of every older context count; those of the same or a later one do not."""
    seen = [SeenContext("server", "hst_0005.pmap", "2026")]
    uses = [
        ContextUse("hst_0006.pmap", current=1),
        ContextUse("hst_0005.pmap", seen, ["server"], current=10),
        ContextUse("hst_0004.pmap", current=100),
        ContextUse("hst_0003.pmap", current=1_000),
    ]
    (found,) = behind(uses)
    assert (found.context, found.number, found.reprocessing) == ("hst_0005.pmap", 1_100, None)


def test_pins_are_shown_and_a_broken_file_is_not_fatal(
    client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The pins of whoever runs the dashboard are there, without the folder of their cache."""
    file = tmp_path / "pins.json"
    monkeypatch.setattr(pins, "pins_file", lambda: file)
    pins._write(file, {"mine /secret/cache": Pin("hst_0042.pmap", "2026-11-20T10:00:00")})
    text = client().get("/contexts").text
    assert "hst_0042.pmap" in text
    assert "/secret" not in text
    file.write_text("{")
    assert client().get("/contexts").status_code == 200
