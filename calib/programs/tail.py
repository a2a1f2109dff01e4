"""The output of a program: passed on line by line while it runs, and its last lines."""

from __future__ import annotations

import logging
import re
from pathlib import Path

log = logging.getLogger(__name__)

# Last lines of a log in an error, and the bytes that they are looked for in.
LINES = 20
_TAIL = 8192

# Lines among which a traceback begins.
_SOUGHT = 100

# Longest last words, characters: a line of `status`.
_WORDS = 300

_TRACEBACK = "Traceback (most recent call last):"
_EXCEPTION = re.compile(r"(?:\w+\.)*\w*(?:Error|Exception|Exit|Interrupt|Warning)(?::|$)")

# C0 but tab, line feed and carriage return; DEL and C1 (ECMA-48).
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")

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
            log.warning("%s: the rest of its output is in %s alone", self._program, self.path.name)
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
        log.info("%s: %s", self._program, _plain(line.decode(errors="replace")).rstrip())


def last_lines(path: Path, number: int = LINES) -> str:
    """Return the last lines of a file; what is no text is replaced."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL))
        text = _plain(file.read().decode(errors="replace"))
    return "\n".join(text.strip().splitlines()[-number:])


def last_words(path: Path) -> str:
    """Return what a program said last, on one line.

    Of a Python traceback that is the whole message of the last exception, which may go on
    over several lines.

    Parameters
    ----------
    path
        Its log.
    """
    lines = [line.strip() for line in last_lines(path, _SOUGHT).splitlines()]
    told = [number for number, line in enumerate(lines) if _EXCEPTION.match(line)]
    begin = told[-1] if told and _TRACEBACK in lines[: told[-1]] else -1
    words = " ".join(filter(None, lines[begin:]))
    return words if len(words) <= _WORDS else f"{words[: _WORDS - 3]}..."


def _plain(text: str) -> str:
    """Replace control characters but tabs and line ends: a terminal would obey them."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
