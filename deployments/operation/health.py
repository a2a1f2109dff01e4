"""Whether the programs answer: what `hstflow up` and the checks of containers ask.

Asked with the standard library alone, within two seconds, and never raises: no answer is an
answer.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from urllib.parse import urlsplit

LIMIT = 2.0  # seconds
OK = 200

# Where each role answers if nothing else is said, as compose.yaml and the units start them.
PLACES = {
    "server": "http://127.0.0.1:4200/api/health",
    "worker": "http://127.0.0.1:8790/health",
    "dask-scheduler": "http://127.0.0.1:8787/health",
    "dask-worker": "http://127.0.0.1:8788/health",
    "dashboard": "http://127.0.0.1:8080/health",
}


def place_of(role: str, environ: Mapping[str, str], at: str | None = None) -> str:
    """Return the URL that tells the health of a role.

    Parameters
    ----------
    role
        One of `PLACES`.
    environ
        PREFECT_API_URL says where the server is.
    at
        Where to ask instead; one that names no page gets that of the role.
    """
    if at:
        is_host = not urlsplit(at).path.strip("/")
        return at.rstrip("/") + urlsplit(PLACES[role]).path if is_host else at
    if role == "server" and (url := environ.get("PREFECT_API_URL")):
        return f"{url.rstrip('/')}/health"
    return PLACES[role]


def answers(url: str) -> bool:
    """Tell whether a page is there and well."""
    return _read(url) is not None


def count_workers(pages: str) -> int:
    """Return how many workers a Dask scheduler has; 0 where it does not answer.

    Parameters
    ----------
    pages
        The address of its pages, ``http://127.0.0.1:8787``.
    """
    try:
        return int(json.loads(_read(f"{pages}/json/counts.json") or "{}").get("workers", 0))
    except (ValueError, AttributeError):
        return 0


def _read(url: str) -> str | None:
    try:
        with urllib.request.urlopen(url, timeout=LIMIT) as answer:  # noqa: S310 - our addresses
            body: bytes = answer.read()
            return body.decode(errors="replace") if answer.status == OK else None
    except (urllib.error.URLError, OSError, ValueError, http.client.HTTPException):
        return None
