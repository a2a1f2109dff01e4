"""`hstflow dashboard`: its settings, and the program itself."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import httpx
import pytest

from calib.errors import ConfigError
from calib.ledger.ledger import Ledger
from deployments.cli.dashboard import prefect_pages, settings_of
from deployments.cli.main import run
from deployments.dashboard import serving
from deployments.dashboard.serving import address_of, listen
from deployments.dashboard.settings import DashboardSettings
from tasks.settings import load_dashboard, load_settings
from tests.shown_commands import shown_lines


def test_variables_become_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each variable of the dashboard is one of its settings."""
    for name, value in (
        ("HOSTS", "a.example, b.example"),
        ("ROOT", "/hst/"),
        ("CHANGE", "1"),
        ("PASSWORD", "ada:correct horse"),
        ("PORT", "9"),
        ("METRICS_TOKEN", ""),
    ):
        monkeypatch.setenv(f"HSTFLOW_DASHBOARD_{name}", value)
    found = settings_of(load_dashboard(), {"HSTFLOW_LEDGER": "/x.db"}, names=["c.example"])
    assert found.hosts == ("a.example", "b.example", "c.example", "127.0.0.1")
    assert (found.root, found.port, found.may_change) == ("/hst", 9, True)
    assert found.password == "ada:correct horse"  # noqa: S105
    assert found.metrics_token is None
    assert found.ledger == "sqlite:////x.db"


def test_dashboard_knows_the_work_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ledger: Ledger
) -> None:
    """HSTFLOW_WORK, or where jobs work without it: logs and bundles are shown from there."""
    served: list[DashboardSettings] = []
    monkeypatch.setattr(serving, "serve", lambda settings, _: served.append(settings))
    monkeypatch.setenv("HSTFLOW_WORK", str(tmp_path / "work"))
    assert run(["dashboard"]) == 0
    monkeypatch.delenv("HSTFLOW_WORK")
    assert run(["dashboard"]) == 0
    assert [each.work for each in served] == [
        str(tmp_path / "work"),
        str(load_settings().work.absolute()),
    ]


def test_variable_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the variable as it is written."""
    monkeypatch.setenv("HSTFLOW_DASHBOARD_PORT", "many")
    with pytest.raises(ConfigError, match="HSTFLOW_DASHBOARD_PORT"):
        load_dashboard()


@pytest.mark.parametrize(
    ("environ", "address"),
    [
        ({}, None),
        ({"PREFECT_API_URL": "http://h:4200/api"}, "http://h:4200"),
        ({"PREFECT_API_URL": "http://h:4200/api/"}, "http://h:4200"),
        ({"PREFECT_UI_URL": "https://ui/", "PREFECT_API_URL": "http://h/api"}, "https://ui"),
    ],
)
def test_pages_of_prefect_are_found(environ: dict[str, str], address: str | None) -> None:
    """What Prefect is told of its server is enough for links."""
    assert prefect_pages(environ) == address


def test_addresses_are_those_a_browser_takes() -> None:
    """An address for every interface is no address to go to; IPv6 has brackets."""
    assert address_of("0.0.0.0", 80, "/hst") == "http://localhost:80/hst/"  # noqa: S104
    assert address_of("::1", 80) == "http://[::1]:80/"


def test_taken_port_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and which port it is."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert run(["dashboard", "--port", str(port)]) == 2
    said = capsys.readouterr().err
    assert "another program listens there" in said
    assert f"127.0.0.1:{port}" in said
    assert "Traceback" not in said


def test_address_of_no_machine_is_refused() -> None:
    """A name that is none is said."""
    with pytest.raises(ConfigError, match="no address"):
        listen("no such host", 0)


def test_other_machines_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a password nothing listens to them."""
    assert run(["dashboard", "--host", "0.0.0.0", "--port", "0"]) == 2  # noqa: S104
    assert "--without-password" in capsys.readouterr().err


PAGE = Path(__file__).parents[3] / "docs" / "operations-dashboard.md"
SHOWN = [
    line for line in shown_lines(PAGE.read_text(encoding="utf-8")) if "hstflow dashboard" in line
]


@pytest.mark.slow
@pytest.mark.parametrize("line", SHOWN)
def test_each_start_of_the_page_answers(ledger: Ledger, line: str) -> None:
    """It listens, knows whom to let in, and ends; this machine has no address 10.0.0.5."""
    settings, _, words = line.replace("10.0.0.5", "127.0.0.1").partition("hstflow ")
    command = f"{settings}exec {sys.executable} -m deployments.cli {words} --port 0"
    environ = {**os.environ, "PYTHONUNBUFFERED": "1", "HSTFLOW_LEDGER": str(ledger.url)}
    with subprocess.Popen(
        ["bash", "-c", command], stderr=subprocess.PIPE, text=True, env=environ
    ) as program:
        try:
            assert program.stderr is not None
            said = program.stderr.readline()
            found = re.search(r":(\d+)/", said)
            assert found, said + program.stderr.read()
            answer = httpx.get(f"http://127.0.0.1:{found[1]}/", headers={"Host": "localhost"})
            codes = {"PASSWORD": 401, "PROXY": 403}
            assert answer.status_code == next((codes[w] for w in codes if w in settings), 200)
        finally:
            program.terminate()
        assert program.wait(10) == 143


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_program_says_where_it_listens_and_ends_at_once(
    ledger: Ledger, number: signal.Signals, code: int
) -> None:
    """The address is said when it answers; a signal ends it within two seconds."""
    assert ledger.url
    command = [sys.executable, "-m", "deployments.cli", "dashboard", "--port", "0"]
    environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environ) as program:
        assert program.stderr is not None
        found = re.search(r"http://127\.0\.0\.1:\d+/", program.stderr.readline())
        assert found
        with urllib.request.urlopen(found[0]) as answer:  # noqa: S310
            assert b"spring" in answer.read()
        began = time.monotonic()
        program.send_signal(number)
        assert program.wait(10) == code
        assert time.monotonic() - began < 2
        assert "Traceback" not in program.stderr.read()
