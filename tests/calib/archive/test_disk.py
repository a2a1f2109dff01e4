"""Writing that lasts, and errors in words."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.archive import disk
from calib.errors import ArchiveError
from calib.stores.store import CHUNK


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, 2 * CHUNK + 7])
def test_copy(tmp_path: Path, size: int) -> None:
    """Copies of any size are exact, with the checksum and size of what was written."""
    content = os.urandom(size)
    (tmp_path / "a").write_bytes(content)

    found = disk.copy_new(tmp_path / "a", tmp_path / "b")

    assert found == (hashlib.sha256(content).hexdigest(), size)
    assert (tmp_path / "b").read_bytes() == content
    assert disk.digest_file(tmp_path / "b") == found[0]
    assert disk.size_of(tmp_path / "b") == size


@given(content=st.binary(max_size=100), step=st.integers(1, 7))
def test_short_writes(content: bytes, step: int) -> None:
    """The system may write less than it was asked to; the rest follows."""
    write, path = os.write, Path(os.environ["HOME"]) / "short"
    copy = path.with_name("copy")
    path.unlink(missing_ok=True)
    copy.unlink(missing_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", lambda handle, data: write(handle, data[:step]))
        disk.write_new(path, content)
        disk.copy_new(path, copy)

    assert path.read_bytes() == copy.read_bytes() == content


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A file that exists is never written to."""
    (tmp_path / "a").write_text("new")
    (tmp_path / "b").write_text("old")

    with pytest.raises(FileExistsError):
        disk.copy_new(tmp_path / "a", tmp_path / "b")
    with pytest.raises(FileExistsError):
        disk.write_new(tmp_path / "b", b"new")

    assert (tmp_path / "b").read_text() == "old"


def test_files_and_folders_are_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each new file is flushed, and each new folder's entry in its parent."""
    flushed: list[str] = []
    fsync = os.fsync

    def noted(handle: int) -> None:
        flushed.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    disk.make_folders(tmp_path / "a" / "b")
    disk.write_new(tmp_path / "a" / "b" / "f", b"x")

    assert flushed == [str(tmp_path), str(tmp_path / "a"), str(tmp_path / "a" / "b" / "f")]


@pytest.mark.parametrize(("code", "tolerated"), [(errno.EINVAL, True), (errno.EIO, False)])
def test_folders_that_cannot_be_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, tolerated: bool
) -> None:
    """File systems that cannot flush folders are accepted; failing disks are not."""

    def refuse(handle: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)

    if tolerated:
        disk.sync_folder(tmp_path)
    else:
        with pytest.raises(OSError, match="Input/output"):
            disk.sync_folder(tmp_path)


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EMLINK, errno.EIO])
def test_a_file_that_cannot_be_linked_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Its owner may write it as before: the archive has no share in it."""
    source = tmp_path / "a"
    source.write_text("mine")
    source.chmod(0o664)

    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises((ArchiveError, OSError), match=r"copy it|Input/output"):
        disk.link_new(source, tmp_path / "b")

    assert source.stat().st_mode & 0o777 == 0o664


def test_a_file_that_cannot_be_protected_is_not_linked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another user's file would stay open to them, inside the archive."""
    (tmp_path / "a").write_text("mine")

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "fchmod", refuse)
    with pytest.raises(ArchiveError, match="copy it"):
        disk.link_new(tmp_path / "a", tmp_path / "b")

    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_link(tmp_path: Path) -> None:
    """Both names are one file, which nobody may write any more."""
    (tmp_path / "a").write_text("mine")

    found = disk.link_new(tmp_path / "a", tmp_path / "b")

    assert found == (hashlib.sha256(b"mine").hexdigest(), 4)
    assert (tmp_path / "b").samefile(tmp_path / "a")
    assert (tmp_path / "a").stat().st_mode & 0o222 == 0


def test_free_space_of_what_does_not_exist(tmp_path: Path) -> None:
    """The free space of a folder to be made is that of its nearest parent."""
    assert disk.free_bytes(tmp_path / "a" / "b") > 0


@pytest.mark.parametrize(
    ("code", "words", "free"),
    [
        (errno.ENOSPC, "the disk is full", True),
        (errno.EDQUOT, "quota", True),
        (errno.EROFS, "not writable", False),
        (errno.EACCES, "not writable", False),
        (errno.ENOTDIR, "in the way", False),
        (errno.EEXIST, "in the way", False),
        (errno.EIO, "the file system failed", False),
        (errno.EXDEV, "the file system failed", False),
    ],
)
def test_errors_in_words(tmp_path: Path, code: int, words: str, free: bool) -> None:
    """Each kind of failure says what, where, and for a full disk how much."""
    with (
        pytest.raises(ArchiveError, match=words) as caught,
        disk.archive_errors(tmp_path, dataset="x", needed=5),
    ):
        raise OSError(code, os.strerror(code))

    error = caught.value
    assert (error.code, error.dataset, error.path) == (25, "x", str(tmp_path))
    assert os.strerror(code) in error.message
    assert (error.expected == "5 bytes free") == free
    assert (error.found is not None) == free


def test_error_names_the_file(tmp_path: Path) -> None:
    """Where the system names a file, that is the one."""
    with (
        pytest.raises(ArchiveError) as caught,
        disk.archive_errors(tmp_path),
    ):
        (tmp_path / "a" / "b").touch()

    assert caught.value.path == str(tmp_path / "a" / "b")


def test_other_errors_pass(tmp_path: Path) -> None:
    """Mistakes of the program are not dressed up as failing disks."""
    with pytest.raises(ZeroDivisionError), disk.archive_errors(tmp_path):
        raise ZeroDivisionError
