"""Figures for Prometheus."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from calib.ledger.ledger import Ledger
from deployments.dashboard.pages.metrics import CAMPAIGNS, ERRORS, _most
from tests.campaign_ledger import DONE, enter
from tests.deployments.dashboard.conftest import Client

Found = dict[str, dict[tuple[str, ...], float]]


def read(text: str) -> Found:
    """Return values by metric and labels."""
    return {
        family.name: {tuple(each.labels.values()): each.value for each in family.samples}
        for family in text_string_to_metric_families(text)
    }


def test_figures_of_the_ledger(client: Client) -> None:
    """Datasets by state and errors by class are those of the ledger."""
    found = read(client().get("/metrics").text)
    assert found["hstflow_ledger_up"] == {(): 1.0}
    assert found["hstflow_jobs"]["spring", "processed"] == 1
    assert found["hstflow_jobs"]["spring", "error"] == 2
    assert found["hstflow_jobs"]["spring", "archived"] == 0
    assert found["hstflow_errors"] == {("spring", "OutOfMemory"): 1, ("spring", "NotFound"): 1}
    assert found["hstflow_campaign_live"] == {("spring",): 0}
    assert 0 <= found["hstflow_oldest_heartbeat_seconds"]["spring",] < 3600 * 24


def test_attempts_and_stages_follow_when_they_are_counted(client: Client) -> None:
    """What takes long is told from the second time on, at the latest."""
    asked = client()
    asked.get("/metrics")
    asked.app.state.desk.later.wait()  # type: ignore[attr-defined]
    found = read(asked.get("/metrics").text)
    assert found["hstflow_attempts"] == {("spring",): 4}
    assert set(found["hstflow_stage_failed"]) == {("spring", "calibrate")}


def test_labels_are_bounded(client: Client, ledger: Ledger) -> None:
    """A year of campaigns does not fill the store of whoever collects: the latest are told."""
    for number in range(CAMPAIGNS + 3):
        enter(ledger, f"c{number}", (DONE,))
    found = read(client().get("/metrics").text)
    names = {labels[0] for labels in found["hstflow_jobs"]}
    assert names == {f"c{number}" for number in range(3, CAMPAIGNS + 3)}


def test_rare_errors_are_counted_together() -> None:
    """Nothing is lost: the classes beyond the most frequent are one."""
    errors = {f"E{number}": number for number in range(1, ERRORS + 3)}
    found = _most(errors)
    assert len(found) == ERRORS + 1
    assert found["other"] == 1 + 2
    assert sum(found.values()) == sum(errors.values())


def test_ledger_that_is_away_is_a_figure(client: Client, tmp_path: Path) -> None:
    """An alert can be made of it: the collector is answered."""
    broken = tmp_path / "ledger.db"
    broken.write_bytes(b"no database, but long enough to be read as one" * 30)
    answer = client(ledger=f"sqlite:///{broken}").get("/metrics")
    assert (answer.status_code, read(answer.text)["hstflow_ledger_up"]) == (200, {(): 0.0})
    none = client(ledger=f"sqlite:///{tmp_path / 'none.db'}").get("/metrics")
    assert read(none.text)["hstflow_ledger_up"] == {(): 1.0}
