"""The watch as a deployment: change, event, automation, run; and all of it twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from campaign_audit import ask
from chaos import ROOT, Machine, Server, wait_for
from reprocess_control import REPROCESS, WATCH, Control

from calib.simulate.crds_server import CrdsServer
from calib.simulate.observatory import Observatory
from flows.private_server import free_port

pytestmark = [pytest.mark.prefect, pytest.mark.slow]

A, B, C = "hst_9001.pmap", "hst_9002.pmap", "hst_9003.pmap"


@pytest.fixture
def crds_server(observatory: Observatory) -> Iterator[CrdsServer]:
    """Serve the rules of the observatory; the older context is operational."""
    with CrdsServer(observatory.crds_path, context=A) as server:
        yield server


@pytest.fixture
def control(crds_server: CrdsServer, tmp_path: Path) -> Iterator[Control]:
    """Start a Prefect server and a worker, and deploy the watch and a stand-in."""
    with ExitStack() as stack:
        machine = stack.enter_context(Machine(tmp_path))
        machine.environment |= {
            **crds_server.environ(tmp_path / "crds"),
            "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
            "HSTFLOW_LEDGER": f"sqlite:///{tmp_path / 'ledger.db'}",
        }
        server = Server(machine, free_port())
        server.start()
        server.wait()
        control = Control(machine, server)
        stack.callback(control.close)
        parameters = {WATCH: {"patience": 0.1}}
        control.deploy(parameters, {REPROCESS: "standin_reprocess.reprocess"})
        yield control


def test_change_starts_one_reprocessing(
    control: Control, crds_server: CrdsServer, tmp_path: Path
) -> None:
    """First sight, change, event, run; a second event and more looks make nothing new.

    Then the event of the next change is lost (its label says that it is not due): a look
    starts it when the reprocessing before it has ended.
    """
    ledger = f"sqlite:///{tmp_path / 'ledger.db'}"
    first = control.look()
    crds_server.context = B
    changed = control.look()
    (by_event,) = control.wait_for_runs(1)
    crds_server.context = C
    waits = control.look()
    went_on = control.wait_for_runs(2)
    control.emit(A, B)
    again = control.wait_for_runs(3)

    assert f"first sight of {A}" in first
    assert f"{A}->{B} has no reprocessing yet" in changed
    assert by_event["parameters"] == {"old": A, "new": B}
    assert f"{B}->{C}: waits for the end of {A}-{B}, which is approved" in waits
    assert went_on[1]["parameters"] == {"name": f"{A}-{B}"}
    assert again[2]["state"]["message"] == f"{A}-{B} is finished"
    assert [row["state"] for row in ask(ledger, "SELECT state FROM reprocessing")] == ["finished"]
    labels = {}
    wait_for(lambda: len(control.events()) == 3, "the events")
    for event in control.events():
        labels[event["payload"]["new"]] = event["resource"]["hst.crds.due"]
    assert labels == {B: "yes", C: "no"}

    later = control.look()
    last = control.wait_for_runs(4)

    assert f"{B}->{C} has no reprocessing yet" in later
    assert last[3]["parameters"] == {"old": B, "new": C}
