"""The flow `reprocess` on a real server: its question is a pause, answered there or elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from calib.campaigns.manifest import entries_of
from calib.ledger.ledger import Ledger, open_ledger
from calib.ledger.reprocessing_reports import history, reprocessings
from calib.ledger.reprocessings import advance
from calib.simulate.observatory import Observatory, build_observatory
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.planning import Request
from flows.campaign import submit_campaign

pytestmark = [pytest.mark.prefect, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
LIMIT = 120  # seconds for a run to come to its question, or to its end
SCRIPT = """
import json, sys
from flows.reprocessing import reprocess

state = reprocess(**json.loads(sys.argv[1]), return_state=True)
print("STATE", state.name, state.message)
"""


class Archive:
    """An archive of three exposures on the older context, and runs of the flow on it."""

    def __init__(self, sky: Observatory, server: dict[str, str], folder: Path) -> None:
        self.sky, self.folder, self.api = sky, folder, server["PREFECT_API_URL"]
        self.url = f"sqlite:///{folder / 'ledger.db'}"
        self.ledger: Ledger = open_ledger(self.url)
        ours = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
        prefect = {k: v for k, v in server.items() if k.startswith("PREFECT_")}
        places = {"HSTFLOW_LEDGER": self.url, "HSTFLOW_WORK": str(folder / "work")}
        self.environment = {**ours, **prefect, **sky.environ, **places}
        request = Request(
            source=f"file:{sky.raws}",
            output=f"file:{folder / 'out'}",
            profile=sky.profile,
            work=str(folder / "work"),
            ledger=self.url,
            context=sky.contexts[0],
            campaign="before",
        )
        plan = CampaignPlan(request, runner="threads", stages="plain")
        submit_campaign(plan, entries_of(sky.datasets))

    @contextmanager
    def running(self, **changes: Any) -> Iterator[subprocess.Popen[str]]:
        """Start the flow in a process of its own; it is ended with the block."""
        old, new = self.sky.contexts
        parameters = {
            "old": old,
            "new": new,
            "input_uri": f"file:{self.sky.raws}",
            "output_uri": f"file:{self.folder / 'out'}",
            "how": {"runner": "threads", "stages": "plain"},
            **changes,
        }
        child = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, json.dumps(parameters)],
            env=self.environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with child:
            try:
                yield child
            finally:
                child.kill()

    def state(self, name: str) -> str:
        """Return the state of a reprocessing; empty before there is one."""
        found = self.ledger.ask(lambda rows: reprocessings(rows, name))
        return found[0].state if found else ""

    def paused(self, name: str) -> str | None:
        """Return the flow run that is paused for a reprocessing."""
        body = {"flow_runs": {"state": {"type": {"any_": ["PAUSED"]}}}, "limit": 50}
        runs = httpx.post(f"{self.api}/flow_runs/filter", json=body, timeout=30).json()
        return next((run["id"] for run in runs if run["name"].endswith(name)), None)

    def calibrated(self) -> int:
        """Return how many calibrations there were on the new context."""
        query = """SELECT COUNT(*) AS number FROM stage_run
          JOIN attempt ON attempt.id = stage_run.attempt_id JOIN job ON job.id = attempt.job_id
          WHERE job.run LIKE 'hst_9002%' AND stage = 'calibrate' AND stage_run.state = 'done'"""
        return int(self.ledger.ask(lambda rows: rows(query, {}))[0]["number"])


def until(found: Callable[[], Any], child: subprocess.Popen[str]) -> Any:
    """Wait for something while a process lives."""
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline and child.poll() is None:
        if answer := found():
            return answer
        time.sleep(0.2)
    child.kill()
    pytest.fail("\n".join(part[-3000:] for part in child.communicate()))


def end_of(child: subprocess.Popen[str]) -> str:
    """Return the line of the final state of a flow run."""
    out, err = child.communicate(timeout=LIMIT)
    lines = [line for line in out.splitlines() if line.startswith("STATE")]
    assert lines, err[-3000:]
    return lines[0]


@pytest.fixture
def archive(prefect_environment: dict[str, str], tmp_path: Path) -> Iterator[Archive]:
    """Return an archive in which three exposures are calibrated on the older context."""
    sky = build_observatory(tmp_path / "sky", exposures=3, small=True)
    found = Archive(sky, prefect_environment, tmp_path)
    yield found
    found.ledger.close()


def test_approved_at_the_server_and_a_second_trigger_does_nothing(archive: Archive) -> None:
    """The answer in the form resumes the run; others see that it is in hand, and that it ended."""
    name = "9001-9002"
    with archive.running() as child:
        run = until(lambda: archive.paused("hst_9002.pmap"), child)
        with archive.running() as second:
            assert "nothing to do here: reprocessing 9001-9002 is in the hands" in end_of(second)
        answer = {"run_input": {"decision": "approve", "who": "ann", "note": "fine"}}
        resumed = httpx.post(f"{archive.api}/flow_runs/{run}/resume", json=answer, timeout=30)
        assert resumed.json()["status"] == "ACCEPT", resumed.text
        assert end_of(child) == "STATE Completed 9001-9002: 3 of 3 datasets are on hst_9002.pmap"
    assert archive.calibrated() == len(archive.sky.datasets)
    number = archive.ledger.ask(lambda rows: reprocessings(rows, name))[0].id
    said = {step.to_state: step for step in archive.ledger.ask(lambda r: history(r, number))}
    assert (said["approved"].who, said["approved"].note) == ("ann", "fine")

    with archive.running() as third:
        assert "3 of 3 datasets are on" in end_of(third)
    assert archive.calibrated() == len(archive.sky.datasets)


def test_rejected_in_the_ledger_ends_the_paused_run(archive: Archive) -> None:
    """A decision of the command line resumes the run, which ends as the ledger says."""
    asked = {"source": "list", "datasets": list(archive.sky.datasets[:1]), "per_type": 0}
    with archive.running(name="mine", old=None, asked=asked) as child:
        until(lambda: archive.paused("mine"), child)
        archive.ledger.write(lambda c: advance(c, "mine", "rejected", who="bob", note="no"))
        assert end_of(child) == "STATE Rejected mine: no"
    assert archive.calibrated() == 0
