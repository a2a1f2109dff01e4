"""Where a static report is written: a folder or one zip file, there whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from calib.errors import ConfigError
from calib.stores.new_file import flush, name_file

# What says that a folder is a report of ours, which --replace may remove.
MARK = "report.json"
_KIND = "hstflow campaign report"


class Shelf(Protocol):
    """Takes the files of a report."""

    def put(self, name: str, content: bytes) -> None:
        """Keep a file; its name has no ``..``."""
        ...


@dataclass(frozen=True)
class Folder:
    """Files in a folder."""

    root: Path

    def put(self, name: str, content: bytes) -> None:
        """Write a file."""
        path = self.root / name
        try:
            path.write_bytes(content)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


@dataclass(frozen=True)
class Zip:
    """Files in a zip file, in a folder of its name, so that nobody unpacks it over other files."""

    opened: zipfile.ZipFile
    root: str

    def put(self, name: str, content: bytes) -> None:
        """Add a file; pictures are packed already."""
        is_packed = name.endswith((".png", ".jpg", ".jpeg"))
        how = zipfile.ZIP_STORED if is_packed else zipfile.ZIP_DEFLATED
        self.opened.writestr(f"{self.root}/{name}", content, how)


@contextmanager
def new_report(target: Path, *, replace: bool) -> Iterator[Shelf]:
    """Lend a place for the files of a report, which takes its name at the end.

    Parameters
    ----------
    target
        A folder, or a file whose name ends in ``.zip``.
    replace
        Take the place of an older report; of anything else never.

    Raises
    ------
    ConfigError
        The target is there and may not be replaced, or cannot be written: the disk is full, the
        folder is not there or not writable. Nothing is left behind.
    """
    is_zip = target.suffix.lower() == ".zip"
    refuse(target, replace=replace)
    try:
        with tempfile.TemporaryDirectory(prefix=".part-", dir=target.parent) as staging:
            part = Path(staging) / target.name
            with _zip(part) if is_zip else _folder(part) as shelf:
                yield shelf
            flush(part)
            _name(part, target, Path(staging) / "old", replace=replace)
        flush(target.parent)
    except FileExistsError as error:
        raise _taken(target) from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            message = "the disk is full: nothing of the report was kept"
            raise ConfigError(message, path=target) from error
        raise ConfigError(f"the report cannot be written: {error}", path=target) from error


def refuse(target: Path, *, replace: bool) -> None:
    """Refuse a target that may not be replaced, before any work.

    Raises
    ------
    ConfigError
        It is there, and is no report or `replace` was not said.
    """
    if not target.name:
        raise ConfigError("this is no name of a folder", path=target)
    if not os.path.lexists(target):
        return
    if not replace:
        raise _taken(target)
    if not _is_report(target):
        message = "--replace takes the place of a report alone, and this is none"
        raise ConfigError(message, path=target, expected=f"a folder with {MARK}, or a zip of one")


def mark_of(content: dict[str, object]) -> bytes:
    """Return what tells a report from other folders: what it is of."""
    return json.dumps({"kind": _KIND, **content}, indent=2).encode() + b"\n"


def _taken(target: Path) -> ConfigError:
    return ConfigError("it is there already: name another one, or say --replace", path=target)


def _is_report(target: Path) -> bool:
    try:
        if target.is_dir() and not target.is_symlink():
            found = json.loads((target / MARK).read_bytes())
        else:
            with zipfile.ZipFile(target) as opened:
                name = next(n for n in opened.namelist() if n.count("/") == 1 and n.endswith(MARK))
                found = json.loads(opened.read(name))
    except (OSError, ValueError, StopIteration, zipfile.BadZipFile):
        return False
    return isinstance(found, dict) and found.get("kind") == _KIND


@contextmanager
def _folder(part: Path) -> Iterator[Shelf]:
    part.mkdir()
    yield Folder(part)


@contextmanager
def _zip(part: Path) -> Iterator[Shelf]:
    with zipfile.ZipFile(part, "w", compresslevel=6) as opened:
        yield Zip(opened, part.stem)


def _name(part: Path, target: Path, old: Path, *, replace: bool) -> None:
    """Give the report its name; an older one stays until the newer one is whole."""
    if not part.is_dir():
        part.replace(target) if replace else name_file(part, target)
        return
    # A folder cannot take the place of one with files in it: the older one is moved away, and
    # back again where the newer one cannot be put there.
    if replace and os.path.lexists(target):
        target.rename(old)
    try:
        _rename_new(part, target)
    except OSError:
        with suppress(OSError):
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _rename_new(part: Path, target: Path) -> None:
    """Rename a folder; an empty folder that came into being meanwhile is not taken for ours."""
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    part.rename(target)
