"""A private server ends with the process that started it, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from calib.errors import Unavailable
from flows import private_server
from flows.private_server import PrivateServer

pytestmark = pytest.mark.prefect

SCRIPT = """
import sys, time
from pathlib import Path
from flows.private_server import PrivateServer
server = PrivateServer(Path(sys.argv[1]))
server.wait()
print("PID", server._process.pid, server.url, flush=True)
if sys.argv[2] == "wait":
    time.sleep(60)
"""


def start(home: Path, then: str) -> subprocess.Popen[str]:
    """Start a process that starts a private server."""
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(home), then],
        cwd=Path(__file__).parents[2],
        env={key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where each server finds the database of the one before: made once, in seconds."""
    return tmp_path_factory.mktemp("servers") / "home"


@pytest.mark.parametrize("end", ["normally", "killed"])
def test_server_ends_with_its_process(home: Path, end: str) -> None:
    """Neither a normal end nor SIGKILL leaves a server behind; the database stays."""
    with start(home, "go" if end == "normally" else "wait") as child:
        assert child.stdout is not None
        words = child.stdout.readline().split()
        assert words[0] == "PID"
        server = psutil.Process(int(words[1])) if psutil.pid_exists(int(words[1])) else None
        if end == "killed":
            child.send_signal(signal.SIGKILL)

    gone = psutil.wait_procs([server], timeout=20)[1] if server else []
    assert gone == []
    assert (home / "prefect.db").exists()


def test_server_that_does_not_start_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that ends at once is reported with the end of its log."""
    for name in ("PREFECT_HOME", "PREFECT_API_URL", *private_server.DEFAULTS):
        monkeypatch.setenv(name, "x")
    monkeypatch.setattr(private_server.sys, "executable", "/bin/false")

    with pytest.raises(Unavailable, match="did not start"):
        PrivateServer(tmp_path).wait()
