"""Where things lie under OUTPUT, and which names are allowed there.

Every name that comes from outside passes one of these functions before it becomes part of a
path; none of the accepted forms contains a separator or starts with a dot, so nothing can
leave OUTPUT. The folder names under a dataset are CALDP's (caldp/file_ops.py).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from calib.errors import ArchiveError, ConfigError
from calib.ids import RUN_NAMES, DatasetId, is_run_name, parse_dataset

Role = Literal["product", "preview", "log", "env"]

FOLDER_BY_ROLE: dict[Role, str] = {
    "product": "",
    "preview": "previews",
    "log": "logs",
    "env": "env",
}
MANIFEST = "manifest.json"
# Work in progress, wherever something is made: beside what it becomes, so that a rename will do.
STAGING = ".staging"

# POSIX allows 255 bytes for one name; staging names put some 60 characters beside it.
LONGEST_FILE = 200

_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+=@-]*", re.ASCII)
_RESERVED = frozenset({MANIFEST, "previews", "logs", "env"})


def check_run_name(name: str) -> str:
    """Return the name of a run unchanged where it is allowed.

    Raises
    ------
    ConfigError
        It is longer than 100 characters, or not lower case letters, digits, dots,
        underscores and hyphens after a letter or digit.
    """
    if not is_run_name(name):
        raise ConfigError("not a name for a run", expected=RUN_NAMES, found=repr(name))
    return name


def check_dataset(dataset: DatasetId) -> DatasetId:
    """Return the dataset unchanged where it is what parsing its name gives.

    Raises
    ------
    ConfigError
        The record was put together by hand, and its parts do not belong together.
    """
    if parse_dataset(dataset.name) != dataset:
        raise ConfigError("not a parsed dataset name", found=repr(dataset))
    return dataset


def relative_name(role: Role, name: str) -> str:
    """Return where a file of this role lies below the folder of its dataset.

    Raises
    ------
    ArchiveError
        The role is unknown, or the name has a separator, a blank, a control character or a
        leading dot, is too long, or is one that the archive keeps for itself.
    """
    if role not in FOLDER_BY_ROLE:
        raise ArchiveError("unknown role", path=name, expected=[*FOLDER_BY_ROLE], found=role)
    if not _FILE.fullmatch(name) or len(name) > LONGEST_FILE:
        raise ArchiveError("not a name for an archived file", expected=_FILE.pattern, found=name)
    if role == "product" and name in _RESERVED:
        raise ArchiveError("the archive keeps this name for itself", path=name)
    return f"{FOLDER_BY_ROLE[role]}/{name}".lstrip("/")


def run_folder(output: Path, run: str) -> Path:
    """Return the folder of a run."""
    return output / "runs" / check_run_name(run)


def publication_folder(output: Path, run: str, dataset: DatasetId) -> Path:
    """Return the folder that holds one dataset as published in one run."""
    return run_folder(output, run) / check_dataset(dataset).instrument / dataset.name


def staging_area(output: Path, run: str) -> Path:
    """Return the folder for work in progress, on the file system of the run."""
    return run_folder(output, run) / STAGING


def pointer_path(output: Path, dataset: DatasetId) -> Path:
    """Return the link that names the current version of a dataset."""
    return output / "data" / check_dataset(dataset).instrument / dataset.name


def pointer_text(run: str, dataset: DatasetId) -> str:
    """Return what the link says: relative, so that OUTPUT can be moved or mounted elsewhere."""
    return f"../../runs/{check_run_name(run)}/{check_dataset(dataset).instrument}/{dataset.name}"


def pointed_run(text: str, dataset: DatasetId) -> str | None:
    """Return the run that a link's text names; None where the text is not one of ours."""
    parts = text.split("/")
    run = parts[3] if len(parts) == len(pointer_text("x", dataset).split("/")) else ""
    return run if is_run_name(run) and text == pointer_text(run, dataset) else None


def has_manifest(folder: Path) -> bool:
    """Tell whether something has the name of a manifest in a folder.

    Raises
    ------
    OSError
        Nobody can tell: the folder may not be looked into, or the disk fails.
    """
    try:
        (folder / MANIFEST).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def list_runs(output: Path) -> list[str]:
    """Return the names of all runs, sorted; other folders beside them are passed over."""
    folder = output / "runs"
    if not folder.is_dir():
        return []
    return sorted(
        entry.name for entry in os.scandir(folder) if is_run_name(entry.name) and entry.is_dir()
    )


def refuse_detour(output: Path, folder: Path) -> None:
    """Raise where a link below OUTPUT leads somewhere else.

    A link in the middle would lead writing out of OUTPUT, and relative pointers astray.
    OUTPUT itself may be a link.

    Raises
    ------
    ArchiveError
        Some part of `folder` below `output` is a symbolic link.
    """
    expected = os.path.realpath(output) / folder.relative_to(output)
    if (found := os.path.realpath(folder)) != str(expected):
        raise ArchiveError(
            "a link is in the way below the output folder",
            path=folder,
            expected=expected,
            found=found,
        )
