"""Who says something of a reprocessing: ``USER@HOST``."""

from __future__ import annotations

import getpass
import os
import socket


def this_person() -> str:
    """Return the user of this process and the host; the number of one that has no name."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # in a container, often; OSError from Python 3.13 on
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
