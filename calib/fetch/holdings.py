"""Input files at hand, wherever they come from: one form for folders, archives, MAST and S3."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from calib.errors import INPUT, CorruptFile, NotFound
from calib.fetch.copying import Copied, copy_stream
from calib.fetch.integrity import verify_file
from calib.stores.store import hash_file


class Holdings(Protocol):
    """Files at hand, by name in lower case, and the folder or archive they come from.

    `code` is the exit code where files are not there.
    """

    @property
    def is_chosen(self) -> bool:
        """Whether these are the very files to take, chosen by what they were taken for before."""
        ...

    @property
    def notes(self) -> Collection[str]:
        """What a person should know of what is not among them."""
        ...

    @property
    def origin(self) -> Path | str:
        """Where the files come from."""
        ...

    @property
    def code(self) -> int:
        """Exit code of what is missing."""
        ...

    @property
    def names(self) -> Collection[str]:
        """Names of the files seen so far."""
        ...

    def look_for(self, roots: Collection[str]) -> None:
        """See to it that `names` has all there is of these exposures."""
        ...

    def take(self, name: str) -> Copied:
        """Bring one file, verified, into the staging folder."""
        ...


@dataclass(frozen=True)
class Listed:
    """What a list says of a file: its size, where that is told, and where it lies."""

    size: int | None
    place: str


class Listing(Holdings, Protocol):
    """Files far away: listed before anything is brought."""

    def describe(self, name: str) -> Listed:
        """Say what the list says of a file."""
        ...


def list_folder(folder: Path) -> dict[str, list[Path]]:
    """Return the files of a folder by name in lower case: several where only the case differs."""
    paths: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.is_file():
            paths.setdefault(path.name.lower(), []).append(path)
    return paths


def only_one(paths: Sequence[Path]) -> Path:
    """Return the file of a name.

    Raises
    ------
    CorruptFile
        There are two whose names differ in case only: nobody knows which is meant.
    """
    first, *others = paths
    if others:
        raise CorruptFile(
            "two files whose names differ in case only",
            path=first,
            expected="one of them",
            found=" ".join(path.name for path in paths),
        )
    return first


@dataclass(frozen=True)
class PlainFiles:
    """Files of a folder: copied when taken.

    Attributes
    ----------
    origin, paths
        The folder, and its files as :func:`list_folder` returns them.
    staging
        Where they are copied to.
    """

    origin: Path
    paths: Mapping[str, Sequence[Path]]
    staging: Path
    code: int = INPUT
    is_chosen: bool = False
    notes: Collection[str] = ()

    @property
    def names(self) -> Collection[str]:
        """Names of the files."""
        return self.paths.keys()

    def look_for(self, roots: Collection[str]) -> None:
        """Do nothing: a folder shows all it has."""

    def take(self, name: str) -> Copied:
        """Copy and verify a file.

        Raises
        ------
        NotFound
            It may not be read.
        CorruptFile
            As :func:`only_one`, or it is damaged.
        """
        path = only_one(self.paths[name])
        try:
            with path.open("rb") as stream:
                copied = copy_stream(stream, self.staging / name)
        except PermissionError as error:
            raise NotFound("file may not be read", path=path) from error
        verify_file(copied.path)
        return copied


@dataclass(frozen=True)
class LinkedFiles(PlainFiles):
    """Files of a folder: looked at where they lie, through links in the staging folder."""

    def take(self, name: str) -> Copied:
        """Hash and verify a file.

        Raises
        ------
        NotFound
            It may not be read.
        CorruptFile
            As :func:`only_one`, or it is damaged.
        """
        link, path = self.staging / name, only_one(self.paths[name])
        link.symlink_to(path.absolute())
        try:
            copied = Copied(link, hash_file(link), link.stat().st_size)
        except PermissionError as error:
            raise NotFound("file may not be read", path=path) from error
        verify_file(link)
        return copied


@dataclass(frozen=True)
class UnpackedFiles:
    """Files of an archive, already in the staging folder."""

    origin: Path | str
    files: dict[str, Copied]
    code: int = INPUT
    is_chosen: bool = False
    notes: Collection[str] = ()

    @property
    def names(self) -> Collection[str]:
        """Names of the files."""
        return self.files

    def look_for(self, roots: Collection[str]) -> None:
        """Do nothing: an archive shows all it has."""

    def take(self, name: str) -> Copied:
        """Verify a file."""
        verify_file(self.files[name].path)
        return self.files[name]
