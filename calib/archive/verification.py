"""Whether a publication still is what its manifest says."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from calib.archive.disk import archive_errors, digest_file
from calib.archive.layout import MANIFEST, publication_folder
from calib.archive.manifest import FileEntry, Manifest, digest, parse_manifest, read_bytes
from calib.archive.pointer import current_run
from calib.errors import ArchiveError
from calib.ids import DatasetId

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


def verify(
    output: Path,
    dataset: DatasetId,
    *,
    run: str | None = None,
    deep: bool = True,
    manifest_sha256: str | None = None,
) -> list[Problem]:
    """Compare a publication with its manifest.

    Parameters
    ----------
    output, dataset
        Where to look, for what.
    run
        The run to look in; the current version where not given.
    deep
        Compute checksums; otherwise only presence and size are compared.
    manifest_sha256
        Checksum of the manifest itself, as recorded elsewhere (the ledger).

    Returns
    -------
    list of Problem
        Empty where all is well. A manifest that is missing, does not parse or lies is one
        problem, and the only one.

    Raises
    ------
    ArchiveError
        Nothing is published under that name, the pointer leads nowhere, or it was not made
        by the archive; or a folder cannot be read.
    """
    with archive_errors(output, dataset=dataset.name):
        folder = _published_folder(output, dataset, run)
        return _verify_folder(folder, deep=deep, manifest_sha256=manifest_sha256)


def _published_folder(output: Path, dataset: DatasetId, run: str | None) -> Path:
    run = run or current_run(output, dataset)
    folder = None if run is None else publication_folder(output, run, dataset)
    if folder is None or not folder.is_dir():
        raise ArchiveError("nothing is published", dataset=dataset.name, path=folder or output)
    return folder


def _verify_folder(folder: Path, *, deep: bool, manifest_sha256: str | None) -> list[Problem]:
    path = folder / MANIFEST
    try:
        content = read_bytes(folder)
        manifest = parse_manifest(content, path)
    except ArchiveError as error:
        kind: Trouble = "unreadable" if path.exists() else "missing"
        return [Problem(kind, str(path), str(error))]
    if manifest_sha256 not in {None, digest(content)}:
        return [Problem("changed", str(path), f"expected sha256 {manifest_sha256}")]
    return find_problems(folder, manifest, deep=deep)


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
