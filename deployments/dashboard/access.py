"""Who is answered: anybody on this machine, who knows the password, or whom a proxy names."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import re

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from calib.errors import ConfigError
from deployments.dashboard.links import PATHS
from deployments.dashboard.security import PROBES
from deployments.dashboard.settings import DashboardSettings

REALM = "hstflow"

# A password that other machines may try needs to be more than a word.
LEAST = 8

# The ledger keeps 255 characters of a name.
_PERSON = re.compile(r"[^\x00-\x1f\x7f]{1,255}")
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]*")


class Doorkeeper:
    """Lets those in who may look, and tells the pages who they are.

    Parameters
    ----------
    app
        What answers them.
    settings
        Those of the operator.
    """

    def __init__(self, app: ASGIApp, settings: DashboardSettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        person = self._person(scope["path"], Headers(scope=scope), scope.get("client"))
        if person is None:
            await self._refuse()(scope, receive, send)
            return
        scope.setdefault("state", {})["person"] = person
        await self._app(scope, receive, send)

    def _person(self, path: str, headers: Headers, caller: tuple[str, int] | None) -> str | None:
        token = self._settings.metrics_token
        if token is not None and path == PATHS["metrics"]:
            said = headers.get("authorization", "")
            return "metrics" if _is_same(said, f"Bearer {token}") else None
        if self._settings.proxy_header is not None:
            if self._settings.proxies and (
                caller is None or caller[0] not in self._settings.proxies
            ):
                return None
            return _named(headers.getlist(self._settings.proxy_header))
        if self._settings.password is not None:
            return _known(headers.get("authorization", ""), self._settings.password)
        return "local"

    def _refuse(self) -> Response:
        if self._settings.proxy_header is not None:
            return PlainTextResponse("the proxy in front does not say who you are\n", 403)
        asked = {"www-authenticate": f'Basic realm="{REALM}", charset="UTF-8"'}
        return PlainTextResponse("a password is needed\n", 401, asked)


def check_access(settings: DashboardSettings) -> None:
    """Refuse settings that let in more people than the operator may think.

    Raises
    ------
    ConfigError
        The password has no user or is short, the header is no name, both are given, or other
        machines could look, or change something, without either, or send the header themselves;
        or an address is none.
    """
    _check_addresses(settings)
    variable = "HSTFLOW_DASHBOARD_PASSWORD"
    if settings.password is not None:
        user, _, word = settings.password.partition(":")
        if not _PERSON.fullmatch(user) or len(word) < LEAST:
            shape = f"USER:PASSWORD, a password of {LEAST} characters or more"
            raise ConfigError(f"{variable} cannot be used", expected=shape)
    header = settings.proxy_header
    if header is not None and not _HEADER.fullmatch(header):
        raise ConfigError("not the name of a header", expected="X-Forwarded-User", found=header)
    if header is not None and settings.password is not None:
        raise ConfigError("a proxy names people, or a password does: not both")
    if not is_loopback(settings.host):
        if header is not None and not settings.proxies:
            message = "anybody who reaches the port could send the header that names a person"
            expected = "HSTFLOW_DASHBOARD_PROXIES=ADDRESS of the proxy, or --host 127.0.0.1"
            raise ConfigError(message, expected=expected, found=f"--host {settings.host}")
        if header is None and settings.password is None:
            _check_open(settings, variable)


def _check_addresses(settings: DashboardSettings) -> None:
    for name, address in (("Prefect", settings.prefect), ("Dask", settings.dask)):
        if address is not None and not address.startswith(("http://", "https://")):
            said = f"not the address of {name}'s pages"
            raise ConfigError(said, expected="http://HOST:PORT", found=address)
    if settings.root and not settings.root.startswith("/"):
        raise ConfigError(
            "not a path below which a proxy serves", expected="/hst", found=settings.root
        )


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_open(settings: DashboardSettings, variable: str) -> None:
    remedy = (
        f"set {variable}=USER:PASSWORD, or HSTFLOW_DASHBOARD_PROXY_HEADER where a proxy in front "
        "asks people who they are"
    )
    if settings.may_change:
        raise ConfigError(
            f"other machines could change campaigns here without a password: {remedy}",
            found=f"--change --host {settings.host}",
        )
    if not settings.is_open:
        raise ConfigError(
            f"other machines could read this dashboard without a password: {remedy}, or say "
            "--without-password",
            found=f"--host {settings.host}",
        )


def _named(said: list[str]) -> str | None:
    """Return whom a proxy names; two headers mean that somebody smuggles one."""
    return said[0] if len(said) == 1 and _PERSON.fullmatch(said[0]) else None


def _known(said: str, password: str) -> str | None:
    """Return the user of basic authentication (RFC 7617) where the password is right."""
    scheme, _, coded = said.partition(" ")
    try:
        given = base64.b64decode(coded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None
    if scheme.lower() != "basic" or not _is_same(given, password):
        return None
    return given.partition(":")[0]


def _is_same(given: str, wanted: str) -> bool:
    """Compare in a time that tells neither where they differ nor how long the secret is."""
    one, other = (hashlib.sha256(text.encode("utf-8")).digest() for text in (given, wanted))
    return hmac.compare_digest(one, other)
