"""All of prefect.yaml on a server of its own, and the three ways in which its runs begin."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import yaml
from campaign_audit import ask
from chaos import MARK, ROOT, Machine, wait_for

from calib.simulate.observatory import Observatory
from flows.private_server import answers, free_port

pytestmark = pytest.mark.prefect

FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def profile(name: str) -> dict[str, str]:
    """Return the settings of a profile that operators are given."""
    lines = (ROOT / "deployments" / "profiles" / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


class Site:
    """A server with an operator's settings, a worker, and the requests that triggers are."""

    def __init__(self, machine: Machine, observatory: Observatory) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/api"
        self.ledger = f"sqlite:///{machine.folder / 'ledger.db'}"
        self._machine = machine
        machine.environment |= {
            **profile("server.env"),
            **profile("worker.env"),
            **observatory.environ,
            "PREFECT_HOME": str(machine.folder / "home"),
            "PREFECT_SERVER_API_PORT": str(port),
            "PREFECT_SERVER_UI_API_URL": self.url,
            "PREFECT_API_URL": self.url,
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "true",
            "HSTFLOW_LEDGER": self.ledger,
            "HSTFLOW_WORK": str(machine.folder / "work"),
            "PYTHONPATH": str(ROOT),
        }
        self._client = httpx.Client(base_url=self.url, timeout=30)

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        self._machine.start("server", "-m", "prefect", "server", "start")
        wait_for(lambda: answers(self.url), "the server", look=0.25)
        token = self._client.get("/csrf-token", params={"client": "test"}).json()["token"]
        self._client.headers.update({"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": "test"})

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def deploy(self, *words: str) -> None:
        """Run `hstflow deploy`."""
        process = self._machine.start("deploy", "-m", "deployments.cli", "deploy", *words)
        assert process.wait(60) == 0, self._machine.said("deploy")

    def post(self, path: str, body: object) -> Any:
        """Ask or tell the server."""
        answer = self._client.post(path, json=body).raise_for_status()
        return answer.json() if answer.content else None

    def trigger(self, name: str, **parameters: object) -> None:
        """Start a run, as the page of a deployment does."""
        number = self._client.get(f"/deployments/name/{name}/{name}").json()["id"]
        self.post(f"/deployments/{number}/create_flow_run", {"parameters": parameters})

    def runs(self, name: str) -> list[dict[str, Any]]:
        """Return the runs of a deployment."""
        body = {"deployments": {"name": {"any_": [name]}}, "limit": 200}
        found: list[dict[str, Any]] = self.post("/flow_runs/filter", body)
        return found

    def ended(self, name: str) -> list[dict[str, Any]]:
        """Return the runs of a deployment that have ended."""
        return [each for each in self.runs(name) if each["state_type"] in FINAL]

    def rows(self, query: str) -> list[Any]:
        """Ask the ledger, which the first run makes."""
        path = Path(self.ledger.removeprefix("sqlite:///"))
        return ask(self.ledger, query) if path.exists() else []


@pytest.fixture
def site(observatory: Observatory, tmp_path: Path) -> Iterator[Site]:
    """Start a server with the settings of deployments/profiles."""
    with Machine(tmp_path) as machine:
        machine.environment = {
            key: value
            for key, value in machine.environment.items()
            if key == MARK or not key.startswith(("PREFECT_", "HSTFLOW_"))
        }
        site = Site(machine, observatory)
        try:
            site.start()
            yield site
        finally:
            site.close()


@pytest.mark.slow
def test_runs_by_request_schedule_and_event_are_in_the_ledger(
    site: Site, observatory: Observatory, tmp_path: Path
) -> None:
    """All of prefect.yaml is deployed; a worker runs what the three kinds of triggers start."""
    described = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    nightly = next(each for each in described["deployments"] if each["name"] == "nightly-verify")
    nightly["schedules"][0]["cron"] = "* * * * *"  # due within the minute, not at 03:30
    path = tmp_path / "soon.yaml"
    path.write_text(yaml.safe_dump(described))
    old, new = observatory.contexts[:2]
    dataset = observatory.datasets[0]

    site.deploy(
        *("--file", str(path), "--runner", "threads", "--workers", "1"),
        *("--input-uri", f"file:{observatory.raws}", "--output-uri", f"file:{tmp_path / 'out'}"),
        *("--set", 'reprocess.asked={"approval": "yes", "per_type": 0}'),
    )
    site._machine.start(
        "worker", "-m", "prefect", "worker", "start", "--pool", "hstflow", "--limit", "2"
    )
    site.trigger("process-dataset", dataset=dataset, context=old)
    wait_for(lambda: bool(site.ended("process-dataset")), "the run by request", look=0.5)
    event = {
        "id": str(uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": "hst.crds.context.changed",
        "resource": {"prefect.resource.id": "hst.crds.context", "hst.crds.due": "yes"},
        "payload": {"old": old, "new": new},
    }
    site.post("/events", [event])
    wait_for(lambda: bool(site.ended("nightly-verify")), "the run by schedule", look=0.5)
    wait_for(lambda: bool(site.ended("reprocess")), "the run by event", look=0.5)

    (by_request,) = site.ended("process-dataset")
    assert by_request["state_type"] == "COMPLETED", by_request["state"]
    by_schedule = site.ended("nightly-verify")[0]
    assert by_schedule["state_type"] == "COMPLETED", by_schedule["state"]
    assert by_schedule["auto_scheduled"]
    (by_event,) = site.ended("reprocess")
    assert by_event["state_type"] == "COMPLETED", by_event["state"]
    assert (by_event["parameters"]["old"], by_event["parameters"]["new"]) == (old, new)
    assert by_event["parameters"]["output_uri"] == f"file:{tmp_path / 'out'}"
    waiting = [run for run in site.runs("context-watch") if run["state_type"] == "SCHEDULED"]
    assert len(waiting) >= 3

    jobs = site.rows("SELECT dataset, state FROM job ORDER BY id")
    assert (dataset, "processed") in [(row["dataset"], row["state"]) for row in jobs]
    verified = site.rows("SELECT problems FROM verification")
    assert {row["problems"] for row in verified} <= {0}
    (reprocessing,) = site.rows("SELECT old_context, new_context, state FROM reprocessing")
    assert tuple(reprocessing.values()) == (old, new, "finished")
    assert (tmp_path / "out" / "data" / "acs" / dataset).exists()
