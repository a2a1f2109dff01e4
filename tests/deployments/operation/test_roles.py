"""What the programs of `hstflow up` are called with, and told."""

from __future__ import annotations

import itertools
import json
import shlex
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from calib.errors import ConfigError, Unavailable
from deployments.cli.main import run
from deployments.operation import health
from deployments.operation.health import answers, count_workers, place_of
from deployments.operation.ports import Claims, choose_port, is_free
from deployments.operation.processes import MARK
from deployments.operation.profiles import read_profile
from deployments.operation.roles import Layout, client_settings, roles_of, server_settings
from deployments.operation.session import absolute_places, choose_parts, plan_layout
from deployments.operation.wishes import (
    PARTS,
    SMALLEST,
    Asked,
    Ports,
    Share,
    choose_ports,
    share_out,
)
from flows.private_server import free_port

ROOT = Path(__file__).parents[3]
PORTS = Ports(4300, 8180, 8886, 8887, 8890)
OK = b"ok"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Return everything, on ports of our own."""
    return Layout(
        parts=frozenset(PARTS),
        home=tmp_path,
        ports=PORTS,
        share=Share(2, 4.0, 10.0),
        environ={"PATH": "/bin", "HSTFLOW_LEDGER": "sqlite:////l.db", "HSTFLOW_WORK": "/w"},
        limit=3,
        may_change=True,
        scratch=tmp_path / "dask",
    )


@contextmanager
def serving(code: int, body: bytes) -> Iterator[str]:
    """Serve one answer on any path."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_server_has_its_profile_and_its_port(layout: Layout) -> None:
    """Every setting of server.env is in force; what depends on the port follows it."""
    found, profile = server_settings(layout), read_profile("server")
    own = {
        "PREFECT_SERVER_API_PORT": "4300",
        "PREFECT_SERVER_UI_API_URL": "http://127.0.0.1:4300/api",
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": "http://127.0.0.1:4300",
    }
    assert len(profile) > 10
    assert {name: found[name] for name in profile} == {**profile, **own}
    assert found["PREFECT_HOME"] == found[MARK] == str(layout.home)
    assert "PREFECT_API_URL" not in found


def test_clients_have_their_profile_and_find_server_and_scheduler(layout: Layout) -> None:
    """Every setting of worker.env, the address of the server, the runner of campaigns."""
    found, profile = client_settings(layout), read_profile("worker")
    assert {name: found[name] for name in profile} == {
        **profile,
        "PREFECT_API_URL": "http://127.0.0.1:4300/api",
    }
    assert found["HSTFLOW_RUNNER"] == "tls://127.0.0.1:8886"
    assert found["HSTFLOW_LEDGER"] == "sqlite:////l.db"


def test_what_the_operator_set_wins_over_a_profile(layout: Layout) -> None:
    """A batch size, a runner and a password of one's own; the clients get the password too."""
    size = "PREFECT_SERVER_SERVICES_TRIGGERS_READ_BATCH_SIZE"
    mine = {size: "7", "HSTFLOW_RUNNER": "threads", "PREFECT_SERVER_API_AUTH_STRING": "me:word"}
    layout = replace(layout, environ={**layout.environ, **mine})
    assert server_settings(layout)[size] == "7"
    assert client_settings(layout)["HSTFLOW_RUNNER"] == "threads"
    assert client_settings(layout)["PREFECT_API_AUTH_STRING"] == "me:word"


def test_a_server_of_ones_own_is_used(layout: Layout) -> None:
    """With PREFECT_API_URL nothing is started for it, and all others are led there."""
    theirs = {"PREFECT_API_URL": "http://prefect.example.org/api/"}
    roles = {r.name: r for r in roles_of(replace(layout, environ={**layout.environ, **theirs}))}
    assert roles["server"].command == ()
    assert roles["server"].page == "http://prefect.example.org"
    assert roles["worker"].environment["PREFECT_API_URL"] == "http://prefect.example.org/api"


