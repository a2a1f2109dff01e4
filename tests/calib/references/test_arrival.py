"""A cache that several users fill: locks for all of them, and parts that others left."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from calib.references import arrival
from calib.references.arrival import Patience, Wanted, bring
from calib.references.files import sha1_of


class Slow:
    """An origin that begins where a part ends, and remembers where that was."""

    place = "here"

    def __init__(self) -> None:
        self.begun: list[int] = []

    def info(self, *, again: bool = True) -> dict[str, object]:
        """Say nothing."""
        return {"again": again}

    def fetch(self, name: str, part: Path) -> None:
        """Add to ten bytes what is missing of them."""
        self.begun.append(part.stat().st_size if part.exists() else 0)
        with part.open("ab") as stream:
            stream.write(b"0123456789"[self.begun[-1] :])

    def close(self) -> None:
        """Do nothing."""


@pytest.fixture
def careful() -> Iterator[None]:
    """Let new files be nobody else's to write, as by default."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def wanted(tmp_path: Path) -> Wanted:
    """Return a file of ten bytes in a cache that its group may write."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o775)
    whole = tmp_path / "whole"
    whole.write_bytes(b"0123456789")
    target = tmp_path / "cache/references/hst/acs/x_drk.fits"
    return Wanted(target.name, target, 10, sha1_of(whole))


@pytest.mark.usefixtures("careful")
def test_locks_are_of_all_who_may_write_the_cache(wanted: Wanted, tmp_path: Path) -> None:
    """Whatever the umask of the one who needed them first."""
    assert bring(Slow(), wanted, Patience())
    folder = tmp_path / "cache" / arrival.LOCKS
    (lock,) = folder.iterdir()
    modes = [stat.S_IMODE(each.stat().st_mode) for each in (folder, lock)]
    assert modes == [0o775, 0o666]


@pytest.mark.parametrize("is_ours", [True, False])
def test_part_of_another_user_is_begun_anew(
    wanted: Wanted, monkeypatch: pytest.MonkeyPatch, is_ours: bool
) -> None:
    """One that may be written goes on where it ended."""
    part = wanted.target.with_name(f"{arrival.PART}{wanted.name}")
    part.parent.mkdir(parents=True)
    part.write_bytes(b"0123")
    monkeypatch.setattr(os, "access", lambda path, _: is_ours or Path(path) != part)
    origin = Slow()
    assert bring(origin, wanted, Patience())
    assert origin.begun == [4 if is_ours else 0]
    assert wanted.target.read_bytes() == b"0123456789"


def test_lock_of_a_dead_process_does_not_block(wanted: Wanted, tmp_path: Path) -> None:
    """The files of locks lie there for ever; what counts is who holds them."""
    folder = tmp_path / "cache" / arrival.LOCKS
    folder.mkdir(parents=True)
    for number in range(64):
        (folder / f"{number:02d}").touch()
    assert bring(Slow(), wanted, Patience())
    assert not bring(Slow(), wanted, Patience())


def test_file_systems_without_locks(wanted: Wanted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process has a part of its own then, and none is left."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    part = wanted.target.with_name(f"{arrival.PART}{wanted.name}")
    part.parent.mkdir(parents=True)
    part.write_bytes(b"0123")  # another process is at it
    origin = Slow()
    assert bring(origin, wanted, Patience())
    assert origin.begun == [0]
    assert {path.name for path in part.parent.iterdir()} == {part.name, wanted.name}
