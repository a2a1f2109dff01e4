"""What goes wrong between us and a bucket, in our classes, codes and words."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from calib.errors import (
    ArchiveError,
    ConfigError,
    HstflowError,
    Proprietary,
    Unavailable,
)
from calib.stores import S3Store, s3_client
from calib.stores.s3_client import endpoint_of
from calib.stores.s3_errors import Purpose
from calib.stores.uri import parse_uri

SECRET = "s3cr3t-of-the-tests"  # noqa: S105 - the word that no message may repeat

Refuse = Callable[[int, str], str]


class _Refusal(BaseHTTPRequestHandler):
    """Answers everything with one status and body."""

    protocol_version = "HTTP/1.1"  # a client that expects "100 Continue" waits a second without
    timeout = 5
    status = 403
    body = b""

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(self.body)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _answer  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def refuse(s3_settings: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Refuse]:
    """Return a function that starts a server with one answer to everything; tries do not wait."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    servers: list[ThreadingHTTPServer] = []

    def start(status: int, code: str) -> str:
        xml = f"<Error><Code>{code}</Code><Message>{SECRET}</Message></Error>"
        body = xml if not code.startswith("<") else code
        handler = type("Handler", (_Refusal,), {"status": status, "body": body.encode()})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def error_of(store: S3Store, verb: str) -> HstflowError:
    """Return the error of reading or writing; it repeats no secret."""
    with pytest.raises(HstflowError) as caught:
        store.read("x") if verb == "read" else store.put_if_absent("x", b"1")
    assert SECRET not in str(caught.value)
    assert "s3://bucket" in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("status", "code", "reading", "writing"),
    [
        (403, "AccessDenied", (Proprietary, 26), (ArchiveError, 25)),
        (403, "InvalidAccessKeyId", (ConfigError, 2), (ArchiveError, 25)),
        (403, "SignatureDoesNotMatch", (ConfigError, 2), (ArchiveError, 25)),
        (400, "ExpiredToken", (ConfigError, 2), (ArchiveError, 25)),
        (404, "NoSuchBucket", (ConfigError, 2), (ConfigError, 2)),
        (400, "IllegalLocationConstraint", (ConfigError, 2), (ConfigError, 2)),
        (501, "NotImplemented", (ConfigError, 2), (ConfigError, 2)),
        (503, "SlowDown", (Unavailable, 26), (Unavailable, 25)),
        (400, "EntityTooLarge", (ConfigError, 2), (ArchiveError, 25)),
    ],
)
def test_answers_become_classes(
    refuse: Refuse,
    status: int,
    code: str,
    reading: tuple[type[HstflowError], int],
    writing: tuple[type[HstflowError], int],
) -> None:
    """The code of the answer decides, and whether we read or write."""
    endpoint = refuse(status, code)

    read = error_of(S3Store("bucket", "p", "input", endpoint), "read")
    written = error_of(S3Store("bucket", "p", "output", endpoint), "write")

    assert (type(read), read.code) == reading
    assert (type(written), written.code) == writing
    assert code in str(read.found)


@pytest.mark.parametrize(("purpose", "code"), [("input", 26), ("output", 25)])
def test_a_wrong_endpoint_is_unavailable(s3_settings: str, purpose: Purpose, code: int) -> None:
    """Nobody listens there: try again, or mend the endpoint, which the message names."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"
    error = error_of(S3Store("bucket", "", purpose, endpoint), "read")

    assert (type(error), error.code) == (Unavailable, code)
    assert endpoint in str(error)


def test_a_server_that_is_not_s3_is_unavailable(refuse: Refuse) -> None:
    """A web page instead of an answer: the endpoint is questioned."""
    page = "<html><body>Welcome</body></html>"
    store = S3Store("bucket", "p", "input", refuse(200, page))
    for call in (store.head, store.read):
        with pytest.raises(Unavailable, match="is the endpoint right") as caught:
            call("x")
        assert caught.value.code == 26


@pytest.mark.parametrize(("purpose", "kind"), [("input", ConfigError), ("output", ArchiveError)])
def test_missing_credentials_are_named(
    s3_settings: str, monkeypatch: pytest.MonkeyPatch, purpose: Purpose, kind: type[HstflowError]
) -> None:
    """The message says which variables to set."""
    s3_client._client.cache_clear()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    error = error_of(S3Store("bucket", "p", purpose), "read")
    s3_client._client.cache_clear()

    assert type(error) is kind
    assert "AWS_ACCESS_KEY_ID" in str(error)


@pytest.mark.parametrize(
    "endpoint",
    [
        f"http://user:{SECRET}@host:9000",
        "ftp://host",
        "host:9000",
        "http://",
        "http://host:port",
        "http://host?x=1",
    ],
)
def test_endpoints_that_are_none_are_refused(
    monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    """Code 2 before anything is sent, and a password in the URL is not repeated."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
    with pytest.raises(ConfigError, match="not an S3 endpoint") as caught:
        endpoint_of(None)
    assert SECRET not in str(caught.value)


def test_an_argument_wins_over_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argument, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, Amazon: in this order."""
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    assert endpoint_of(None) is None
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://third")
    assert endpoint_of(None) == "http://third"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://second")
    assert endpoint_of(None) == "http://second"
    assert endpoint_of("http://first:9000") == "http://first:9000"


def test_a_bucket_is_part_of_an_output_uri() -> None:
    """`s3://BUCKET/PREFIX` is read into its location, as for inputs."""
    assert parse_uri("s3://bucket/a/b/").location == "bucket/a/b"
