"""Staging folders: the dead lose theirs, the living keep them."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from calib.archive import staging
from calib.archive.staging import staged, sweep

ROOT = Path(__file__).parents[3]
LINGER = """
import sys
from pathlib import Path
from calib.archive.staging import staged
with staged(Path(sys.argv[1]), "label") as entry:
    (entry / "file").touch()
    print(entry, flush=True)
    sys.stdin.read()
"""


def start_owner(area: Path) -> tuple[subprocess.Popen[str], Path]:
    """Start a process that holds a staging folder until its input is closed."""
    command = [sys.executable, "-c", LINGER, str(area)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def fake(area: Path, **changes: object) -> Path:
    """Make the staging folder of some other owner."""
    values = {"place": staging._place(), "pid": os.getpid(), "start": 1} | changes
    entry = area / "label+{place}+{pid}+{start}+0123abcd".format(**values)
    entry.mkdir(parents=True)
    (entry / "file").touch()
    return entry


def test_folder_lives_as_long_as_the_block(tmp_path: Path) -> None:
    """The folder is fresh, and gone afterwards with all that is in it."""
    area = tmp_path / "a" / "b"
    with staged(area, "label") as one, staged(area, "label") as two:
        (one / "x" / "y").mkdir(parents=True)
        assert one != two
        assert one.name.startswith("label+")

    assert [*area.iterdir()] == []


def test_folder_goes_with_an_error(tmp_path: Path) -> None:
    """An error in the block goes through, and the folder goes all the same."""
    with pytest.raises(KeyError), staged(tmp_path, "label"):
        raise KeyError

    assert [*tmp_path.iterdir()] == []


def test_living_owner_keeps_its_folder(tmp_path: Path) -> None:
    """Sweeping spares a folder while its process lives, and takes it after a SIGKILL."""
    process, entry = start_owner(tmp_path)

    sweep(tmp_path)
    assert (entry / "file").exists()

    process.kill()
    process.communicate()
    assert (entry / "file").exists()
    sweep(tmp_path)
    assert not entry.exists()


def test_dead_owner_that_nobody_waited_for(tmp_path: Path) -> None:
    """A killed process whose parent has not noticed yet is dead all the same."""
    process, entry = start_owner(tmp_path)
    process.kill()
    while staging._start(process.pid) != 0:
        time.sleep(0.001)

    sweep(tmp_path)

    assert not entry.exists()
    process.communicate()


def test_own_folder_in_use_is_kept(tmp_path: Path) -> None:
    """Another thread of this process may be at work."""
    with staged(tmp_path, "label") as entry:
        sweep(tmp_path)

        assert entry.exists()


@pytest.mark.parametrize("start", [0, 1])
def test_own_number_and_not_in_use(tmp_path: Path, start: int) -> None:
    """A folder of this process that nobody uses was left by a failed cleaning, or a namesake."""
    entry = fake(tmp_path, start=start)

    sweep(tmp_path)

    assert not entry.exists()


def test_number_that_was_given_again(tmp_path: Path) -> None:
    """A process of the same number that started at another time is another process."""
    entry = fake(tmp_path, pid=os.getppid(), start=1)
    true = fake(tmp_path, pid=os.getppid(), start=staging._start(os.getppid()))

    sweep(tmp_path)

    assert (entry.exists(), true.exists()) == (False, True)


@pytest.mark.parametrize(("age", "kept"), [(0, True), (6, True), (8, False)])
def test_owner_elsewhere(tmp_path: Path, age: int, kept: bool) -> None:
    """The folder of another host or container is left alone for a week."""
    entry = fake(tmp_path, place="elsewhere.00000000", pid=1)
    then = time.time() - age * 86400
    os.utime(entry, (then, then))

    sweep(tmp_path)

    assert entry.exists() == kept


def test_others_users_processes_count_as_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that we may not signal exists; where /proc hides it, it is believed to live."""
    entry = fake(tmp_path, pid=12345)

    def forbidden(pid: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", forbidden)
    monkeypatch.setattr(staging, "_start", lambda pid: None)

    sweep(tmp_path)

    assert entry.exists()


def test_folder_that_vanishes_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder whose owner, elsewhere, finishes while we look is nothing to remove."""
    area = tmp_path / "area"
    entry = fake(area, place="elsewhere.00000000")
    place = staging._place()

    def slow() -> str:
        shutil.rmtree(entry, ignore_errors=True)
        return place

    monkeypatch.setattr(staging, "_place", slow)

    sweep(area)

    assert [*area.iterdir()] == []


def test_start_of_a_process_that_does_not_exist() -> None:
    """Where nothing can be seen, nothing is claimed."""
    assert staging._start(999_999_999) is None


@pytest.mark.parametrize("name", ["mine", "a+b+c+d+e", "label+host+-1+5+0123abcd", "x+h+1+1+zz"])
def test_what_is_not_ours_stays(tmp_path: Path, name: str) -> None:
    """Folders whose names staging did not make are nobody's to remove."""
    (tmp_path / name).mkdir()

    sweep(tmp_path)

    assert (tmp_path / name).exists()


def test_no_area(tmp_path: Path) -> None:
    """Sweeping where nothing was ever staged is fine."""
    sweep(tmp_path / "nothing")

    assert [*tmp_path.iterdir()] == []


def test_failed_cleaning_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder that cannot be removed now is named in the log and swept later."""

    def broken(path: Path) -> None:
        raise OSError(5, os.strerror(5))

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(shutil, "rmtree", broken)
        with staged(tmp_path, "label") as entry:
            pass

    assert f"cannot remove {entry}" in caplog.text
    sweep(tmp_path)
    assert not entry.exists()


def test_two_sweepers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that another sweeper took first does not stop the sweeping."""
    entry = fake(tmp_path)
    rmtree = shutil.rmtree
    calls = []

    def beaten(path: Path) -> None:
        calls.append(path)
        if len(calls) == 1:
            raise FileNotFoundError(2, os.strerror(2), str(path / "file"))
        rmtree(path)

    monkeypatch.setattr(shutil, "rmtree", beaten)

    sweep(tmp_path)

    assert len(calls) == 2
    assert not entry.exists()


def test_place_is_known_by_host_and_process_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hosts differ, and the name is fit for a folder whatever the host is called."""
    of = staging._place.__wrapped__
    names = set()
    for host in ("Node-1.example.org", "node-2", "x" * 100):
        monkeypatch.setattr("socket.gethostname", lambda host=host: host)
        names.add(of())

    assert len(names) == 3
    assert all("+" not in name and "/" not in name and len(name) < 40 for name in names)
    assert {name.split(".")[0] for name in names} == {"node1", "node2", "x" * 20}
