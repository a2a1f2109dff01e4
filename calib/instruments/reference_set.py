"""The reference files of one exposure: where they lie, and whether they may be used."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from calib.caldp import REFERENCE_FOLDERS
from calib.errors import MissingReference, ReferenceUnavailable
from calib.fitsfile import ReferenceImage, Table, primary_header
from calib.ids import INSTRUMENT_BY_LETTER
from calib.instruments.reference_memory import (
    MEMORY,
    FileVersion,
    read_remembered_table,
    version_of,
)
from calib.records import ExposureReferences, ReferenceUse
from calib.switches import NO_FILE


class Pedigree(NamedTuple):
    """PEDIGREE and DESCRIP of a reference."""

    pedigree: str
    descrip: str

    @property
    def is_dummy(self) -> bool:
        """Whether the file is a placeholder: its step is skipped, not performed."""
        return self.pedigree.upper().startswith("DUMMY")


@dataclass(frozen=True)
class ReferenceSet:
    """References by keyword.

    Attributes
    ----------
    uses
        What bestrefs recorded.
    prefix
        Logical folder written into headers, such as ``jref``.
    """

    uses: Mapping[str, ReferenceUse]
    prefix: str = "jref"

    def is_named(self, keyword: str) -> bool:
        """Whether a file is named: not absent, blank or N/A."""
        use = self.uses.get(keyword)
        return use is not None and use.name.strip().upper() not in NO_FILE

    def path(self, keyword: str) -> Path:
        """Return where the file lies.

        Raises
        ------
        MissingReference
            No file is named.
        ReferenceUnavailable
            A file is named, but it is not in the cache.
        """
        if not self.is_named(keyword):
            use = self.uses.get(keyword)
            raise MissingReference(
                f"no reference file is named by {keyword}",
                expected="a file name",
                found=repr(use.name) if use else "no such keyword",
            )
        use = self.uses[keyword]
        if use.path is None or not Path(use.path).is_file():
            raise ReferenceUnavailable(
                f"{keyword} names a file that is not there", path=use.path or use.name
            )
        return Path(use.path)

    def shown(self, keyword: str) -> str:
        """Return the name as headers write it, such as ``jref$x_drk.fits``; N/A for none."""
        if not self.is_named(keyword):
            return "N/A"
        name = self.uses[keyword].name.strip()
        return name if "$" in name else f"{self.prefix}${PurePosixPath(name).name}"

    def pedigree(self, keyword: str) -> Pedigree:
        """Return PEDIGREE and DESCRIP of the file."""
        return _pedigree(self.path(keyword))

    def is_usable(self, keyword: str) -> bool:
        """Whether a file is named and is not a placeholder."""
        return self.is_named(keyword) and not self.pedigree(keyword).is_dummy

    def image(self, keyword: str, chip: int) -> ReferenceImage:
        """Open the image of a chip; its rows are read when they are wanted."""
        return MEMORY.image(self.path(keyword), chip)

    def table(self, keyword: str, extension: int | str = 1) -> Table:
        """Read a table."""
        return read_remembered_table(self.path(keyword), extension)

    def history(self, keyword: str) -> tuple[str, ...]:
        """Return the HISTORY lines about a file: name, PEDIGREE, DESCRIP (as calacs writes)."""
        kind = "table" if keyword.endswith("TAB") else "image"
        found = self.pedigree(keyword)
        lines = [f"  reference {kind} {self.shown(keyword)}"]
        return (*lines, *(f"    {text}" for text in found if text))


def reference_set(exposure: ExposureReferences, letter: str = "j") -> ReferenceSet:
    """Return the references of an exposure by keyword.

    Parameters
    ----------
    exposure
        What was chosen for it.
    letter
        First letter of its name, which tells the instrument and its logical folder.
    """
    instrument = INSTRUMENT_BY_LETTER.get(letter.lower(), "acs")
    uses = {use.keyword: use for use in exposure.references}
    return ReferenceSet(uses, REFERENCE_FOLDERS[instrument])


@functools.lru_cache(maxsize=256)
def _read_pedigree(version: FileVersion) -> Pedigree:
    header = primary_header(version.path)
    return Pedigree(*(str(header.get(keyword, "")).strip() for keyword in ("PEDIGREE", "DESCRIP")))


def _pedigree(path: Path) -> Pedigree:
    """Return what the file says of itself; remembered until the file changes."""
    return _read_pedigree(version_of(path))
