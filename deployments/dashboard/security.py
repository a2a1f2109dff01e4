"""What every answer of the dashboard says to browsers, and which requests are none of ours."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable, Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOGGER = logging.getLogger(__name__)

# Nothing from elsewhere, no script or style in a page, no page inside another one. htmx is a
# file of ours; pictures of products are served by us.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}

# Our own files are asked for again, and answered with "as before" while they are.
STATIC = "/static/"
STATIC_CACHE = "no-cache"

LOOPBACK = ("localhost", "127.0.0.1", "::1")
METHODS = frozenset({"GET", "HEAD", "POST"})

# Those who look whether this process lives need neither a name nor a password.
PROBES = frozenset({"/health", "/ready"})

# Characters: names in a path are at most 255, and a filter says a few words. Longer ones would
# be kept with the answers.
MOST_PATH = 2_000
MOST_QUERY = 4_000

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CODED_CONTROL = re.compile(rb"%(?:[01][0-9a-f]|7f)", re.IGNORECASE)


class SecurityHeaders:
    """Adds :data:`HEADERS` to every answer that does not have its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if scope["path"].startswith(STATIC):
                    headers.setdefault("cache-control", STATIC_CACHE)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class Gate:
    """Refuses requests that no page of ours makes, before anything is done for them.

    Parameters
    ----------
    app
        What answers the others.
    hosts
        Names by which browsers may call us, beside those of the loopback interface.
    root
        Path below which a proxy serves us; taken away from paths that have it.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] = (), root: str = "") -> None:
        self._app = app
        self._hosts = {name.lower() for name in (*LOOPBACK, *hosts)}
        self._root = root.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._root and f"{scope['path']}/".startswith(f"{self._root}/"):
            scope = {**scope, "path": scope["path"].removeprefix(self._root) or "/"}
        refused = self._refuse(scope)
        await (refused or self._app)(scope, receive, send)

    def _refuse(self, scope: Scope) -> Response | None:
        if scope["method"] not in METHODS:
            allowed = {"allow": ", ".join(sorted(METHODS))}
            return PlainTextResponse("no such method here\n", 405, allowed)
        if len(scope["path"]) > MOST_PATH or len(scope["query_string"]) > MOST_QUERY:
            return PlainTextResponse("this address is too long\n", 414)
        if _CONTROL.search(scope["path"]) or _CODED_CONTROL.search(scope["query_string"]):
            return PlainTextResponse("this address has control characters\n", 400)
        if scope["path"] not in PROBES and not self._knows(Headers(scope=scope)):
            return PlainTextResponse("nobody of that name is here: see --name\n", 421)
        return None

    def _knows(self, headers: Headers) -> bool:
        said = headers.getlist("host")
        return len(said) == 1 and host_name(said[0]) in self._hosts


class Boundary:
    """Turns what nobody expected into an answer with a number, which the log has too.

    Parameters
    ----------
    app
        What may fail.
    show
        Makes the answer, of the number.
    """

    def __init__(self, app: ASGIApp, show: Callable[[str], Response]) -> None:
        self._app = app
        self._show = show

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        has_begun = False

        async def send_and_see(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_and_see)
        except ClientDisconnect:
            return  # nobody is there to be told
        except Exception as error:  # the boundary: a page that fails stops no other
            if scope["type"] != "http":
                raise
            number = log_failure(scope, error)
            if not has_begun:
                await self._show(number)(scope, receive, send)


def log_failure(scope: Scope, error: Exception) -> str:
    """Log an exception with its traceback, and return the number under which the log has it."""
    number = secrets.token_hex(4)
    LOGGER.error("failure %s: %s %r", number, scope["method"], scope["path"], exc_info=error)
    return number


def host_name(said: str) -> str:
    """Return the name in a Host header, without a port: `localhost`, `::1`."""
    name = said.strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0]
