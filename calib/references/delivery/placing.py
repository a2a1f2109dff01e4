"""New files come to their place in one step, and never over another file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from calib.errors import ConfigError
from calib.fitsfile.writing import writing
from calib.stores.new_file import flush, name_file


@contextmanager
def new_file(target: Path, *, keep: bool = True) -> Iterator[Path]:
    """Give a path to write to; the file comes to its place in one step, or not at all.

    The path has the name of the target: crds takes type and instrument from it.

    Parameters
    ----------
    keep
        Whether it comes there at all; without, nothing is left of it.

    Raises
    ------
    ConfigError
        The target has come into being meanwhile.
    ArchiveError
        The folder cannot be written.
    """
    with writing(target):
        if keep:
            target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.parent if keep else None
        folder = TemporaryDirectory(dir=beside, prefix=f".{target.name}.")
    with folder as name:
        part = Path(name).resolve() / target.name
        yield part
        if keep:
            place(part, target)


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Give a copy to change, which takes the place of the file in one step if all goes well.

    Raises
    ------
    ArchiveError
        The file cannot be copied, or the folder not be written.
    """
    with writing(path), TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as name:
        part = Path(name).resolve() / path.name
        shutil.copy(path, part)
        yield part
        part.replace(path)


def place(part: Path, target: Path) -> None:
    """Give a finished file its name, which nothing else may have; both on one file system.

    Raises
    ------
    ConfigError
        There is such a file.
    ArchiveError
        The folder cannot be written.
    """
    with writing(target):
        flush(part)
        try:
            name_file(part, target)
        except FileExistsError:
            refuse_existing(target)
    with suppress(FileNotFoundError):
        part.unlink()


def refuse_existing(path: Path) -> None:
    """Refuse to write over a file.

    Raises
    ------
    ConfigError
        There is something.
    """
    if path.exists():
        raise ConfigError("nothing is overwritten: there is such a file", path=path)
