"""A web server of our own on this machine's loopback address: starts, logs, stops cleanly."""

from __future__ import annotations

import json
import logging
import socket
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

log = logging.getLogger(__name__)

_ADDRESS = "127.0.0.1"


@dataclass(frozen=True)
class Request:
    """One request that a server answered.

    Attributes
    ----------
    method, path
        ``GET`` and the path without its query; for remote calls the name of the method.
    range
        What the Range header asked for.
    status
        Status code of the answer.
    """

    method: str
    path: str
    range: str | None
    status: int


class Handler(BaseHTTPRequestHandler):
    """What both servers need to answer a request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each small answer waits 40 ms for an acknowledgement
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class' name
        """Keep requests off the terminal; the server has its own log."""

    @property
    def loopback(self) -> LoopbackServer:
        """The server that this request came to."""
        return self.server.owner

    def read_body(self) -> bytes:
        """Return the body of a POST."""
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def send_head(self, status: int, kind: str, headers: dict[str, str], name: str = "") -> None:
        """Send status and headers, and note the request; `name` is what to note as its path."""
        path = name or self.path.partition("?")[0]
        note = Request(self.command, path, self.headers.get("Range"), status)
        self.loopback.requests.append(note)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()

    def send_text(self, status: int, text: str, kind: str = "text/plain", **headers: str) -> None:
        """Send a whole answer; underscores in the names of headers stand for hyphens."""
        body = text.encode()
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        self.send_head(status, kind, {"Content-Length": str(len(body)), **named})
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_json(self, answer: Any) -> None:
        """Send a JSON answer."""
        self.send_text(200, json.dumps(answer), "application/json")

    def wait(self, seconds: float) -> None:
        """Wait, but not after the server was told to stop."""
        self.loopback.stopping.wait(seconds)


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # stop() waits for them
    request_queue_size = 128  # many threads and processes of one test connect at once

    def __init__(self, owner: LoopbackServer, handler: type[Handler]) -> None:
        self.owner = owner
        self.connections: set[socket.socket] = set()
        super().__init__((_ADDRESS, 0), handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - base class
        log.debug("a client of the loopback server went away")


class LoopbackServer:
    """A server on a free port of the loopback address, used as a context.

    Attributes
    ----------
    requests
        What was asked and answered, oldest first.
    stopping
        Set when the server stops: answers that dawdle end then.
    """

    handler: type[Handler] = Handler
    host = _ADDRESS

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.stopping = threading.Event()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Address of the server, without a slash at the end."""
        if self._server is None:
            message = "the loopback server is not running: use it as a context"
            raise RuntimeError(message)
        return f"http://{self.host}:{self._server.server_address[1]}"

    def start(self) -> Self:
        """Begin to answer."""
        self.stopping.clear()
        self._server = _Server(self, self.handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="loopback-server", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close every connection and wait for the threads; stopping twice does nothing."""
        if self._server is None or self._thread is None:
            return
        self.stopping.set()
        self._server.shutdown()
        for connection in list(self._server.connections):
            _hang_up(connection)
        self._server.server_close()
        self._thread.join()
        self._server = self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:  # its client was faster
        log.debug("a connection was closed already")
