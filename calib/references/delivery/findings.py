"""What a crds tool says of a file, as records: the tools only log, and some only print."""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from calib.errors import ContextError

Level = Literal["error", "warning"]

# What crds puts before a message about a file: our records have the file beside the text.
_PREFIX = re.compile(r"^(?:In '[^']*' : |instrument='[^']*' type='[^']*' data='[^']*' ::\s+)")

# A temporary folder of ours, in front of a name.
_STAGE = re.compile(r"[^' ]*hstflow-crds-[^/' ]*/(?:[^/' ]+/)*")

# Where a message on two references for one case goes over into advice for the web page.
_ADVICE = " Either reference file matching parameters need correction"


@dataclass(frozen=True)
class Finding:
    """One message about a file.

    Attributes
    ----------
    level
        ``error``: CRDS would not take the file.
    text
        What is said, on one line.
    """

    level: Level
    text: str


@dataclass
class Said:
    """Everything that a tool said.

    Attributes
    ----------
    findings
        Errors and warnings in their order.
    printed
        What it wrote to stdout.
    """

    findings: list[Finding] = field(default_factory=list)
    printed: str = ""

    def texts(self, level: Level) -> tuple[str, ...]:
        """Return the messages of one level."""
        return tuple(each.text for each in self.findings if each.level == level)


class _Collector(logging.Handler):
    def __init__(self, findings: list[Finding]) -> None:
        super().__init__(logging.WARNING)
        self._findings = findings

    def emit(self, record: logging.LogRecord) -> None:
        level: Level = "error" if record.levelno >= logging.ERROR else "warning"
        self._findings.append(Finding(level, one_line(record.getMessage())))


@contextmanager
def listening() -> Iterator[Said]:
    """Collect what crds logs and prints; call it inside :func:`library.session`.

    crds keeps its verbosity and its counts of errors for the whole process: both are as before
    afterwards. Warnings of astropy are taken as warnings about the file.
    """
    from crds.core import log

    said = Said()
    handler = _Collector(said.findings)
    verbosity = log.get_verbose()
    log.THE_LOGGER.logger.addHandler(handler)
    printed = io.StringIO()
    try:
        with redirect_stdout(printed), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield said
        said.findings += [
            Finding("warning", one_line(str(each.message)))
            for each in caught
            if not issubclass(each.category, (DeprecationWarning, ResourceWarning))
        ]
    finally:
        log.THE_LOGGER.logger.removeHandler(handler)
        log.set_verbose(verbosity)
        log.reset()
        said.printed = printed.getvalue()


def one_line(text: str) -> str:
    """Return a message of crds on one line, without what names its file, source or manual."""
    short = _PREFIX.sub("", " ".join(text.split()))
    return _STAGE.sub("", short.partition(_ADVICE)[0]).strip("- ")


def said_by(work: Callable[[], None], message: str, path: Path) -> Said:
    """Run a tool of crds; what it logs as an error, or raises, is an error here.

    Raises
    ------
    ContextError
        It did not do what it was asked for; the message says why.
    """
    from crds.core import exceptions

    with listening() as said:
        try:
            work()
        except (exceptions.CrdsError, OSError, ValueError, LookupError, AssertionError) as error:
            raise ContextError(f"{message}: {error}", path=path) from error
        except SystemExit as error:  # crds ends its scripts so
            why = "; ".join(said.texts("error")) or "crds gave up"
            raise ContextError(f"{message}: {why}", path=path) from error
    if errors := said.texts("error"):
        raise ContextError(f"{message}: {'; '.join(errors)}", path=path)
    return said
