"""The trailer: the log of one calibration, kept beside its product (``ROOT.tra``)."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from calib.fitsfile import writing

logger = logging.getLogger(__name__)


@dataclass
class Trailer:
    """Lines with times, written as a whole.

    Attributes
    ----------
    dataset
        Exposure that the lines are about.
    parent
        Gets the lines too, each with its dataset.
    """

    dataset: str
    lines: list[str] = field(default_factory=list)
    parent: Trailer | None = None

    def say(self, text: str, level: int = logging.DEBUG) -> None:
        """Add a line, and log it at a level."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        start = f"{now}Z {logging.getLevelName(level):7s}"
        self.lines.append(f"{start} {text}")
        if self.parent is not None:
            self.parent.lines.append(f"{start} {self.dataset}: {text}")
        logger.log(level, "%s: %s", self.dataset, text)

    def tail(self, count: int = 10) -> str:
        """Return the last lines."""
        return "\n".join(self.lines[-count:])

    def write(self, path: Path) -> Path:
        """Write the lines, in place of a trailer of an earlier run.

        Raises
        ------
        ArchiveError
            The file cannot be written.
        """
        part = path.with_name(f".{path.name}.part")
        try:
            with writing(path):
                part.write_text("\n".join(self.lines) + "\n", encoding="utf-8")
                return part.replace(path)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
