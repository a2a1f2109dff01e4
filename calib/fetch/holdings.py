"""Input files at hand, wherever they come from: one form for folders, archives, MAST and S3."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from calib.errors import INPUT, NotFound
from calib.fetch.copying import Copied, copy_stream
from calib.fetch.integrity import verify_file
from calib.stores.store import hash_file


class Holdings(Protocol):
    """Files at hand, by name in lower case, and the folder or archive they come from.

    `code` is the exit code where files are not there.
    """

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


@dataclass(frozen=True)
class PlainFiles:
    """Files of a folder: copied when taken.

    Attributes
    ----------
    origin, paths
        The folder, and the path of each file by name in lower case.
    staging
        Where they are copied to.
    """

    origin: Path
    paths: dict[str, Path]
    staging: Path
    code: int = INPUT

    @property
    def names(self) -> Collection[str]:
        """Names of the files."""
        return self.paths

    def look_for(self, roots: Collection[str]) -> None:
        """Do nothing: a folder shows all it has."""

    def take(self, name: str) -> Copied:
        """Copy and verify a file.

        Raises
        ------
        NotFound
            It may not be read.
        """
        try:
            with self.paths[name].open("rb") as stream:
                copied = copy_stream(stream, self.staging / name)
        except PermissionError as error:
            raise NotFound("file may not be read", path=self.paths[name]) from error
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
        """
        link = self.staging / name
        link.symlink_to(self.paths[name].absolute())
        try:
            copied = Copied(link, hash_file(link), link.stat().st_size)
        except PermissionError as error:
            raise NotFound("file may not be read", path=self.paths[name]) from error
        verify_file(link)
        return copied


@dataclass(frozen=True)
class UnpackedFiles:
    """Files of an archive, already in the staging folder."""

    origin: Path | str
    files: dict[str, Copied]
    code: int = INPUT

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
