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

# What is passed on at the end at most, bytes: a calibration of an association says less.
_MOST = 16 * _AT_ONCE


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
        self._take()

    def finish(self) -> None:
        """Pass on all that is left, when the program has ended; also a line without an end."""
        for _ in range(_MOST // _AT_ONCE):
            if self._take() < _AT_ONCE:
                break
        else:
            log.warning("%s: the rest of its output is in %s alone", self._program, self.path)
        if self._rest:
            self._tell(self._rest)
            self._rest = b""

    def _take(self) -> int:
        """Pass on complete lines of what comes next; return how many bytes came."""
        with self.path.open("rb") as file:
            file.seek(self._position)
            new = file.read(_AT_ONCE)
        self._position += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        for line in lines:
            self._tell(line)
        return len(new)

    def _tell(self, line: bytes) -> None:
        log.info("%s: %s", self._program, line.decode(errors="replace").rstrip())


def last_lines(path: Path, number: int = LINES) -> str:
    """Return the last lines of a file, bytes that are no text replaced."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL))
        text = file.read().decode(errors="replace")
    return "\n".join(text.strip().splitlines()[-number:])
