"""The Prefect server is asked without Prefect: password, token, one run for one key, time."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from calib.errors import ConfigError, NotFound, Unavailable
from deployments.dashboard import prefect_api
from deployments.dashboard.going_on import RESUME, Asked, go_on, read_asked
from deployments.dashboard.prefect_api import PrefectServer, server_of

NUMBER = "11111111-2222-3333-4444-555555555555"
RUN = "aaaaaaaa-2222-3333-4444-555555555555"
BASIC = "Basic dXNlcjpwYXNz"  # base64 of user:pass


class _Prefect(BaseHTTPRequestHandler):
    """Answers as a Prefect server with a password does; `plan` says what goes otherwise."""

    seen: list[dict[str, Any]]
    plan: dict[str, Any]

    def do_GET(self) -> None:
        if self.path.startswith("/api/csrf-token"):
            self._say(self.plan.get("csrf", 200), {"token": "t0ken"})
        else:
            self._say(self.plan.get("get", 200), self.plan.get("found", {"id": NUMBER}))

    def do_POST(self) -> None:
        length = int(self.headers["content-length"])
        self.seen[-1:] = (
            [{**self.seen[-1], "body": json.loads(self.rfile.read(length))}] if (self.seen) else []
        )
        body = self.seen[-1]["body"] if self.seen else {}
        self._say(201, {"id": RUN}, body)

    def _say(self, code: int, content: Any, body: Any = None) -> None:
        self.seen.append({"path": self.path, "headers": dict(self.headers), "body": body})
        if self.headers["authorization"] != BASIC:
            code = 401
        text = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(code)
        if code == 302:
            self.send_header("location", "http://127.0.0.1:9/stolen")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_given: Any) -> None:
        """Say nothing."""


@pytest.fixture
def prefect() -> Iterator[tuple[PrefectServer, type[_Prefect]]]:
    """Return a server, and what it was asked."""
    handler = type("Handler", (_Prefect,), {"seen": [], "plan": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield PrefectServer(f"http://127.0.0.1:{server.server_port}/api", "user:pass"), handler
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_run_is_started_with_password_token_and_key(
    prefect: tuple[PrefectServer, type[_Prefect]],
) -> None:
    """The deployment is found by its name, and the run gets parameters and its key."""
    server, handler = prefect
    assert server.start("campaign-resume/campaign-resume", {"name": "a/b"}, "key") == RUN
    first, token, last = handler.seen[0], handler.seen[1], handler.seen[-1]
    assert first["path"] == "/api/deployments/name/campaign-resume/campaign-resume"
    assert last["path"] == f"/api/deployments/{NUMBER}/create_flow_run"
    assert last["body"]["parameters"] == {"name": "a/b"}
    assert last["body"]["idempotency_key"] == "key"
    headers = {name.lower(): value for name, value in last["headers"].items()}
    assert headers["prefect-csrf-token"] == "t0ken"
    assert token["path"].endswith(headers["prefect-csrf-client"])


def test_a_server_without_protection_needs_no_token(
    prefect: tuple[PrefectServer, type[_Prefect]],
) -> None:
    """It answers 422 to who asks for a token: that is no failure."""
    server, handler = prefect
    handler.plan["csrf"] = 422
    assert server.start("a/b", {}, "key") == RUN
    assert "prefect-csrf-token" not in {name.lower() for name in handler.seen[-1]["headers"]}


@pytest.mark.parametrize(
    ("plan", "error"),
    [
        ({"get": 404}, NotFound),
        ({"get": 500}, Unavailable),
        ({"get": 302}, Unavailable),
        ({"found": {"id": "../../admin"}}, Unavailable),
        ({"found": []}, Unavailable),
        ({"found": b"<html>"}, Unavailable),
        ({"csrf": 500}, Unavailable),
    ],
)
def test_what_goes_wrong_is_an_error_of_ours(
    prefect: tuple[PrefectServer, type[_Prefect]], plan: dict[str, Any], error: type[Exception]
) -> None:
    """No answer of a server leads elsewhere, and none is taken for a run that is none."""
    server, handler = prefect
    handler.plan.update(plan)
    with pytest.raises(error):
        server.start("a/b", {}, "key")
    assert not any(each["path"].endswith("create_flow_run") for each in handler.seen)


def test_a_wrong_password_is_told_without_it(
    prefect: tuple[PrefectServer, type[_Prefect]],
) -> None:
    """The message names the setting; neither it nor the record shows the password."""
    server = PrefectServer(prefect[0].url, "user:s3cret")
    with pytest.raises(Unavailable, match="PREFECT_API_AUTH_STRING") as caught:
        server.start("a/b", {}, "key")
    assert "s3cret" not in f"{caught.value!r}{server!r}"


def test_a_server_that_is_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits longer than the time limit, and nobody listens at a closed port."""
    monkeypatch.setattr(prefect_api, "TIMEOUT", 0.05)
    with pytest.raises(Unavailable, match="does not answer"):
        PrefectServer("http://127.0.0.1:9/api").start("a/b", {}, "key")


@pytest.mark.parametrize("answer", [b"no such protocol\r\n\r\n", b"HTTP/1.1 200 OK\r\nx" * 99_999])
def test_a_server_that_speaks_no_http_is_away(
    answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was decided stays: the answer of another program is no failure of the page."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{listening.getsockname()[1]}/api")
        thread = threading.Thread(target=_say, args=(listening, answer))
        thread.start()
        assert go_on(RESUME, ["spring"], "key") == Asked("away")
        thread.join()


def test_an_address_that_is_none_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A space in the address is found only when it is asked."""
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/a b/api")
    assert go_on(RESUME, ["spring"], "key") == Asked("away")


def _say(listening: socket.socket, answer: bytes) -> None:
    """Answer one who asks."""
    opened, _ = listening.accept()
    with opened, suppress(OSError):
        opened.recv(65536)
        opened.sendall(answer)


def test_the_environment_names_the_server() -> None:
    """Without an address there is no server; what is no address is refused."""
    assert server_of({}) is None
    assert server_of({"PREFECT_API_URL": "http://h/api/"}) == PrefectServer("http://h/api")
    with pytest.raises(ConfigError):
        server_of({"PREFECT_API_URL": "file:///etc/passwd"})


def test_words_of_an_address_are_ours_or_nothing() -> None:
    """Nobody makes a page of ours say something, or link somewhere, by an address."""
    found = read_asked("you won!", [RUN, "javascript:alert(1)", "../x"])
    assert (found.word, found.runs) == ("", (RUN,))


def test_the_dashboard_imports_no_prefect() -> None:
    """What reads, and what asks Prefect, does without its 82 MB, and the 35 of Astropy."""
    code = (
        "import sys, importlib, pkgutil, deployments.dashboard as d;"
        "names = [m.name for m in pkgutil.walk_packages(d.__path__, d.__name__ + '.')];"
        "names.remove('deployments.dashboard.comparing');"  # a program of its own
        "[importlib.import_module(n) for n in names];"
        "print([n for n in ('prefect', 'dask', 'numpy', 'astropy') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
