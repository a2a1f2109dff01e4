"""A minimal campaign: fan-out, skip what is finished, go on after a failure."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from calib.ids import parse_dataset
from calib.ledger.campaigns import Changes, rescue_jobs
from calib.ledger.ledger import open_ledger
from calib.ledger.reports import states_in
from calib.simulate.observatory import Observatory, build_observatory

pytestmark = pytest.mark.prefect

ROOT = Path(__file__).parents[2]
SCRIPT = """
import json, sys
from flows.private_server import set_defaults
set_defaults()

def main():
    from calib.campaigns.manifest import entries_of
    from calib.stages.campaign_plan import CampaignPlan
    from dataclasses import replace
    from flows.campaign import submit_campaign
    from flows.parameters import ProcessOptions, build_request
    a = json.loads(sys.argv[1])
    request = build_request(a["source"], a["output"], None, a["context"], None, ProcessOptions())
    request = replace(request, campaign=a["name"])
    plan = CampaignPlan(request, runner=a["runner"], workers=2, delay_scale=0)
    result = submit_campaign(plan, entries_of(a["datasets"]))
    print("STATE", result.outcome, result.message)

if __name__ == "__main__":
    main()
"""


class Campaign:
    """A campaign on the test server, run in a process of its own."""

    def __init__(self, observatory: Observatory, environment: dict[str, str], folder: Path) -> None:
        self.raws = Path(shutil.copytree(observatory.raws, folder / "raws"))
        self.folder, self.observatory = folder, observatory
        ours = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
        server = {k: v for k, v in environment.items() if k.startswith("PREFECT_")}
        self.ledger = f"sqlite:///{folder / 'ledger.db'}"
        self.environment = {
            **ours,
            **server,
            **observatory.environ,
            "HSTFLOW_LEDGER": self.ledger,
            "HSTFLOW_WORK": str(folder / "work"),
        }

    def start(self, name: str, runner: str = "local", **changes: Any) -> subprocess.Popen[str]:
        """Start the campaign."""
        arguments = {
            "name": name,
            "datasets": list(self.observatory.datasets),
            "source": f"file:{self.raws}",
            "output": f"file:{self.folder / 'out'}",
            "context": self.observatory.contexts[0],
            "runner": runner,
            **changes,
        }
        script = self.folder / "campaign_script.py"
        script.write_text(SCRIPT)
        return subprocess.Popen(
            [sys.executable, str(script), json.dumps(arguments)],
            env=self.environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, name: str, runner: str = "local", **changes: Any) -> str:
        """Run the campaign to its end; return the final state's line."""
        with self.start(name, runner, **changes) as child:
            out, err = child.communicate(timeout=240)
        lines = [line for line in out.splitlines() if line.startswith("STATE")]
        assert lines, err[-3000:]
        return lines[0]

    def states(self, name: str) -> dict[str, str]:
        """Return the state of every dataset in the ledger."""
        with open_ledger(self.ledger) as ledger:
            return ledger.ask(lambda rows: states_in(rows, name))

    def rescue(self, dataset: str) -> None:
        """Submit a failed dataset again."""
        with open_ledger(self.ledger) as ledger:
            number = ledger.jobs_of(parse_dataset(dataset))[-1].id
            ledger.write(lambda c: rescue_jobs(c, [number], "mended", Changes()))

    def attempts(self, dataset: str) -> int:
        """Return how often a dataset was tried."""
        with open_ledger(self.ledger) as ledger:
            return ledger.jobs_of(parse_dataset(dataset))[-1].attempts


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Observatory:
    """Return a small observatory of four exposures."""
    return build_observatory(tmp_path_factory.mktemp("four"), exposures=4, small=True)


@pytest.fixture
def campaign(four: Observatory, prefect_environment: dict[str, str], tmp_path: Path) -> Campaign:
    """Return a campaign on the test server."""
    return Campaign(four, prefect_environment, tmp_path)


@pytest.mark.parametrize("runner", ["local", "threads"])
def test_one_bad_dataset_stops_no_other_and_finished_ones_are_skipped(
    campaign: Campaign, runner: str
) -> None:
    """Three of four are published; mended, the fourth alone is run; then nothing is to do.

    With nothing to do no runner is started: one session of that kind tells of all.
    """
    bad, *good = campaign.observatory.datasets
    path = campaign.raws / f"{bad}_raw.fits"
    whole = path.read_bytes()
    path.write_bytes(whole[:-2880])

    first = campaign.run("night", runner)

    assert first.startswith("STATE failed 1 of 4")
    assert campaign.states("night") == {bad: "error", **dict.fromkeys(good, "processed")}

    path.write_bytes(whole)
    campaign.rescue(bad)
    second = campaign.run("night", runner)

    assert second.startswith("STATE completed all 4")
    assert [campaign.attempts(each) for each in (bad, *good)] == [2, 1, 1, 1]
    if runner == "threads":
        assert campaign.run("night", runner).startswith("STATE completed all 4")
        assert [campaign.attempts(each) for each in (bad, *good)] == [2, 1, 1, 1]


def test_unknown_name_in_the_list_starts_nothing(campaign: Campaign) -> None:
    """A list with a bad name is refused as a whole, before any row is written."""
    with campaign.start("night", datasets=["jsim01aaq", "nonsense"]) as child:
        _, err = child.communicate(timeout=120)

    assert child.returncode != 0
    assert "name 2: " in err
    assert "found 'nonsense'" in err
    assert not (campaign.folder / "ledger.db").exists()


def test_interrupted_campaign_leaves_no_process_and_goes_on(campaign: Campaign) -> None:
    """Ctrl-C ends workers and leaves a consistent ledger; the same command finishes the rest."""
    child = campaign.start("night")
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and child.poll() is None:
        started = (campaign.folder / "ledger.db").exists()
        if started and "processing" in campaign.states("night").values():
            break
        time.sleep(0.02)
    assert child.poll() is None, child.communicate()
    workers = psutil.Process(child.pid).children(recursive=True)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)

    assert child.returncode != 0, out + err
    gone, alive = psutil.wait_procs(workers, timeout=15)
    assert (bool(gone), alive) == (True, [])
    assert "processing" not in campaign.states("night").values()
    assert campaign.run("night", "threads").startswith("STATE completed all 4")
    assert set(campaign.states("night").values()) == {"processed"}
