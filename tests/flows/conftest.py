"""A real Prefect server for the tests of flows: started once, in a home of its own.

tests/conftest.py sees to it that one test process runs all tests that use it, but the longest
file: a second server costs 10 s, most of it the first migration of its database.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.private_server import answers, free_port

START_LIMIT = 120  # seconds; 5 to 25 were seen on loaded machines


def _wait_until_healthy(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(START_LIMIT * 4):
        if answers(url):
            return
        if server.poll() is not None:
            break
        time.sleep(0.25)
    pytest.fail(f"the Prefect server did not start:\n{log.read_text()[-3000:]}")


@pytest.fixture(scope="session")
def prefect_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Start a server on a free port; yield the variables that point a process at it."""
    home = tmp_path_factory.mktemp("prefect")
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")},
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "ERROR",
    }
    log = home / "server.log"
    command = [sys.executable, "-m", "prefect", "server", "start", "--no-ui"]
    with log.open("wb") as out:
        server = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
        try:
            _wait_until_healthy(url, server, log)
            yield {**environment, "PREFECT_API_URL": url}
        finally:
            server.terminate()
            try:
                server.wait(15)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
