"""The current version of a dataset: a relative link, swapped in one operation."""

from __future__ import annotations

from pathlib import Path

from calib.archive.disk import make_folders, sync_folder
from calib.archive.layout import pointed_run, pointer_path, pointer_text, refuse_detour
from calib.errors import ArchiveError
from calib.ids import DatasetId

_LINK = "current"


def current_run(output: Path, dataset: DatasetId) -> str | None:
    """Return the run that holds the current version; None where nothing is published.

    Raises
    ------
    ArchiveError
        Something that the archive did not make lies in the pointer's place.
    """
    pointer = pointer_path(output, dataset)
    if pointer.is_symlink():
        text = str(pointer.readlink())
        if run := pointed_run(text, dataset):
            return run
        raise ArchiveError(
            "the pointer to the current version was not made by the archive",
            dataset=str(dataset),
            path=pointer,
            expected=pointer_text("run", dataset),
            found=text,
        )
    if pointer.exists():
        raise ArchiveError(
            "not a pointer to the current version; move it away",
            dataset=str(dataset),
            path=pointer,
            expected="a symbolic link",
            found="a folder" if pointer.is_dir() else "a file",
        )
    return None


def prepare(output: Path, dataset: DatasetId, run: str, entry: Path) -> Path:
    """Make the new link in a staging folder, so that only the swap is left to do.

    Parameters
    ----------
    entry
        Staging folder of the caller, on the file system of `output`.

    Returns
    -------
    Path
        The link, for :func:`swap`.
    """
    folder = pointer_path(output, dataset).parent
    refuse_detour(output, folder)
    make_folders(folder)
    link = entry / _LINK
    link.symlink_to(pointer_text(run, dataset))
    sync_folder(entry)
    return link


def swap(link: Path, output: Path, dataset: DatasetId) -> None:
    """Move a prepared link into place: readers see the old version, then the new one."""
    pointer = pointer_path(output, dataset)
    link.replace(pointer)
    sync_folder(pointer.parent)
