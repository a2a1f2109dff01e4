"""`hstflow up` with the real programs: all of it comes, works together, and goes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from distributed import Client
from distributed.security import Security

from calib.simulate.observatory import Observatory
from deployments.cli.campaign.session import check_runner
from deployments.operation.health import count_workers
from deployments.operation.place import Place
from deployments.operation.processes import listens, marked
from flows.private_server import free_port

pytestmark = [pytest.mark.prefect, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
HSTFLOW = (sys.executable, "-m", "deployments.cli")
LIMIT = 120.0


def wait_for(what: Callable[[], Any], message: str) -> Any:
    """Wait until something is so, and return it."""
    deadline = time.monotonic() + LIMIT
    while not (found := what()):
        assert time.monotonic() < deadline, message
        time.sleep(0.1)
    return found


@pytest.fixture
def environment(observatory: Observatory, tmp_path: Path) -> dict[str, str]:
    """Return the variables of an operator on a fresh installation."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    return {**ours, **observatory.environ, "PREFECT_HOME": str(tmp_path / "prefect")}


@pytest.fixture
def home(environment: dict[str, str]) -> Iterator[Path]:
    """Return the home, and see that nothing is left there."""
    home = Path(environment["PREFECT_HOME"])
    yield home
    left = marked(str(home))
    for process in left:
        process.kill()
    assert left == []
    assert not Place(home)._is_held()