def test_order_of_start(layout: Layout) -> None:
    """Each comes after what it needs; without a part nobody waits for it."""
    roles = roles_of(layout)
    names = [role.name for role in roles]
    assert names == [
        "ledger",
        "server",
        "deploy",
        "dask-scheduler",
        "dask-workers",
        "worker",
        "dashboard",
    ]
    for number, role in enumerate(roles):
        assert set(role.after) <= set(names[:number])
    for part in PARTS:
        rest = roles_of(replace(layout, parts=layout.parts - {part}))
        left = {role.name for role in rest}
        assert all(left.issuperset(role.after) for role in rest)


def test_dask_workers_offer_what_the_script_says(layout: Layout) -> None:
    """The options of deployments/dask/start-by-hand.sh, and no others that change results."""
    command = next(role for role in roles_of(layout) if role.name == "dask-workers").command
    script = (ROOT / "deployments" / "dask" / "start-by-hand.sh").read_text()
    words = shlex.split(script.partition("exec dask worker")[2].partition(";;")[0])
    options = {word for word in words if word.startswith("--")}
    assert options <= set(command)
    given = dict(itertools.pairwise(command))
    assert given["--resources"] == "MEM_GB=4 DISK_GB=10"
    assert given["--memory-limit"] == "4GB"
    assert given["--nthreads"] == "1"
    assert given["--preload"] == "flows.worker_setup"


def test_everything_listens_on_loopback_alone(layout: Layout) -> None:
    """No word and no setting of any program opens it to other hosts."""
    for role in roles_of(layout):
        hosts = {v for k, v in role.environment.items() if k.endswith("_HOST")}
        assert hosts <= {"127.0.0.1"}
        assert "0.0.0.0" not in " ".join(role.command)  # noqa: S104 - looked for, not bound
    roles = {role.name: role for role in roles_of(layout)}
    assert roles["worker"].environment["PREFECT_WORKER_WEBSERVER_HOST"] == "127.0.0.1"
    assert "127.0.0.1" in roles["dask-scheduler"].command


def test_usual_port_that_is_taken_is_passed_over_and_an_asked_one_refused() -> None:
    """Nobody is surprised by a port that they named."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert not is_free(port)
        with Claims() as claims:
            assert choose_port(None, port, "--port", claims) != port
            with pytest.raises(ConfigError, match=f"--port.*{port}"):
                choose_port(port, 4200, "--port", claims)


def test_two_that_start_together_share_no_port() -> None:
    """What one has chosen is not free for the other, before anybody listens there."""
    with Claims() as ours, Claims() as theirs:
        mine = choose_port(None, free_port(), "--port", ours)
        assert is_free(mine)
        assert choose_port(None, mine, "--port", theirs) != mine
        with pytest.raises(ConfigError, match=f"--port.*{mine}"):
            choose_port(mine, 4200, "--port", theirs)
    with Claims() as later:
        assert choose_port(mine, 4200, "--port", later) == mine


def test_ports_of_what_is_not_started_are_not_claimed() -> None:
    """The usual port of the server is free for others where only Dask is up."""
    with Claims() as ours, Claims() as theirs:
        choose_ports(Asked(), {"dask"}, ours)
        assert not theirs.take(choose_ports(Asked(), {"dask"}, ours).dask)
        number = free_port()
        assert choose_ports(Asked(prefect=number), {"dask"}, ours).prefect == number
        assert theirs.take(number)


def test_no_port_is_given_twice() -> None:
    """Two programs asked onto one port are refused; unasked ones differ."""
    with Claims() as claims:
        found = choose_ports(Asked(), PARTS, claims)
    ports = [found.prefect, found.dashboard, found.scheduler, found.dask, found.worker]
    assert len(set(ports)) == len(ports)
    asked = Asked(dashboard=found.dashboard, scheduler=found.dashboard)
    with Claims() as claims, pytest.raises(ConfigError, match="--dask-port"):
        choose_ports(asked, PARTS, claims)


@pytest.mark.parametrize("workers", [None, 1, 3])
def test_the_host_is_shared_out(workers: int | None, tmp_path: Path) -> None:
    """No more than there is, and each share takes the smallest job."""
    from distributed.system import MEMORY_LIMIT

    found = share_out(workers, tmp_path / "not" / "there")
    assert found.workers == (workers or found.workers) >= 1
    assert found.memory >= SMALLEST
    assert found.disk > 0
    if found.memory > SMALLEST:
        assert found.memory * found.workers <= MEMORY_LIMIT / 1e9 + 0.05 * found.workers


def test_parts_that_cannot_work_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing at all; a worker without a server; a server that does not answer."""
    with pytest.raises(ConfigError, match="nothing is left"):
        choose_parts(["server"], ["server"])
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    words = {"workers": 1, "limit": 1, "may_change": False}
    with pytest.raises(ConfigError, match="worker without a Prefect server"):
        plan_layout(frozenset({"worker"}), PORTS, **words)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with pytest.raises(Unavailable, match="does not answer"):
        plan_layout(frozenset({"worker"}), PORTS, **words)


