"""How results are shown: tables for people, JSON for programs, lines on stderr for logs."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.status import Status

from calib.errors import ConfigError

# Characters of a line where nobody looks (a pipe, a file): a path stays on one line of a table.
PIPE_WIDTH = 240
out = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
err = Console(stderr=True, highlight=False)

# An option that is there or is not: it has no --no-... form.
Flag = Annotated[bool, Parameter(negative=())]

# An option that may be repeated; it takes one word each time.
Several = Annotated[list[str] | None, Parameter(negative=())]

# The logger that tells why a stage waits.
RETRIES = "calib.stages.policy"

# The logger of the sessions of campaigns: what is handed out, lost, tried again.
SESSIONS = "flows"

# The logger that tells each step of a calibration.
STEPS = "calib.engines.trailer"

STATE_STYLE = {
    "processed": "green",
    "synced": "green",
    "archived": "green",
    "skipped": "cyan",
    "blocked": "yellow",
    "cancelled": "yellow",
    "error": "red",
}

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_ROUNDED_UP = 999.95  # would be shown as 1000.0


def print_json(value: Any) -> None:
    """Write one JSON document to stdout."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def styled(state: str) -> str:
    """Return a state's name in its colour."""
    style = STATE_STYLE.get(state)
    return f"[{style}]{state}[/{style}]" if style else state


def expand_names(tokens: Iterable[str]) -> list[str]:
    """Return names from tokens: commas separate, ``@FILE`` reads one name a line.

    Blank lines and text after ``#`` in a file are passed over. No token gives no name, which
    many commands take for "everything"; so tokens without a name are refused.

    Raises
    ------
    ConfigError
        A list file cannot be read, or there are tokens and none of them gives a name.
    """
    names: list[str] = []
    given = list(tokens)
    for token in given:
        if token.startswith("@"):
            names += _read_list(Path(token[1:]))
        else:
            names += [name for part in token.split(",") if (name := part.strip())]
    if given and not names:
        words = " ".join(token or '""' for token in given)
        raise ConfigError("the list names nothing", expected="one name or more", found=words)
    return names


def _read_list(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the list cannot be read: {error}", path=path) from error
    return [name for line in lines if (name := line.partition("#")[0].strip())]


def show_logs(*, verbose: bool, quiet: bool) -> None:
    """Send log lines to stderr.

    By default only what explains a wait (retries, a worker that is lost): results and warnings
    are shown with the outcome. With `verbose` all lines of calibration and of the session of a
    campaign, with `quiet` none.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    for name in ("calib", RETRIES, SESSIONS):
        logger = logging.getLogger(name)
        for old in [h for h in logger.handlers if type(h) is logging.StreamHandler]:
            logger.removeHandler(old)
    if not quiet:
        logging.getLogger("calib" if verbose else RETRIES).addHandler(handler)
        logging.getLogger(SESSIONS).addHandler(handler)
    for name in ("calib", SESSIONS) if verbose else ():
        logging.getLogger(name).setLevel(logging.INFO)


@contextmanager
def showing_steps(status: Status) -> Iterator[Callable[[str], None]]:
    """Show what is at work, and on a terminal the last step done, beside a spinner.

    Yields
    ------
    Callable
        Shows the name of what is at work from now on.
    """
    logger = logging.getLogger(STEPS)
    handler = _StepLine(status)
    level = logger.level
    if err.is_terminal:
        logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield handler.begin
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


class _StepLine(logging.Handler):
    """Shows the last line of a logger in a status."""

    def __init__(self, status: Status) -> None:
        super().__init__()
        self._status = status
        self._title = ""

    def begin(self, title: str) -> None:
        """Show a name alone."""
        self._title = escape(title)
        self._status.update(self._title)

    def emit(self, record: logging.LogRecord) -> None:
        """Show a line behind the name."""
        self._status.update(f"{self._title}  [dim]{escape(record.getMessage())}[/dim]")


def split_arguments(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split ``DATASET... [INPUT_URI] [OUTPUT_URI] [PROFILE]`` at the first URI."""
    for number, word in enumerate(arguments):
        if ":" in word or word == "none":
            return list(arguments[:number]), list(arguments[number:])
    return list(arguments), []


def size_text(size: float) -> str:
    """Return a number of bytes for people: ``1.2 MB`` (powers of 1000)."""
    for unit in _UNITS[:-1]:
        if size < _ROUNDED_UP:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} {_UNITS[-1]}"


def count_text(number: int, word: str) -> str:
    """Return a number with its word: ``1 product``, ``2 products``."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"
