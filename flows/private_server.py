"""A Prefect server of our own for campaigns without PREFECT_API_URL.

Prefect's ephemeral server does not work with Dask: each worker process would start one of
its own on the same SQLite file. So one private server is started before Prefect is imported,
and its URL is put where all child processes find it. Its database stays in PREFECT_HOME: a
server started there later shows the same runs.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from calib.errors import Unavailable

START_LIMIT = 120.0  # seconds; 4 to 25 were seen, with the first database migration
LOOK = 2.0  # seconds between two looks whether the server is there
PR_SET_PDEATHSIG = 1  # linux/prctl.h: signal for us when the parent dies

# Settings of server and client. Read and batch sizes: with the defaults (1) the server spends
# 42 ms of CPU on each task run and falls behind by a minute per thousand; in batches 7 ms.
# The console level keeps a planned failure's traceback off the terminal: the ledger has it,
# and the logs still reach the server. Analytics would try to reach the network.
DEFAULTS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    # A line for each task that ends well says what its state says; errors and retries are kept.
    "PREFECT_LOGGING_LOGGERS_PREFECT_TASK_RUNS_LEVEL": "WARNING",
    # What a campaign says of itself goes to its run's page, whatever the terminal shows.
    "PREFECT_LOGGING_LOGGERS_PREFECT_FLOW_RUNS_LEVEL": "INFO",
    # Stored events are two fifths of the server's CPU, and most of its database. Runs, their
    # states and automations do not need them; a server of your own stores them.
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "false",
    # Leases in the server's memory are lost when it stops, and their slots never given back.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
        "prefect.server.concurrency.lease_storage.filesystem"
    ),
    # Events wait in the memory of the process until the server takes them (flows.event_queue).
    "PREFECT_EVENTS_WORKER_MAX_QUEUE_SIZE": "5000",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TRIGGERS_READ_BATCH_SIZE": "200",
}

# What a server with deployments needs, and one that shows a campaign does not: it wakes up every
# few seconds to look for late runs, workers that are gone, schedules.
NEEDLESS = (
    "CANCELLATION_CLEANUP",
    "CLEANUP_RECONCILER",
    "FOREMAN",
    "LATE_RUNS",
    "SCHEDULER",
)


class PrivateServer:
    """A Prefect server on a free loopback port, which ends with this process.

    Use it before `prefect` is imported: Prefect reads its settings then.

    Parameters
    ----------
    home
        PREFECT_HOME: database and log of the server.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.log = home / "server.log"
        self.url = f"http://127.0.0.1:{free_port()}/api"
        set_defaults()
        os.environ["PREFECT_HOME"] = str(home)
        self._stopping = threading.Event()
        self._process = self._start()
        atexit.register(self.stop)
        os.environ["PREFECT_API_URL"] = self.url

    def wait(self) -> None:
        """Wait until the server answers.

        Raises
        ------
        Unavailable
            It ended, or does not answer in time; the message has the end of its log.
        """
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline and self._process.poll() is None:
            if answers(self.url):
                self._supervise()
                return
            time.sleep(0.1)
        self.stop()
        tail = " / ".join(self.log.read_text(errors="replace").splitlines()[-5:])
        raise Unavailable(
            f"the private Prefect server did not start: {tail}", path=self.log, code=1
        )

    def _supervise(self) -> None:
        """Start the server again, on the same port, whenever it ends before we do."""

        def look() -> None:
            while not self._stopping.wait(LOOK):
                if self._process.poll() is not None:
                    self._process = self._start()

        # It lives as long as the process: Linux sends the signal of PR_SET_PDEATHSIG when the
        # thread ends that started the child.
        threading.Thread(target=look, name="prefect-server", daemon=True).start()

    def stop(self) -> None:
        """Stop the server; registered to run when this process ends."""
        self._stopping.set()
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        self.home.mkdir(parents=True, exist_ok=True)
        port = self.url.rsplit(":", 1)[1].removesuffix("/api")
        command = [sys.executable, "-m", "prefect", "server", "start", "--no-ui"]
        environment = {f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in NEEDLESS}
        environment |= {key: each for key, each in os.environ.items() if key != "PREFECT_API_URL"}
        with self.log.open("ab") as out:
            return subprocess.Popen(  # noqa: S603 - our own interpreter, an argument list
                [*command, "--host", "127.0.0.1", "--port", port],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,  # an interrupt of the terminal does not reach it
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - no threads run yet
            )


def set_defaults() -> None:
    """Set what is not set in the environment; before `prefect` is imported."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)


def _die_with_parent() -> None:
    """Ask Linux to terminate the server when the process that started it dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def answers(url: str) -> bool:
    """Tell whether a Prefect server answers at the URL of its API."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:  # noqa: S310 - loopback
            return bool(answer.status == 200)  # noqa: PLR2004 - HTTP's OK
    except (urllib.error.URLError, OSError):
        return False