def test_relative_places_hold_in_any_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Flow runs begin in folders of their own: ledger and work folder are made absolute."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HSTFLOW_WORK", "work")
    found = absolute_places({"HSTFLOW_LEDGER": "ledger.db"})
    assert found["HSTFLOW_LEDGER"] == f"sqlite:///{tmp_path}/ledger.db"
    assert found["HSTFLOW_WORK"] == f"{tmp_path}/work"


def test_health_of_pages() -> None:
    """Only a page that is well answers; an error, silence and nonsense do not."""
    with serving(200, OK) as url:
        assert answers(url)
        assert count_workers(url) == 0
    assert not answers(url)
    with serving(503, OK) as url:
        assert not answers(url)
    for odd in ("", "no-url", "http://"):
        assert not answers(odd)


@pytest.mark.parametrize(("body", "number"), [({"workers": 3}, 3), ({}, 0), ([], 0), ("x", 0)])
def test_workers_of_a_scheduler_are_counted(body: object, number: int) -> None:
    """What its page of counts says, and none where it says something else."""
    with serving(200, json.dumps(body).encode()) as url:
        assert count_workers(url) == number


def test_silent_server_does_not_hold_us_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that accepts and says nothing is given up."""
    monkeypatch.setattr(health, "LIMIT", 0.05)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        assert not answers(f"http://127.0.0.1:{silent.getsockname()[1]}")


def test_place_of_the_server_is_what_clients_use() -> None:
    """PREFECT_API_URL says where; else the usual port."""
    assert place_of("server", {"PREFECT_API_URL": "http://h/api/"}) == "http://h/api/health"
    assert place_of("server", {}) == "http://127.0.0.1:4200/api/health"


@pytest.mark.parametrize(
    ("role", "at", "asked"),
    [
        ("dashboard", "http://h:8080", "http://h:8080/health"),
        ("dashboard", "http://h:8080/", "http://h:8080/health"),
        ("dashboard", "http://h/hst/health", "http://h/hst/health"),
        ("server", "http://h:4200", "http://h:4200/api/health"),
    ],
)
def test_an_address_alone_is_enough(role: str, at: str, asked: str) -> None:
    """The page of the role is added where none is named."""
    assert place_of(role, {"PREFECT_API_URL": "http://other/api"}, at) == asked


@pytest.mark.parametrize(("code", "expected"), [(200, 0), (503, 1)])
def test_doctor_asks_one_role(code: int, expected: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The health check of a container: by its exit code, and for programs as JSON."""
    with serving(code, OK) as url:
        assert run(["doctor", "--role", "worker", "--at", f"{url}/health", "--json"]) == expected
    said = json.loads(capsys.readouterr().out)
    assert said == {"role": "worker", "url": f"{url}/health", "well": expected == 0}
    assert run(["doctor", "--role", "command"]) == 0
    assert run(["doctor", "--role", "cook"]) == 2
