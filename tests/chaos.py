"""Machinery to disturb a campaign: a Dask cluster, a Prefect server and a bucket to be broken.

Everything runs on this machine in processes of its own. They carry a mark in their
environment, so that what is left of them can be found afterwards.
"""

from __future__ import annotations

import json
import logging
import os
import random
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx
import psutil

from flows.private_server import DEFAULTS, answers

ROOT = Path(__file__).parents[1]
MARK = "HSTFLOW_TEST_MARK"
NURSERY = Path(__file__).with_name("worker_nursery.py")
SCRIPT = Path(__file__).with_name("campaign_process.py")

# Seconds that a process may take to come up on a busy machine.
START_LIMIT = 120.0

# Seconds between two looks at what is waited for.
_LOOK = 0.05


def wait_for(
    condition: Callable[[], bool], what: str, *, limit: float = START_LIMIT, look: float = _LOOK
) -> None:
    """Wait until something is so, which is looked at every `look` seconds.

    Raises
    ------
    TimeoutError
        It is not so after `limit` seconds.
    """
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            message = f"waited {limit:.0f} s for {what}"
            raise TimeoutError(message)
        time.sleep(look)


class Machine:
    """Processes of one test, all marked, and ended with it.

    Parameters
    ----------
    folder
        Where their logs go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = secrets.token_hex(8)
        self.environment = {**os.environ, MARK: self.mark}
        self._children: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.strays():
            send_signal(process.pid, signal.SIGKILL)
        for child in self._children:
            child.wait()
            for stream in (child.stdin, child.stdout):
                if stream:
                    stream.close()

    def start(self, name: str, *command: str, talks: bool = False) -> subprocess.Popen[bytes]:
        """Start `python COMMAND...`; what it says goes to NAME.log, or to us if it talks."""
        with (self.folder / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(
                [sys.executable, *command],
                env=self.environment,
                cwd=ROOT,
                stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                stdout=subprocess.PIPE if talks else log,
                stderr=log,
            )
        self._children.append(child)
        return child

    def said(self, name: str, last: int = 3000) -> str:
        """Return the end of what a process said."""
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace")[-last:] if path.exists() else ""

    def strays(self) -> list[psutil.Process]:
        """Return all processes alive that descend from those started here."""
        return [each for each in psutil.process_iter() if self._is_ours(each)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            alive = process.status() != psutil.STATUS_ZOMBIE
            return alive and process.environ().get(MARK) == self.mark
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False


class Server:
    """A Prefect server that can be stopped and started again on its port.

    Whatever the machine starts from now on finds it.
    """

    def __init__(self, machine: Machine, port: int) -> None:
        self._machine, self._port = machine, port
        self.url = f"http://127.0.0.1:{port}/api"
        home = machine.folder / "prefect"
        home.mkdir(parents=True)
        machine.environment.update(DEFAULTS, PREFECT_HOME=str(home), PREFECT_API_URL=self.url)
        # A private server stores no events; this one is asked for them.
        machine.environment["PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED"] = "true"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; :meth:`wait` waits until it answers."""
        command = ("-m", "prefect", "server", "start", "--no-ui", "--host", "127.0.0.1")
        self._process = self._machine.start("server", *command, "--port", str(self._port))

    def wait(self) -> None:
        """Wait until it answers."""
        wait_for(lambda: answers(self.url), "the Prefect server")

    def stop(self) -> None:
        """Stop it as an operator does, or as a machine that goes down if that takes long."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def events(self, prefix: str) -> list[str]:
        """Return the event and resource of each event of a kind."""
        body = {"filter": {"event": {"prefix": [prefix]}}, "limit": 50}
        with httpx.Client(base_url=self.url, timeout=30) as client:
            page = client.post("/events/filter", json=body).raise_for_status().json()
            found = page["events"]
            while page["next_page"]:
                page = client.get(page["next_page"]).raise_for_status().json()
                found += page["events"]
        return [f"{each['event']} {each['resource']['prefect.resource.id']}" for each in found]


class Cluster:
    """A Dask scheduler and workers of one thread; a worker that is killed is followed by another.

    Parameters
    ----------
    machine
        Where they run.
    memory
        Memory of each worker, bytes: its limit, and what it offers to jobs.
    """

    def __init__(self, machine: Machine, memory: Iterable[int]) -> None:
        self._machine = machine
        self._memory = list(memory)
        self._file = machine.folder / "scheduler.json"
        self._names = 0
        self._nursery: subprocess.Popen[bytes] | None = None
        self._processes: list[subprocess.Popen[bytes]] = []
        self.workers: dict[int, int] = {}
        self.kills = self.losses = 0

    @property
    def address(self) -> str:
        """Address of the scheduler."""
        return str(json.loads(self._file.read_text())["address"])

    def start(self) -> None:
        """Start the scheduler and what makes workers; :meth:`wait` waits for the workers."""
        options = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show")
        pages = ("--dashboard-address", "127.0.0.1:0")  # else 8787, even without a dashboard
        module = ("-m", "distributed.cli.dask_scheduler")
        file = ("--scheduler-file", str(self._file))
        scheduler = self._machine.start("scheduler", *module, *options, *pages, *file)
        self._nursery = self._machine.start("nursery", str(NURSERY), talks=True)
        self._processes = [self._nursery, scheduler]

    def wait(self) -> None:
        """Wait for the scheduler, and start all workers."""
        wait_for(self._file.exists, "the Dask scheduler")
        if self._answer() != "ready":
            raise ChildProcessError(self._machine.said("nursery"))
        for place in range(len(self._memory)):
            self._start_worker(place)

    def kill(self, place: int) -> None:
        """Kill a worker as the kernel does, and start the next one in its place."""
        os.kill(self.workers[place], signal.SIGKILL)
        wait_for(lambda: not psutil.pid_exists(self.workers[place]), "a worker to die")
        self.kills += 1
        self._start_worker(place)

    def mend(self) -> None:
        """Start a worker wherever one has ended by itself."""
        for place, pid in list(self.workers.items()):
            if not psutil.pid_exists(pid):
                self.losses += 1
                self._start_worker(place)

    def stop(self) -> None:
        """End the workers, what makes them, and the scheduler."""
        for pid in self.workers.values():
            send_signal(pid, signal.SIGTERM)
        wait_for(lambda: not any(map(psutil.pid_exists, self.workers.values())), "workers to end")
        for process in self._processes:
            process.terminate()
            process.wait(START_LIMIT)

    def _start_worker(self, place: int) -> None:
        self._names += 1
        line = (
            f"worker-{self._names} {self.address} {self._memory[place]} {self._machine.folder}/dask"
        )
        if self._nursery is None or self._nursery.stdin is None:
            raise ChildProcessError(self._machine.said("nursery"))
        self._nursery.stdin.write(f"{line}\n".encode())
        self._nursery.stdin.flush()
        self.workers[place] = int(self._answer())

    def _answer(self) -> str:
        if self._nursery is None or self._nursery.stdout is None:
            raise ChildProcessError(self._machine.said("nursery"))
        return self._nursery.stdout.readline().decode().strip()


class FaultyBucket:
    """An S3 server of this process that refuses or dawdles now and then.

    Parameters
    ----------
    seed
        Of its moods.
    share
        Of the requests that go wrong.
    """

    def __init__(self, seed: int, share: float = 0.05) -> None:
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self.share = share
        self.faults = 0

    @contextmanager
    def running(self) -> Iterator[str]:
        """Serve; give the endpoint."""
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        application = DomainDispatcherApplication(create_backend_app)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
        server = make_server("127.0.0.1", 0, self._around(application), threaded=True)
        thread = threading.Thread(target=server.serve_forever, name="bucket", daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def _around(self, application: Any) -> Callable[..., Any]:
        def answer(environ: dict[str, Any], respond: Any) -> Any:
            mood = self._mood()
            if mood in {"500", "503"}:
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                respond(f"{mood} out of order", [("Content-Length", "0")])
                return [b""]
            if mood == "late":  # it is done, and the answer is lost
                list(application(environ, lambda *_: None))
                respond("500 the answer was lost", [("Content-Length", "0")])
                return [b""]
            if mood == "slow":
                time.sleep(0.3)
            return application(environ, respond)

        return answer

    def _mood(self) -> str:
        with self._lock:
            if self._random.random() >= self.share:
                return "good"
            self.faults += 1
            return self._random.choice(["500", "503", "late", "slow"])


def send_signal(pid: int, number: int) -> None:
    """Send a signal to a process that may be gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
