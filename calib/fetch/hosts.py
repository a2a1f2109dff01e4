"""What is shared by all downloads of a process: sessions, and how many at once per host."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from calib.errors import MAST, Unavailable

# Downloads at once from one host by one process: polite to a public archive, and enough to
# keep a line busy.
DOWNLOADS_PER_HOST = 4


class _Slots:
    """Bounded semaphores by host."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_host: dict[str, threading.BoundedSemaphore] = {}

    def of(self, host: str) -> threading.BoundedSemaphore:
        with self._lock:
            return self._by_host.setdefault(host, threading.BoundedSemaphore(DOWNLOADS_PER_HOST))

    def limit(self, host: str, downloads: int) -> None:
        with self._lock:
            self._by_host[host] = threading.BoundedSemaphore(downloads)


_SLOTS = _Slots()
_THREAD = threading.local()


def limit_host(url: str, downloads: int) -> None:
    """Set how many downloads this process makes at once from the host of an address.

    Downloads that are under way are not counted.
    """
    _SLOTS.limit(host_of(url), downloads)


@contextmanager
def host_slot(url: str, seconds: float) -> Iterator[None]:
    """Wait for one of the places at the host of an address, and hold it.

    Raises
    ------
    Unavailable
        No place became free in time.
    """
    slots = _SLOTS.of(host_of(url))
    if not slots.acquire(timeout=max(seconds, 0.0)):
        raise Unavailable("too many downloads from this host at once", path=url, code=MAST)
    try:
        yield
    finally:
        slots.release()


def host_of(url: str) -> str:
    """Return host and port of an address."""
    return urlsplit(url).netloc.rpartition("@")[2].lower()


def user_agent() -> str:
    """Return how we introduce ourselves."""
    return f"hstflow/{version('hstflow')} python-requests/{version('requests')}"


def thread_session() -> requests.Session:
    """Return the session of this thread: sessions are not made to be shared.

    A process that was forked has sessions of its own.
    """
    if getattr(_THREAD, "process", None) != os.getpid():
        session = requests.Session()
        # Compressed on the way, lengths and ranges would not be those of the file.
        session.headers.update({"User-Agent": user_agent(), "Accept-Encoding": "identity"})
        _THREAD.session, _THREAD.process = session, os.getpid()
    made: requests.Session = _THREAD.session
    return made


class TokenFor(AuthBase):
    """Sends a token to one host and to no other.

    requests calls this for the first address only, and drops the header where a redirect
    leads to another host or port. It also keeps the user's .netrc out.
    """

    def __init__(self, token: str | None, host: str) -> None:
        self._token = token
        self._host = host

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header where the address is of that host."""
        if self._token and host_of(request.url or "") == self._host:
            request.headers["Authorization"] = f"token {self._token}"
        return request