def start(environment: dict[str, str], *words: str) -> tuple[subprocess.Popen[str], Any]:
    """Start it on free ports, and return it with what it says when all is ready."""
    usual = ("--json", "--workers", "1", "--limit", "2")
    child = subprocess.Popen(
        [*HSTFLOW, "up", *usual, *words],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    line = child.stdout.readline()
    if not line:
        pytest.fail(child.communicate()[1])
    return child, json.loads(line)


def hstflow(environment: dict[str, str], *words: str) -> str:
    """Run a command of another terminal, which sets nothing."""
    done = subprocess.run(
        [*HSTFLOW, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def account(password: str) -> tuple[str, str]:
    """Return user and password of USER:PASSWORD."""
    user, _, word = password.partition(":")
    return user, word


def flow_runs(api: str, password: str) -> list[str]:
    """Return the names of the server's flow runs; requests that change something need a token."""
    client, who = "tests", account(password)
    asked = httpx.get(f"{api}/csrf-token", params={"client": client}, auth=who, timeout=30)
    headers = {"Prefect-Csrf-Token": asked.json()["token"], "Prefect-Csrf-Client": client}
    answer = httpx.post(f"{api}/flow_runs/filter", json={}, headers=headers, auth=who, timeout=30)
    return [run["name"] for run in answer.json()]


def test_all_of_it_works_together_and_goes(
    environment: dict[str, str], home: Path, observatory: Observatory, tmp_path: Path
) -> None:
    """Pages answer; a campaign of another terminal is seen; what is killed comes back; SIGTERM."""
    child, found = start(environment)
    try:
        assert set(found["roles"].values()) == {"ready", "done"}
        settings = httpx.get(f"{found['pages']['prefect']}/ui-settings", timeout=30).json()
        assert settings["api_url"] == found["prefect"]
        assert settings["default_ui"] == "v1", settings
        who = account(found["password"])
        for page in found["pages"].values():
            assert httpx.get(page, auth=who, timeout=30, follow_redirects=True).status_code == 200
        assert httpx.get(found["pages"]["dashboard"], timeout=30).status_code == 401
        assert httpx.get(f"{found['prefect']}/admin/version", timeout=30).status_code == 401
        dask = found["pages"]["dask"].split("/info")[0].split("/status")[0]
        assert count_workers(dask) == 1

        (tmp_path / "names.txt").write_text("\n".join(observatory.datasets))
        places = (f"file:{observatory.raws}", f"file:{tmp_path / 'out'}")
        words = ("--context", observatory.contexts[0], "--runner", found["runner"])
        hstflow(
            environment, "campaign", "submit", "night", f"@{tmp_path}/names.txt", *places, *words
        )
        assert "campaign-night" in flow_runs(found["prefect"], found["auth"])

        dashboard = next(p for p in marked(str(home)) if "dashboard" in p.cmdline())
        dashboard.kill()
        health = f"{found['pages']['dashboard']}health"
        wait_for(lambda: _answers(health), "the dashboard is back")
        assert json.loads(hstflow(environment, "up", "--status", "--json"))["pid"] == child.pid
    finally:
        child.send_signal(signal.SIGTERM)
        said = child.communicate(timeout=LIMIT)[1]
    assert child.returncode == 143, said
    ends = [line for line in said.splitlines() if line.endswith("stopped")]
    order = ["dashboard", "worker", "dask-workers", "dask-scheduler", "server"]
    assert ends == [f"{name}: stopped" for name in order]


def test_killed_one_leaves_nothing(environment: dict[str, str], home: Path) -> None:
    """After SIGKILL the cluster is ended by the watchman, and another one may start."""
    child, _ = start(environment, "--only", "dask")
    assert len(marked(str(home))) > 3
    child.kill()
    child.communicate()
    wait_for(lambda: not Place(home)._is_held(), "the watchman has done its work")
    assert marked(str(home)) == []

    child, _ = start(environment, "--only", "dashboard")
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=LIMIT)
    assert child.returncode == 130


def test_two_at_the_same_time_do_not_meet(
    environment: dict[str, str], home: Path, tmp_path: Path
) -> None:
    """Two homes in one second: no port is shared, and each server asks for its own password."""
    other = {**environment, "PREFECT_HOME": str(tmp_path / "other")}
    words = ("--only", "server", "--only", "dask", "--only", "dashboard")
    with ThreadPoolExecutor(2) as both:
        ups = list(both.map(lambda each: start(each, *words), (environment, other)))
    try:
        places = [{*found["pages"].values(), found["runner"]} for _, found in ups]
        assert not {urlsplit(each).port for each in places[0]} & {
            urlsplit(each).port for each in places[1]
        }
        for child, found in ups:
            mine = psutil.Process(child.pid).children(recursive=True)
            for page in found["pages"].values():
                assert any(listens(each.pid, urlsplit(page).port) for each in mine)
        ours, theirs = (found for _, found in ups)
        for found, password, code in (
            (ours, ours["auth"], 200),
            (theirs, theirs["auth"], 200),
            (ours, theirs["auth"], 401),
        ):
            api = f"{found['prefect']}/admin/version"
            assert httpx.get(api, auth=account(password), timeout=30).status_code == code
    finally:
        for child, _ in ups:
            child.send_signal(signal.SIGTERM)
        for child, _ in ups:
            child.communicate(timeout=LIMIT)
    assert marked(other["PREFECT_HOME"]) == []


def test_a_port_that_two_ask_for_is_given_to_one(
    environment: dict[str, str], home: Path, tmp_path: Path
) -> None:
    """The other is refused at once, before its program could take the first one's for its own."""
    port = free_port()
    other = {**environment, "PREFECT_HOME": str(tmp_path / "other")}
    words = ("--only", "dashboard", "--dashboard-port", str(port), "--json")
    children = [
        subprocess.Popen(
            [*HSTFLOW, "up", *words],
            cwd=ROOT,
            env=each,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for each in (environment, other)
    ]
    try:
        refused = wait_for(lambda: next((c for c in children if c.poll() is not None), None), "one")
        stays = next(child for child in children if child is not refused)
        said = refused.communicate()[1]
        assert refused.returncode == 2, said
        assert (
            f"the port is taken (expected another --dashboard-port, or none; found {port})" in said
        )
        assert stays.stdout is not None
        assert json.loads(stays.stdout.readline())["pages"]["dashboard"].endswith(f":{port}/")
    finally:
        for child in children:
            child.send_signal(signal.SIGTERM)
            child.communicate(timeout=LIMIT)


def test_strangers_do_not_get_at_dask(
    environment: dict[str, str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither without a key nor with a key of their own; a campaign of the same home does."""
    child, found = start(environment, "--only", "dask")
    try:
        plain = found["runner"].replace("tls:", "tcp:")
        for address, key in ((plain, None), (found["runner"], Security.temporary())):
            with pytest.raises(OSError, match=r"reset|closed|TLS|in: "):
                Client(address, security=key, timeout=5, set_as_default=False)
        for name in found["dask"]:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("PREFECT_HOME", str(home))
        monkeypatch.delenv("PREFECT_API_URL", raising=False)
        check_runner(found["runner"])
        assert {name: os.environ[name] for name in found["dask"]} == found["dask"]
        for name in found["dask"]:
            monkeypatch.setenv(name, os.environ[name])  # noted, so that it is taken back
    finally:
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=LIMIT)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def test_there_is_a_process_to_count() -> None:
    """What the tests above look for is found where it is."""
    marker = {"HSTFLOW_UP": "/somewhere", "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(["sh", "-c", "echo; read x"], env=marker, stdin=-1, stdout=-1) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert psutil.Process(child.pid) in marked("/somewhere")
        child.kill()
