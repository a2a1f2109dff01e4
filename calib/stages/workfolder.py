"""Finished stages on disk: the next attempt starts at the first stage that does not match.

A stage works in a private folder and is renamed to ``WORK/RUN/ID/STAGE/`` when it is
finished, with a JSON record beside its files. Nothing half-finished ever has that name, so
a killed process leaves only a folder that the next attempt removes.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import psutil
from pydantic import ValidationError

from calib.errors import ARCHIVE, ConfigError, HstflowError, Unavailable
from calib.records import from_json, to_json

log = logging.getLogger(__name__)
R = TypeVar("R")
RECORD = "stage.json"

# What programs said; the job's own log is a text.
_LOGS = "*.log"

# What is wrong with the folder that was asked for: only a person changes that.
_REFUSED = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR}
)


@dataclass(frozen=True)
class Finished(Generic[R]):
    """A stage's record, and whether it was found rather than made."""

    record: R
    reused: bool


@dataclass(frozen=True)
class StageFolder(Generic[R]):
    """The place of one stage of one job.

    Attributes
    ----------
    path
        Final folder, ``WORK/RUN/ID/STAGE``.
    kind
        Class of the stage's record.
    key
        The stage's share of the fingerprint: equal keys mean the same work.
    """

    path: Path
    kind: type[R]
    key: str

    def run(
        self, work: Callable[[Path], R], *, still_valid: Callable[[R], bool] = lambda _: True
    ) -> Finished[R]:
        """Return the finished record, doing the work only where it is not there already.

        Parameters
        ----------
        work
            Does the stage in the folder it is given and returns its record.
        still_valid
            A further test of a record found (its key and its files match already).

        Raises
        ------
        ConfigError
            The work folder cannot be written.
        """
        found = self.load()
        if found is not None and still_valid(found):
            log.info("%s: finished before, used again", self.path.name)
            return Finished(found, reused=True)
        with private_folder(self.path) as folder, _keeping_logs(folder):
            record = _relocated(self.kind, work(folder), folder, self.path)
            (folder / RECORD).write_text(_wrapped(self.key, record))
            shutil.rmtree(self.path, ignore_errors=True)
            folder.rename(self.path)
        return Finished(record, reused=False)

    def load(self) -> R | None:
        """Return the record of the finished stage if its key and all its files match."""
        try:
            stored = json.loads((self.path / RECORD).read_text())
            record = from_json(self.kind, json.dumps(stored["record"]))
        except (OSError, ValueError, KeyError, TypeError, ValidationError):
            return None
        if stored.get("key") != self.key or not all(map(_intact, _files(record))):
            return None
        return record


@contextmanager
def private_folder(path: Path) -> Iterator[Path]:
    """Make a folder beside `path` for this process alone; what is left of it is removed."""
    folder = path.with_name(f".{path.name}.{os.getpid()}")
    with folder_errors(path.parent):
        _remove_leftovers(path)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _keeping_logs(folder: Path) -> Iterator[None]:
    """Move what programs said out of a private folder where the stage fails.

    Logs (``*.log``) of an older attempt at the job go. An error that names a log names the
    place where it is kept.
    """
    kept = folder.parent
    for path in kept.glob(_LOGS):
        path.unlink(missing_ok=True)
    is_done = False
    try:
        yield
        is_done = True
    except HstflowError as error:
        if error.path is not None and Path(error.path) in folder.glob(_LOGS):
            error.path = str(kept / Path(error.path).name)
        raise
    finally:
        if not is_done:
            with suppress(OSError):  # a full disk: the error itself is what counts
                for path in folder.glob(_LOGS):
                    path.replace(kept / path.name)


@contextmanager
def folder_errors(folder: Path, *, others_pass: bool = False) -> Iterator[None]:
    """Name what is wrong with the work folder.

    Parameters
    ----------
    folder
        For the message.
    others_pass
        Whether other errors of the system, such as a full disk, become Unavailable; else they
        are left to the watch over the stage, which names them.

    Raises
    ------
    ConfigError
        It cannot be written, whoever tries again.
    Unavailable
        It cannot be written now.
    """
    try:
        yield
    except OSError as error:
        message = f"the work folder cannot be written: {error.strerror}"
        if error.errno in _REFUSED:
            raise ConfigError(message, path=folder) from error
        if others_pass:
            raise Unavailable(message, path=folder, code=ARCHIVE) from error
        raise


def _remove_leftovers(path: Path) -> None:
    """Remove the private folders of processes that are gone."""
    for left in path.parent.glob(f".{path.name}.*"):
        pid = left.suffix[1:]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def _wrapped(key: str, record: Any) -> str:
    return json.dumps({"key": key, "record": json.loads(to_json(record))}, indent=2)


def _relocated(kind: type[R], record: R, old: Path, new: Path) -> R:
    """Return the record with paths under `old` moved to `new`."""

    def move(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: move(each) for key, each in value.items()}
        if isinstance(value, list):
            return [move(each) for each in value]
        if isinstance(value, str) and Path(value).is_relative_to(old):
            return str(new / Path(value).relative_to(old))
        return value

    return from_json(kind, json.dumps(move(json.loads(to_json(record)))))


def _files(record: Any) -> list[Any]:
    return list(getattr(record, "files", ()))


def _intact(file: Any) -> bool:
    path = Path(file.path)
    return path.is_file() and path.stat().st_size == file.size
