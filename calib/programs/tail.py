"""The output of a program: passed on line by line while it runs, and its last lines."""

from __future__ import annotations

import logging
from pathlib import Path

log = logging.getLogger(__name__)

# Last lines of a log in an error, and the bytes that they are looked for in.
LINES = 20
_TAIL = 8192

# A program that writes without end fills its own log, and not the memory of this process.
_AT_ONCE = 1 << 20


class Relay:
    """Passes the lines of a growing file on to the job's log.

    Parameters
    ----------
    path
        The file.
    position
        Where the lines begin.
    program
        Named in each line.
    """

    def __init__(self, path: Path, position: int, program: str) -> None:
        self.path = path
        self._position = position
        self._program = program
        self._rest = b""

    def pass_on(self) -> None:
        """Pass on the complete lines that have come since the last call."""
        with self.path.open("rb") as file:
            file.seek(self._position)
            new = file.read(_AT_ONCE)
        self._position += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        for line in lines:
            log.info("%s: %s", self._program, line.decode(errors="replace").rstrip())


def last_lines(path: Path, number: int = LINES) -> str:
    """Return the last lines of a file, bytes that are no text replaced."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL))
        text = file.read().decode(errors="replace")
    return "\n".join(text.strip().splitlines()[-number:])
