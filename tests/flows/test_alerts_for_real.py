"""The alerts as an operator sets them up: a campaign fails, he is told, and it is paused."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
import yaml
from campaign_sessions import ROOT, Sessions, names, running, wait_for

from calib.simulate.observatory import Observatory
from calib.stages.faults import MOST_TIMES, parse_faults

pytestmark = [pytest.mark.prefect, pytest.mark.slow]

NOBODY = "00000000-0000-0000-0000-000000000000"
POOL = "alerts"
LIMIT = 120.0  # seconds; an event took 5 to reach its automation, a worker 10 to begin a run


@contextmanager
def messages() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Be the service to which people's messages go; give its address and what came."""
    came: list[dict[str, str]] = []

    class Service(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", came
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def block_for(url: str, api: str) -> str:
    """Make the block of a webhook, as the pages of Prefect do; return its number."""
    from prefect.blocks.notifications import CustomWebhookNotificationBlock
    from prefect.settings import PREFECT_API_URL, temporary_settings

    told = {"subject": "{{subject}}", "body": "{{body}}"}
    block = CustomWebhookNotificationBlock(name="people", url=url, json_data=told)
    with temporary_settings({PREFECT_API_URL: api}):
        return str(block.save("people", overwrite=True))


class Operator:
    """Who has a campaign's server, and types commands."""

    def __init__(self, sessions: Sessions, folder: Path) -> None:
        self.environment, self.folder = sessions.environment, folder
        self.api = sessions.environment["PREFECT_API_URL"]

    def types(self, *words: str) -> None:
        """Run a command."""
        done = subprocess.run(
            [sys.executable, "-m", *words],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def creates_alerts(self, block: str) -> None:
        """Put the block's number into the example, and create what it has, as the guide says."""
        example = ROOT / "deployments" / "automations" / "campaign-alerts.yaml"
        path = self.folder / "alerts.yaml"
        path.write_text(example.read_text().replace(NOBODY, block))
        self.types("prefect", "automation", "create", "--from-file", str(path))

    def deploys_pause(self) -> None:
        """Enable the pause of failing campaigns in a copy of prefect.yaml."""
        told = yaml.safe_load((ROOT / "prefect.yaml").read_text())
        (pause,) = [each for each in told["deployments"] if each["name"] == "pause-campaign"]
        pause["triggers"][0]["enabled"] = True
        path = self.folder / "prefect.yaml"
        path.write_text(yaml.safe_dump(told))
        words = ("deploy", "pause-campaign", "--pool", POOL, "--file", str(path))
        self.types("deployments.cli", *words)

    def sees_paused(self, is_paused: Callable[[], bool], log: Path) -> None:
        """Wait for the pause; where it does not come, show what the server and the worker say."""
        try:
            wait_for(is_paused, "the pause", LIMIT)
        except AssertionError as late:
            with httpx.Client(base_url=self.api, timeout=30) as client:
                runs = client.post("/flow_runs/filter", json={}).json()
                told = client.post("/automations/filter", json={}).json()
            known = [(each["name"], each["enabled"]) for each in told]
            states = [(each["name"], each["state"]) for each in runs]
            shown = "\n".join(map(str, (late, *known, *states, log.read_text()[-4000:])))
            pytest.fail(shown)

    def takes_all_away(self) -> None:
        """Leave the server to other tests."""
        deployment = "/deployments/name/pause-campaign/pause-campaign"
        with httpx.Client(base_url=self.api, timeout=30) as client:
            for each in client.post("/automations/filter", json={}).json():
                client.delete(f"/automations/{each['id']}")
            client.delete(f"/deployments/{client.get(deployment).json()['id']}")
            client.delete("/variables/name/hstflow_deployed")


@pytest.fixture
def sessions(
    observatory: Observatory, prefect_environment: dict[str, str], tmp_path: Path
) -> Sessions:
    """Return a campaign of twelve: eleven fail at once, one takes long.

    They fail without taking memory, which threads share: the one that takes long, and began
    last, would be stopped for what another holds, and the campaign at its end before it is told.
    """
    *bad, slow = names(12)
    faults = [*(f"calibrate=network:{MOST_TIMES}@{each}" for each in bad), f"calibrate=hang@{slow}"]
    sessions = Sessions(observatory, prefect_environment, tmp_path)
    sessions.enrol([*bad, slow], faults=parse_faults(faults), runner="threads")
    return sessions


def test_failing_campaign_is_told_and_paused(sessions: Sessions, tmp_path: Path) -> None:
    """The example automation sends its message, that of prefect.yaml pauses: both by themselves."""
    operator = Operator(sessions, tmp_path)
    log = tmp_path / "worker.log"
    worker = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--limit", "1"]
    environment = {**sessions.environment, "PREFECT_WORKER_QUERY_SECONDS": "1"}
    with messages() as (url, came):
        operator.creates_alerts(block_for(url, operator.api))
        operator.deploys_pause()
        try:
            with contextmanager(running)(worker, environment, log), sessions.start() as session:
                try:
                    wait_for(lambda: bool(came), "a message to people", LIMIT)
                    operator.sees_paused(lambda: control_of(sessions) == "pause", log)
                finally:
                    session.kill()
        finally:
            operator.takes_all_away()

    assert len(came) == 1, came
    assert came[0]["subject"] == "night is failing"
    assert "of the last 1" in came[0]["body"]
    assert "Unavailable" in came[0]["body"]
    assert f"context {sessions.request.context}" in came[0]["body"]
    assert sorted(sessions.states()).count("error") == 11


def control_of(sessions: Sessions) -> str:
    """Return what the operator wants of the campaign, says the ledger."""
    return str(sessions.ask("SELECT control FROM campaign")[0]["control"])
