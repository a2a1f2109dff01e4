"""A new file appears whole, under its name, or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from calib.stores.new_file import new_file


@pytest.mark.parametrize("has_links", [True, False])
def test_a_file_takes_its_name_when_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_links: bool
) -> None:
    """Also where the file system knows no hard links; nothing is left beside it."""
    if not has_links:
        monkeypatch.setattr(os, "link", _refuse)
    target = tmp_path / "new.txt"
    with new_file(target) as part:
        part.write_text("whole")
        assert not target.exists()

    assert target.read_text() == "whole"
    assert [*tmp_path.iterdir()] == [target]


@pytest.mark.parametrize("has_links", [True, False])
@pytest.mark.parametrize("is_early", [True, False])
def test_a_file_that_is_there_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_links: bool, is_early: bool
) -> None:
    """Whether it was there before, or came while the new one was written."""
    if not has_links:
        monkeypatch.setattr(os, "link", _refuse)
    target = tmp_path / "new.txt"
    if is_early:
        target.symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        _write_beside(target)

    assert target.is_symlink() if is_early else target.read_text() == "theirs"
    assert [*tmp_path.iterdir()] == [target]


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    """Neither the file nor a part of it."""
    with pytest.raises(UnicodeEncodeError), new_file(tmp_path / "new.txt") as part:
        part.write_text("half a character: \ud800", encoding="utf-8")
    assert [*tmp_path.iterdir()] == []


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """The folder is the caller's to make."""
    with pytest.raises(FileNotFoundError), new_file(tmp_path / "no" / "new.txt"):
        pass


def _write_beside(target: Path) -> None:
    """Write a file while somebody else makes one of its name."""
    with new_file(target) as part:
        part.write_text("mine")
        target.write_text("theirs")


def _refuse(*_: object) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))
