"""Serves the dashboard: from a socket that is ours before we say so, until somebody stops it."""

from __future__ import annotations

import ctypes
import errno
import socket
import sys
from collections.abc import Callable

import uvicorn

from calib.errors import ConfigError
from deployments.dashboard.access import check_access
from deployments.dashboard.app import build_app
from deployments.dashboard.settings import DashboardSettings

# Connections: a browser opens six; more than fifty readers are told to come again (503).
MOST_CONNECTIONS = 400

# Pools of memory of glibc's malloc, and its number for their number (malloc.h). By itself it makes
# eight for each processor, each as large as the largest page that was ever made in it.
_ARENAS, _M_ARENA_MAX = 2, -8

# Seconds that a page may still take when the dashboard is stopped.
GRACE = 1


class _Server(uvicorn.Server):
    """Says where it listens, once it does."""

    def __init__(self, config: uvicorn.Config, said: Callable[[], object]) -> None:
        super().__init__(config)
        self._said = said

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._said()


def serve(settings: DashboardSettings, listening: Callable[[str], object]) -> None:
    """Serve the dashboard until SIGINT or SIGTERM, which then take effect.

    Parameters
    ----------
    settings
        Those of the operator.
    listening
        Is told the address when requests are answered.

    Raises
    ------
    ConfigError
        The settings cannot be used, or the port is taken or not ours to take.
    """
    check_access(settings)
    _use_few_arenas()
    with listen(settings.host, settings.port) as opened:
        address = address_of(settings.host, opened.getsockname()[1], settings.root)
        config = uvicorn.Config(
            build_app(settings),
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=GRACE,
        )
        _Server(config, lambda: listening(address)).run(sockets=[opened])


def _use_few_arenas() -> None:
    """Let threads share memory that pages have given back; another malloc has no such number."""
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None and sys.platform == "linux":
        set_option(_M_ARENA_MAX, _ARENAS)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises
    ------
    ConfigError
        The port is taken or not ours to take, or the host has no such address.
    """
    shown = f"{host}:{port}"
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ConfigError("this is no address of a machine", found=host) from error
    family, *_, address = found[0]
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind(address)
        opened.listen()
    except OSError as error:
        opened.close()
        if error.errno == errno.EADDRINUSE:
            said = "another program listens there: choose another with --port"
            raise ConfigError(said, found=shown) from error
        raise ConfigError(f"cannot listen there: {error.strerror}", found=shown) from error
    return opened


def address_of(host: str, port: int, root: str = "") -> str:
    """Return where browsers find it: an address for every interface is shown as localhost."""
    name = {"0.0.0.0": "localhost", "::": "localhost"}.get(host, host)  # noqa: S104 - shown only
    shown = f"[{name}]" if ":" in name else name
    return f"http://{shown}:{port}{root.rstrip('/')}/"
