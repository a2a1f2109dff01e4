"""Disks that are full, small or read-only."""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.archive import disk
from calib.archive.outputs import FileOutput
from calib.archive.publish import File, Publication, publish
from calib.errors import ArchiveError
from calib.ids import parse_dataset

Make = Callable[..., Publication]
DATASET = parse_dataset("j8bt05njq")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return the root of a file system of 1 MiB; needs the right to mount."""
    root = tmp_path / "disk"
    root.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "hstflow-test", str(root)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"cannot mount a small file system here: {error}")
    yield root
    subprocess.run(["umount", str(root)], check=True)


def big(folder: Path, size: int) -> File:
    """Make a product of some size."""
    path = folder / "j8bt05njq_flt.fits"
    path.write_bytes(os.urandom(size))
    return File("product", path)


def test_space_is_looked_at_first(make: Make, small_disk: Path, tmp_path: Path) -> None:
    """What cannot fit is refused before anything is written, with both numbers."""
    with pytest.raises(ArchiveError, match="not enough free space") as caught:
        publish(make(files=(big(tmp_path, 1 << 20),)), small_disk / "out")

    assert caught.value.expected == f"{(1 << 20) + 16 * 4096} bytes free"
    assert caught.value.found == f"{1 << 20} bytes free"
    assert not (small_disk / "out").exists()


def test_a_second_name_needs_no_room(
    make: Make, output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is linked is there already, however full the disk is."""
    file = big(tmp_path, 1 << 20)
    monkeypatch.setattr(disk, "free_bytes", lambda _: 1 << 19)
    with pytest.raises(ArchiveError, match="not enough free space"):
        publish(make(files=(file,)), output)

    publish(make(files=(replace(file, is_linked=True),)), output)

    assert FileOutput(output).verify(DATASET) == []


def test_real_disk_that_fills_up(
    make: Make, small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up while files are copied: an archive error, and all is given back."""
    output = small_disk / "out"
    publish(make(), output)
    free = disk.free_bytes(small_disk)
    monkeypatch.setattr("calib.archive.publish._refuse_full_disk", lambda *_: None)

    with pytest.raises(ArchiveError, match="disk is full") as caught:
        publish(make(run="second", files=(big(tmp_path, 1 << 20),)), output)

    assert caught.value.expected == f"{(1 << 20) + 16 * 4096} bytes free"
    assert FileOutput(output).verify(DATASET) == []
    assert free - disk.free_bytes(small_disk) <= 16384  # the folders of the second run
    assert [path.name for path in (output / "runs/second").rglob("*")] == [".staging", "acs"]


def test_read_only_disk(make: Make, small_disk: Path) -> None:
    """A file system that was mounted read-only is said to be not writable."""
    output = small_disk / "out"
    publish(make(), output)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)

    with pytest.raises(ArchiveError, match=r"not writable.*Read-only"):
        publish(make(run="second", content=b"better"), output)

    assert publish(make(), output).already_there
    assert FileOutput(output).verify(DATASET) == []


@pytest.fixture
def ordinary_user() -> Iterator[None]:
    """Give up root's right to write everywhere, for the time of a test."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


def test_folder_of_somebody_else(ordinary_user: None) -> None:
    """An output folder without the right to write is said to be not writable."""
    with tempfile.TemporaryDirectory() as name:
        file, output = big(Path(name), 10), Path(name) / "out"
        output.mkdir(mode=0o555)

        with pytest.raises(ArchiveError, match="not writable") as caught:
            publish(Publication(DATASET, "run", "f", (file,)), output)

        assert caught.value.path == str(output / "runs")
        assert [*output.iterdir()] == []


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM])
def test_permission_is_explained(
    make: Make, output: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """A refused permission is told apart from a full disk, and names the folder."""

    def refused(path: object, *_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code), os.fspath(path))  # type: ignore[call-overload]

    publication = make()
    monkeypatch.setattr(os, "mkdir", refused)

    with pytest.raises(ArchiveError, match="not writable") as caught:
        publish(publication, output)

    assert caught.value.path == str(output)
    assert caught.value.found is None


def with_room(room: int) -> Callable[[int, memoryview], int]:
    """Return an os.write with room for so many bytes; the last write may be a short one."""
    write, left = os.write, [room]

    def limited(handle: int, content: memoryview) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write(handle, content[: left[0]])
        left[0] -= written
        return written

    return limited


@given(room=st.integers(0, 6000))
def test_disk_full_after_any_number_of_bytes(room: int) -> None:
    """Wherever the room ends, also within a file, the earlier version stays whole."""
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        folder, output = Path(name), Path(name) / "out"
        file = big(folder, 5000)
        publish(Publication(DATASET, "first", "1", (file,)), output)
        manifest = (output / "runs/first/acs/j8bt05njq/manifest.json").stat().st_size
        new = Publication(DATASET, "other", "2", (file,))  # names of equal length
        patch.setattr(os, "write", with_room(room))
        if room < 5000 + manifest:
            with pytest.raises(ArchiveError, match="disk is full"):
                publish(new, output)
            assert not (output / "runs/other/acs/j8bt05njq").exists()
        else:
            publish(new, output)
        assert FileOutput(output).verify(DATASET) == []
        assert not [*(output / "runs/other/.staging").iterdir()]
