"""prefect.yaml on a server of the test, a worker, and what an operator would click."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import yaml
from chaos import ROOT, Machine, Server, wait_for

POOL = "hstflow"
WATCH, REPROCESS = "context-watch", "reprocess"
FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
RESIDENT = Path(__file__).with_name("resident_watch.py")
LIMIT = 240.0  # seconds for a flow run, with the start of its processes, on a busy machine
ASK = 0.25  # seconds between two questions to a server that shares two cores with the runs


class Watcher:
    """Looks as `context-watch` does, in a process that is there already.

    Parameters
    ----------
    machine
        Where it runs; its environment has the server.
    patience
        Minutes, as the flow takes them.
    """

    def __init__(self, machine: Machine, patience: float) -> None:
        self._machine, self._patience = machine, patience
        self._process = machine.start("watcher", str(RESIDENT), talks=True)

    def wait(self) -> None:
        """Wait until it can look."""
        self._read("ready")

    def look(self) -> str:
        """Let it look once; return what it says."""
        if self._process.stdin is not None:
            self._process.stdin.write(f"{self._patience}\n".encode())
            self._process.stdin.flush()
        return self._read("Completed: ")

    def _read(self, beginning: str) -> str:
        line = self._process.stdout.readline().decode().strip() if self._process.stdout else ""
        if not line.startswith(beginning):
            raise ChildProcessError(line or self._machine.said("watcher"))
        return line


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

        No look comes by the clock; the worker, which makes the work pool, looks for runs every
        second.
        """
        self._start_worker()
        described = yaml.safe_load((ROOT / "prefect.yaml").read_text())
        wanted = [each for each in described["deployments"] if each["name"] in (WATCH, REPROCESS)]
        for each in wanted:
            each.pop("schedules", None)
            each["parameters"] = dict(parameters.get(each["name"], {}))
            each["entrypoint"] = entrypoints.get(each["name"], each["entrypoint"])
        path = self._machine.folder / "deployed.yaml"
        path.write_text(yaml.safe_dump({**described, "deployments": wanted}))
        wait_for(self._has_pool, "the worker's pool", look=ASK)
        self._prefect("--no-prompt", "deploy", "--all", "--prefect-file", str(path))

    def look(self) -> str:
        """Let `context-watch` run once; return what it says."""
        run = self._post(f"/deployments/{self._deployment(WATCH)}/create_flow_run", {})
        return str(self.ended(run["id"])["state"]["message"])

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

        wait_for(is_so, f"{number} runs of reprocess", limit=LIMIT, look=ASK)
        return self.runs()

    def ended(self, number: str) -> dict[str, Any]:
        """Wait for the end of a run."""
        path = f"/flow_runs/{number}"

        def is_so() -> bool:
            return self._client.get(path).json().get("state_type") in FINAL

        wait_for(is_so, "a flow run to end", limit=LIMIT, look=ASK)
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

    def _start_worker(self) -> None:
        self._machine.environment["PREFECT_WORKER_QUERY_SECONDS"] = "1"
        command = ("worker", "start", "--pool", POOL, "--type", "process", "--limit", "4")
        self._machine.start("worker", "-m", "prefect", *command)

    def _has_pool(self) -> bool:
        return self._client.get(f"/work_pools/{POOL}").is_success

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
