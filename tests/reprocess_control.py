"""prefect.yaml on a server of the test, a worker, and what an operator would click."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import yaml
from chaos import ROOT, Machine, Server, wait_for

POOL = "hstflow"
WATCH, REPROCESS = "context-watch", "reprocess"
FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
LIMIT = 90.0  # seconds for a flow run, with the start of its process


class Control:
    """Deployments of a server, and their runs.

    Parameters
    ----------
    machine, server
        Where everything runs; the server answers.
    """

    def __init__(self, machine: Machine, server: Server) -> None:
        self._machine, self._server = machine, server
        self._client = httpx.Client(base_url=server.url, timeout=30)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def deploy(
        self, parameters: Mapping[str, Mapping[str, Any]], entrypoints: Mapping[str, str]
    ) -> None:
        """Deploy the two flows as prefect.yaml has them, with an operator's parameters.

        No look comes by the clock; the worker looks for runs every second.
        """
        described = yaml.safe_load((ROOT / "prefect.yaml").read_text())
        wanted = [each for each in described["deployments"] if each["name"] in (WATCH, REPROCESS)]
        for each in wanted:
            each.pop("schedules", None)
            each["parameters"] = dict(parameters.get(each["name"], {}))
            each["entrypoint"] = entrypoints.get(each["name"], each["entrypoint"])
        path = self._machine.folder / "deployed.yaml"
        path.write_text(yaml.safe_dump({**described, "deployments": wanted}))
        self._prefect("work-pool", "create", POOL, "--type", "process")
        self._prefect("--no-prompt", "deploy", "--all", "--prefect-file", str(path))
        self._machine.environment["PREFECT_WORKER_QUERY_SECONDS"] = "1"
        command = ("-m", "prefect", "worker", "start", "--pool", POOL, "--limit", "4")
        self._machine.start("worker", *command)

    def look(self) -> str:
        """Let `context-watch` run once; return what it says."""
        run = self._post(f"/deployments/{self._deployment(WATCH)}/create_flow_run", {})
        return self.ended(run["id"])["state"]["message"]

    def runs(self, name: str = REPROCESS) -> list[dict[str, Any]]:
        """Return the runs of a deployment, oldest first."""
        body = {"deployments": {"name": {"any_": [name]}}, "sort": "START_TIME_ASC"}
        found: list[dict[str, Any]] = self._post("/flow_runs/filter", body)
        return found

    def wait_for_runs(self, number: int) -> list[dict[str, Any]]:
        """Wait until there are so many runs of `reprocess`, all at their end."""

        def is_so() -> bool:
            found = self.runs()
            return len(found) >= number and all(run["state_type"] in FINAL for run in found)

        wait_for(is_so, f"{number} runs of reprocess", limit=LIMIT)
        return self.runs()

    def ended(self, number: str) -> dict[str, Any]:
        """Wait for the end of a run."""
        path = f"/flow_runs/{number}"

        def is_so() -> bool:
            return self._client.get(path).json().get("state_type") in FINAL

        wait_for(is_so, "a flow run to end", limit=LIMIT)
        found: dict[str, Any] = self._client.get(path).json()
        return found

    def emit(self, old: str, new: str, *, due: str = "yes") -> None:
        """Tell the server of a change, as `context-watch` does."""
        event = {
            "id": str(uuid4()),
            "occurred": datetime.now(UTC).isoformat(),
            "event": "hst.crds.context.changed",
            "resource": {"prefect.resource.id": "hst.crds.context", "hst.crds.due": due},
            "payload": {"old": old, "new": new},
        }
        self._client.post("/events", json=[event]).raise_for_status()  # answers 204

    def events(self) -> list[dict[str, Any]]:
        """Return the events of changes that the server has."""
        body = {"filter": {"event": {"name": ["hst.crds.context.changed"]}}, "limit": 50}
        found: list[dict[str, Any]] = self._post("/events/filter", body)["events"]
        return found

    def _deployment(self, name: str) -> str:
        return str(self._client.get(f"/deployments/name/{name}/{name}").json()["id"])

    def _post(self, path: str, body: Any) -> Any:
        """Post, as Prefect's client does: a server whose SQLite is busy says 503."""
        answers: list[httpx.Response] = []

        def is_taken() -> bool:
            answers.append(self._client.post(path, json=body))
            return answers[-1].status_code != httpx.codes.SERVICE_UNAVAILABLE

        wait_for(is_taken, f"an answer to {path}", limit=LIMIT)
        return answers[-1].raise_for_status().json()

    def _prefect(self, *arguments: str) -> None:
        process = self._machine.start("prefect", "-m", "prefect", *arguments)
        if process.wait(120) != 0:
            raise ChildProcessError(self._machine.said("prefect"))
