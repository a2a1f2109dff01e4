"""Whether a publication still is what its manifest says."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from calib.archive.disk import digest_file
from calib.archive.layout import MANIFEST
from calib.archive.manifest import FileEntry, Manifest
from calib.errors import ArchiveError

Trouble = Literal["missing", "changed", "orphaned", "unreadable", "unregistered"]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a publication.

    Attributes
    ----------
    kind
        ``missing`` (named, not there), ``changed`` (other size, other bytes, not an ordinary
        file), ``orphaned`` (there, not named), ``unreadable``, or ``unregistered`` (the ledger
        does not know it).
    path
        The file concerned.
    message
        What is wrong, for people.
    """

    kind: Trouble
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.path}: {self.message}"


def find_problems(folder: Path, manifest: Manifest, *, deep: bool) -> list[Problem]:
    """Compare the files in a folder with a manifest that was read and checked."""
    named = {file.name for file in manifest.files} | {MANIFEST}
    checked = (_check(folder / file.name, file, deep=deep) for file in manifest.files)
    orphans = (
        Problem("orphaned", str(folder / name), "not in the manifest")
        for name in _names_below(folder)
        if name not in named
    )
    return [*(problem for problem in checked if problem is not None), *orphans]


def _check(path: Path, file: FileEntry, *, deep: bool) -> Problem | None:
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            return Problem("changed", str(path), "not an ordinary file")
        if status.st_size != file.size:
            return Problem("changed", str(path), f"{status.st_size} bytes, not {file.size}")
        if deep and (found := digest_file(path)) != file.sha256:
            return Problem("changed", str(path), f"sha256 {found}, not {file.sha256}")
    except (FileNotFoundError, NotADirectoryError):
        return Problem("missing", str(path), "not there")
    except (OSError, ArchiveError) as error:
        return Problem("unreadable", str(path), str(error))
    return None


def _names_below(folder: Path) -> list[str]:
    """Return every file and link below a folder, as relative names, sorted."""
    found: list[str] = []
    for root, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(root) / name).is_symlink()]
        found += [str((Path(root) / name).relative_to(folder)) for name in (*files, *links)]
    return sorted(found)
