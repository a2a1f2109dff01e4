"""Forms that change something: who sent them, what they say, and that a page of ours asked.

A form is believed where all of this holds: the operator let the dashboard change things, the
browser says that it comes from a page of this dashboard, and its field `token` was given to that
person by this process not long ago.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import parse_qsl, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request

# Bytes of a form: more than three thousand names of datasets.
MOST_BYTES = 64 * 1024
MOST_FIELDS = 4_000

# Seconds for which a token is good: a page that was left open over night is loaded anew.
TOKEN_LIFE = 12 * 3600

KIND = "application/x-www-form-urlencoded"
TOKEN = "token"  # noqa: S105 - the name of the field


@dataclass(frozen=True)
class Form:
    """What somebody sent, all of it checked but its meaning.

    Attributes
    ----------
    person
        Who, as the ledger is told.
    fields
        What each field says, in the order of the page; never the token.
    """

    person: str
    fields: Mapping[str, tuple[str, ...]]

    def one(self, name: str, default: str = "") -> str:
        """Return what a field says; the last one where there are more, `default` where none."""
        return (self.fields.get(name) or (default,))[-1]

    def all(self, name: str) -> tuple[str, ...]:
        """Return everything that a field says, such as ticked boxes."""
        return self.fields.get(name, ())


class Tokens:
    """Gives tokens to persons, and knows them again; another process knows none of them.

    Parameters
    ----------
    life
        Seconds for which a token is good.
    """

    def __init__(self, life: float = TOKEN_LIFE) -> None:
        self._secret = secrets.token_bytes(32)
        self._life = life

    def give(self, person: str) -> str:
        """Return a token for a person."""
        given_at = f"{int(time.time()):x}"
        return f"{given_at}.{self._seal(person, given_at)}"

    def knows(self, token: str, person: str) -> bool:
        """Tell whether a token was given to that person, not too long ago."""
        given_at, _, seal = token.partition(".")
        known = hmac.compare_digest(seal.encode(), self._seal(person, given_at).encode())
        return known and time.time() - int(given_at, 16) <= self._life

    def _seal(self, person: str, given_at: str) -> str:
        said = f"{given_at}\n{person}".encode("utf-8", "surrogateescape")
        return hmac.new(self._secret, said, hashlib.sha256).hexdigest()


def person_of(request: Request) -> str:
    """Return who asks: as the password or the proxy says, `local` where nobody is asked."""
    return str(getattr(request.state, "person", "local"))


async def read_form(request: Request, tokens: Tokens, hosts: Collection[str]) -> Form:
    """Return a form that a page of ours asked for.

    Parameters
    ----------
    request
        What was sent.
    tokens
        Of this process.
    hosts
        Names of this dashboard that a proxy in front may keep from us.

    Raises
    ------
    HTTPException
        400: it cannot be read; 403: it comes from elsewhere, or its token is not good; 413: it
        is too long; 415: it is of another kind.
    """
    check_origin(request, hosts)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != KIND:
        raise HTTPException(415, f"a form is sent as {KIND}")
    fields = _fields(await _body(request))
    person = person_of(request)
    if not tokens.knows((fields.pop(TOKEN, None) or ("",))[-1], person):
        raise HTTPException(403, "the page of this form is too old: load it again, and send anew")
    return Form(person, MappingProxyType(fields))


def check_origin(request: Request, hosts: Collection[str]) -> None:
    """Refuse what a browser sends for a page of somebody else.

    Raises
    ------
    HTTPException
        403: it does.
    """
    site, origin = (request.headers.get(name) for name in ("sec-fetch-site", "origin"))
    is_ours = site in {None, "same-origin"}
    if origin is not None:
        is_ours = is_ours and _is_ours(origin, request.headers.get("host", ""), hosts)
    if not is_ours:
        raise HTTPException(403, "this form was sent by a page of somebody else")


def _is_ours(origin: str, host: str, hosts: Collection[str]) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    names = {name.lower() for name in hosts}
    here = parts.netloc.lower() == host.lower() or (parts.hostname or "") in names
    return here and parts.scheme in {"http", "https"}


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise HTTPException(413, f"a form has {MOST_BYTES // 1024} kB at most")
    return bytes(body)


def _fields(body: bytes) -> dict[str, tuple[str, ...]]:
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MOST_FIELDS,
        )
    except ValueError as error:  # not ASCII, not UTF-8 below it, or too many
        raise HTTPException(400, "this form cannot be read") from error
    fields: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        fields[name] = (*fields.get(name, ()), value)
    return fields
