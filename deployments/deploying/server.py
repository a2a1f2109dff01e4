"""Prefect's server, as far as deployments need it: its REST API through Prefect's own client.

The client knows about passwords, CSRF tokens and answers that have to be asked for again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, cast

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from calib.errors import GENERIC, ConfigError, HstflowError, Unavailable
from flows.prefect_errors import PREFECT_ERRORS
from flows.server import has_server


class Server:
    """What is asked of the server, and what it is told.

    Parameters
    ----------
    client
        Prefect's.
    """

    def __init__(self, client: SyncPrefectClient) -> None:
        self._client = client

    @property
    def url(self) -> str:
        """Of its API."""
        return str(self._client.api_url)

    def get(self, path: str) -> dict[str, Any] | None:
        """Return what is at a path; None where nothing is."""
        try:
            answer = self._client.request("GET", cast("Any", path))
        except ObjectNotFound:
            return None
        except httpx.HTTPStatusError as error:
            if error.response.status_code == HTTPStatus.NOT_FOUND:
                return None
            raise
        return cast("dict[str, Any]", answer.json())

    def tell(self, method: str, path: str, content: object = None) -> Any:
        """Send something; return the answer, None where there is none."""
        answer = self._client.request(cast("Any", method), cast("Any", path), json=content)
        return answer.json() if answer.content else None


@contextmanager
def open_server() -> Iterator[Server]:
    """Connect to the server of PREFECT_API_URL.

    Raises
    ------
    ConfigError
        No server is named, or it refuses what it is told.
    Unavailable
        It does not answer.
    """
    if not has_server():
        raise ConfigError(
            "no Prefect server is named",
            expected="PREFECT_API_URL, such as http://127.0.0.1:4200/api (hstflow up starts one)",
        )
    with get_client(sync_client=True) as client:
        _check_health(client)
        try:
            yield Server(client)
        except PrefectHTTPStatusError as error:
            raise _refused(error) from error
        except HstflowError:
            raise
        except PREFECT_ERRORS as error:
            raise Unavailable(f"Prefect's server: {error}", code=GENERIC) from error


def _check_health(client: SyncPrefectClient) -> None:
    problem = client.api_healthcheck()
    if problem is not None:
        why = str(problem) or type(problem).__name__
        message = f"Prefect's server at {client.api_url} does not answer: {why}"
        raise Unavailable(message, code=GENERIC)


def _refused(error: PrefectHTTPStatusError) -> ConfigError:
    """Return what the server said in one line; a wrong password is a setting as well."""
    status = error.response.status_code
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return ConfigError(
            "Prefect's server refuses us", expected="PREFECT_API_AUTH_STRING=USER:PASSWORD"
        )
    try:
        detail = str(error.response.json().get("detail", error.response.text))
    except ValueError:
        detail = error.response.text
    return ConfigError(f"Prefect's server refuses it ({status}): {detail[:500]}")
