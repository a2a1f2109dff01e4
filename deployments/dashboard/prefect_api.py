"""Asks a Prefect server to start a run of a deployment, without importing Prefect.

Prefect takes 82 MB and 1.5 s to import; the dashboard needs two questions of its REST API.
"""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from calib.errors import GENERIC, ConfigError, NotFound, Unavailable

# Seconds for an answer: a person waits for it.
TIMEOUT = 5.0

# Bytes of an answer: a deployment with its schemas has some 20 kB.
MOST_BYTES = 1_000_000

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


class _NoRedirect(HTTPRedirectHandler):
    """Follows nothing: the password is for this server alone."""

    def redirect_request(self, *_given: Any, **_named: Any) -> None:
        """Return no request to follow."""


@dataclass(frozen=True)
class PrefectServer:
    """A Prefect server.

    Attributes
    ----------
    url
        Of its API.
    auth
        ``USER:PASSWORD``; None: it asks nobody.
    """

    url: str
    auth: str | None = field(default=None, repr=False)

    def start(self, deployment: str, parameters: Mapping[str, Any], key: str) -> str:
        """Start a run of a deployment, and return its number.

        Parameters
        ----------
        deployment
            ``FLOW/DEPLOYMENT``.
        parameters
            Of the flow.
        key
            The same again is the same run.

        Raises
        ------
        NotFound
            It is not deployed there.
        Unavailable
            The server does not answer, or refuses.
        """
        flow, _, name = deployment.partition("/")
        path = f"/deployments/name/{quote(flow, safe='')}/{quote(name, safe='')}"
        number = _number(self._ask("GET", path).get("id"))
        content = {"parameters": dict(parameters), "idempotency_key": key}
        content["state"] = {"type": "SCHEDULED", "name": "Scheduled"}
        path = f"/deployments/{number}/create_flow_run"
        return _number(self._ask("POST", path, content).get("id"))

    def _ask(self, method: str, path: str, content: object = None) -> dict[str, Any]:
        headers = {"accept": "application/json", **self._authorisation()}
        if method == "POST":
            headers |= {"content-type": "application/json", **self._csrf()}
        data = None if content is None else json.dumps(content).encode()
        return self._answer(Request(self.url + path, data, headers, method=method))  # noqa: S310

    def _answer(self, request: Request) -> dict[str, Any]:
        try:
            with build_opener(_NoRedirect).open(request, timeout=TIMEOUT) as answer:
                found = json.loads(answer.read(MOST_BYTES))
        except HTTPError as error:
            with error:
                raise _refused(error.code) from None
        except (URLError, HTTPException, OSError, ValueError) as error:
            message = f"the Prefect server does not answer: {getattr(error, 'reason', error)}"
            raise Unavailable(message, code=GENERIC) from error
        if not isinstance(found, dict):
            raise Unavailable("the Prefect server answers strangely", code=GENERIC)
        return found

    def _authorisation(self) -> dict[str, str]:
        if self.auth is None:
            return {}
        word = base64.b64encode(self.auth.encode()).decode()
        return {"authorization": f"Basic {word}"}

    def _csrf(self) -> dict[str, str]:
        """Return the headers that a server with protection wants of what changes something.

        It gives a token to a client that names itself; without protection it answers 422.
        """
        client = str(uuid.uuid4())
        url = f"{self.url}/csrf-token?client={client}"
        try:
            found = self._answer(Request(url, headers=self._authorisation()))  # noqa: S310
        except NotFound:
            return {}
        except Unavailable as error:
            if error.found == str(HTTPStatus.UNPROCESSABLE_ENTITY.value):
                return {}
            raise
        token = str(found.get("token", ""))
        return {"prefect-csrf-client": client, "prefect-csrf-token": token}


def server_of(environ: Mapping[str, str]) -> PrefectServer | None:
    """Return the Prefect server that the environment names; None: it names none.

    Raises
    ------
    ConfigError
        PREFECT_API_URL is no address of a server.
    """
    url = environ.get("PREFECT_API_URL", "").strip().rstrip("/")
    if not url:
        return None
    if urlsplit(url).scheme not in {"http", "https"}:
        raise ConfigError("PREFECT_API_URL is no address", expected="http://HOST:PORT/api")
    return PrefectServer(url, environ.get("PREFECT_API_AUTH_STRING") or None)


def _number(text: object) -> str:
    """Return the number of something of the server's, which is put into addresses."""
    if not isinstance(text, str) or not _UUID.fullmatch(text):
        raise Unavailable("the Prefect server answers strangely", code=GENERIC)
    return text


def _refused(code: int) -> NotFound | Unavailable:
    if code == HTTPStatus.NOT_FOUND:
        return NotFound("the Prefect server has no such deployment", expected="hstflow deploy")
    words = {
        HTTPStatus.UNAUTHORIZED: "the Prefect server wants a password: PREFECT_API_AUTH_STRING",
        HTTPStatus.FORBIDDEN: "the Prefect server refuses this",
    }
    said = words.get(HTTPStatus(code)) if code in {401, 403} else None
    return Unavailable(said or "the Prefect server refuses this", found=code, code=GENERIC)
