"""References of the user's own, chosen exposure by exposure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from calib.references.exposure import ExposureHeaders
from calib.references.files import sha1_of


@dataclass(frozen=True)
class OwnReference:
    """A reference of the user's own, for one exposure.

    Attributes
    ----------
    path
        The file.
    sha1
        What its checksum must be (hexadecimal).
    source
        Where the choice comes from, for messages.
    """

    path: Path
    sha1: str
    source: str

    def trouble(self) -> str | None:
        """Say why a certified file cannot be used; None: it can."""
        if not self.path.is_file():
            return f"{self.path}, {self.source}, is not there"
        found = sha1_of(self.path)
        if found != self.sha1:
            return (
                f"{self.path}, {self.source}, was changed since: sha1 {self.sha1} was certified, "
                f"{found} is there"
            )
        return None


# Which references of the user's own are for an exposure, by keyword.
Certified = Callable[[ExposureHeaders], Mapping[str, OwnReference]]
