"""What an operator sees of a campaign in Prefect, read back from a real server."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from campaign_sessions import ROOT, Sessions, names

from calib.ledger.ledger import current_owner, open_ledger
from calib.ledger.sessions import open_session
from calib.simulate.observatory import Observatory
from calib.stages.faults import parse_faults

pytestmark = pytest.mark.prefect

WATCH = """
from flows.private_server import set_defaults
set_defaults()
from flows.campaign_watch import pause_campaign, watch_campaigns
print(watch_campaigns(return_state=True).message)
print(watch_campaigns(return_state=True).message)
print(pause_campaign("night", "tried", return_state=True).message)
"""


class Server:
    """Prefect's server, asked as its pages ask it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.url = environment["PREFECT_API_URL"]

    def ask(self, path: str, **body: Any) -> Any:
        """Return the answer to a question."""
        answer = httpx.post(f"{self.url}/{path}", json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def runs(self, context: str, prefix: str) -> list[dict[str, Any]]:
        """Return the flow runs of a context whose names begin so."""
        tags = {"all_": [f"context:{context}", "campaign:night"]}
        found = self.ask("flow_runs/filter", flow_runs={"tags": tags}, limit=50)
        return [run for run in found if run["name"].startswith(prefix)]

    def events(self, name: str, since: str) -> list[dict[str, Any]]:
        """Return the events of a name since a moment, as soon as there are any."""
        deadline = time.monotonic() + 30
        wanted = {"event": {"name": [name]}, "occurred": {"since": since}}
        while True:
            found = self.ask("events/filter", filter=wanted, limit=20)["events"]
            if found or time.monotonic() > deadline:
                return list(found)
            time.sleep(0.2)


def test_campaign_can_be_followed_in_prefect(
    observatory: Observatory, prefect_environment: dict[str, str], tmp_path: Path
) -> None:
    """Names, tags, messages, lines, the artifacts and the event of a campaign of twelve."""
    begun = datetime.now(UTC).isoformat()[:19]  # the server is that of other tests as well
    datasets = names(12)
    faults = tuple(parse_faults([f"calibrate=memory:9@{datasets[3]}"]))
    sessions = Sessions(observatory, prefect_environment, tmp_path)
    sessions.environment["HSTFLOW_DASHBOARD_URL"] = "http://dash"
    how = {"runner": "threads", "stages": "tasks", "chunk_size": 8, "rungs": (2 * 10**8,)}
    plan = sessions.enrol(datasets, faults=faults, **how)
    said = sessions.run("threads")
    assert "RESULT failed 1 of 12 failed: 1 OutOfMemory; first " in said, said

    server, context = Server(prefect_environment), str(plan.request.context)
    (run,) = [
        each
        for each in server.runs(context, "campaign-night")
        if "chunk" not in each["name"] and each["start_time"] >= begun
    ]
    chunks = [
        each for each in server.runs(context, "campaign-night-chunk") if each["start_time"] >= begun
    ]
    assert run["state"]["message"].startswith(f"1 of 12 failed: 1 OutOfMemory; first {datasets[3]}")
    assert set(run["tags"]) == {"campaign:night", f"context:{context}", "instrument:acs"}
    assert {each["name"][-6:] for each in chunks} == {"chunk0", "chunk1"}
    tasks = server.ask(
        "task_runs/filter", flow_runs={"id": {"any_": [each["id"] for each in chunks]}}, limit=200
    )
    assert tasks  # how many of them the server has by now, it says itself
    assert not any(each["tags"] for each in tasks)
    check_lines(server, run["id"], datasets[3])
    check_artifacts(server, run["id"], datasets)
    (event,) = server.events("hst.campaign.finished", run["start_time"])
    assert event["resource"]["prefect.resource.id"] == "hst.campaign.night"
    assert (event["payload"]["outcome"], event["payload"]["context"]) == ("failed", context)


def check_lines(server: Server, flow_run: str, failed: str) -> None:
    """Look in the log of the run for how it began, what failed, and how it ended."""
    wanted = {"flow_run_id": {"any_": [flow_run]}}
    lines = [each["message"] for each in server.ask("logs/filter", logs=wanted, limit=100)]

    assert any(line.startswith("campaign night began: 12 datasets, 0 finished") for line in lines)
    assert sum(line.startswith(f"{failed} failed: OutOfMemory: ") for line in lines) == 1
    assert any(line.startswith("campaign failed after") for line in lines)


def check_artifacts(server: Server, flow_run: str, datasets: list[str]) -> None:
    """Look for one artifact of each key, with all datasets, however often it was published."""
    wanted = {"flow_run_id": {"any_": [flow_run]}}
    found = server.ask("artifacts/filter", artifacts=wanted, limit=50)
    by_key = {each["key"]: each for each in found}
    assert len(by_key) == len(found)
    assert set(by_key) == {f"campaign-{kind}-night" for kind in ("matrix", "progress", "report")}

    rows = json.loads(by_key["campaign-matrix-night"]["data"])
    assert {row["dataset"] for row in rows} == {
        f"[{name}](http://dash/datasets/{name})" for name in datasets
    }
    assert (rows[0]["state"], rows[0]["calibrate"], rows[0]["archive"]) == ("error", "FAIL", r"\-")
    assert (rows[1]["state"], rows[1]["calibrate"], rows[1]["error"]) == ("processed", "ok", r"\-")
    assert by_key["campaign-progress-night"]["data"] == pytest.approx(100 * 11 / 12, abs=0.1)
    assert "hstflow campaign rescue night --run" in by_key["campaign-report-night"]["data"]


def test_campaign_that_lost_its_process_is_told_once(
    observatory: Observatory, prefect_environment: dict[str, str], tmp_path: Path
) -> None:
    """Two looks from outside see it, one event tells it; an automation's flow pauses it."""
    from dataclasses import replace

    sessions = Sessions(observatory, prefect_environment, tmp_path)
    sessions.enrol(names(1))
    with open_ledger(sessions.ledger) as ledger:
        owner = replace(current_owner(), pid=2**22 + 1)
        held = ledger.write(lambda c: open_session(c, "night", owner))
        since = sessions.ask("SELECT started_at FROM campaign_session")[0]["started_at"]
    done = subprocess.run(
        [sys.executable, "-c", WATCH],
        env=sessions.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    first, second, paused = done.stdout.splitlines()
    assert first == second
    assert first.startswith("1 campaigns are at work; night is lost: the process is gone")
    assert paused == "night is paused: tried; hstflow campaign resume night goes on"
    found = Server(prefect_environment).events("hst.campaign.stalled", since)
    assert [each["payload"]["session"] for each in found] == [held.id]
    assert sessions.ask("SELECT control FROM campaign") == [{"control": "pause"}]
