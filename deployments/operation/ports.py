"""Ports of the loopback interface: which are free, and which another `hstflow up` is about to use.

Minutes may pass between the choice of a port and the program that listens there. Until it does,
nothing tells a second `hstflow up` of this host that the port is given away. So each port that is
chosen is claimed by a name of the kernel's, for as long as the process lives.
"""

from __future__ import annotations

import socket
import sys
from types import TracebackType
from typing import Self

from calib.errors import ConfigError
from flows.private_server import free_port

LOOPBACK = "127.0.0.1"

# A socket of the abstract namespace (unix(7)): no file is left behind, the kernel gives it back
# with the process, and it holds where the ports do, in one network namespace, for all users.
NAME = "\0hstflow-up-port-{port}"
HAS_NAMES = sys.platform == "linux"


class Claims:
    """Ports that are ours as long as the block lasts."""

    def __init__(self) -> None:
        self._names: dict[int, socket.socket | None] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for name in self._names.values():
            if name is not None:
                name.close()
        self._names.clear()

    def take(self, port: int) -> bool:
        """Claim a port; tell whether it was free: nobody listens there, and nobody is about to."""
        if port in self._names:
            return False
        try:
            name = _claim(port)
        except OSError:
            return False
        if not is_free(port):
            if name is not None:
                name.close()
            return False
        self._names[port] = name
        return True


def _claim(port: int) -> socket.socket | None:
    if not HAS_NAMES:
        return None
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(NAME.format(port=port))
    except OSError:
        name.close()
        raise
    return name


def is_free(port: int) -> bool:
    """Tell whether a server could listen there now."""
    with socket.socket() as probe:
        # As servers do: a port whose last connection ended a moment ago is free for them.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def choose_port(asked: int | None, usual: int, option: str, claims: Claims) -> int:
    """Return the port that was asked for, else the usual one, else any that is free.

    Parameters
    ----------
    asked
        By the operator; None: by nobody.
    usual
        What is taken where it is free.
    option
        How the operator asks, for the message.
    claims
        Ports that are ours; the new one is added.

    Raises
    ------
    ConfigError
        Somebody else listens at the port that was asked for, or is about to.
    """
    port = asked or usual
    while not claims.take(port):
        if asked:
            raise ConfigError(
                "the port is taken", expected=f"another {option}, or none", found=str(asked)
            )
        port = free_port()
    return port
