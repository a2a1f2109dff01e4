"""Finished stages are found again; half-finished ones never are."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from calib.errors import ConfigError, EngineError
from calib.records import Previews, ProductFile
from calib.stages.workfolder import StageFolder, private_folder


def draw(folder: Path) -> Previews:
    """Make one file and its record, as a stage does."""
    path = folder / "x.jpg"
    path.write_bytes(b"picture")
    checksum = hashlib.sha256(b"picture").hexdigest()
    return Previews(files=(ProductFile("x.jpg", str(path), checksum, 7),))


def refuse(folder: Path) -> Previews:
    """Fail if a stage is run although it is finished."""
    raise AssertionError(folder)


def place(tmp_path: Path, key: str = "k") -> StageFolder[Previews]:
    """Return the folder of a preview stage."""
    return StageFolder(tmp_path / "run" / "j8bt05njq" / "preview", Previews, key)


def test_finished_stage_is_used_again(tmp_path: Path) -> None:
    """The second run returns the first one's record without working."""
    first = place(tmp_path).run(draw)

    second = place(tmp_path).run(refuse)

    assert (first.reused, second.reused) == (False, True)
    assert second.record == first.record


def test_record_names_the_final_place(tmp_path: Path) -> None:
    """A record's paths lead to the renamed folder, not to the private one."""
    finished = place(tmp_path).run(draw)

    path = Path(finished.record.files[0].path)

    assert path == tmp_path / "run/j8bt05njq/preview/x.jpg"
    assert path.read_bytes() == b"picture"


def test_other_key_means_other_work(tmp_path: Path) -> None:
    """A finished stage with another key is made anew and replaces the old one."""
    place(tmp_path, "old").run(draw)

    again = place(tmp_path, "new").run(draw)

    assert not again.reused
    assert place(tmp_path, "old").load() is None


@pytest.mark.parametrize("damage", ["missing file", "short file", "broken record", "no record"])
def test_damaged_stage_is_not_used(tmp_path: Path, damage: str) -> None:
    """Files and record are checked before a finished stage is believed."""
    stage = place(tmp_path)
    stage.run(draw)
    if damage == "missing file":
        (stage.path / "x.jpg").unlink()
    elif damage == "short file":
        (stage.path / "x.jpg").write_bytes(b"pic")
    elif damage == "broken record":
        (stage.path / "stage.json").write_text('{"key": "k", "record": {"files": [1')
    else:
        (stage.path / "stage.json").unlink()

    assert stage.load() is None
    assert not stage.run(draw).reused


def test_failing_stage_leaves_nothing(tmp_path: Path) -> None:
    """An error in the middle of a stage leaves neither a result nor a private folder."""

    def fail(folder: Path) -> Previews:
        draw(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        place(tmp_path).run(fail)

    assert list(place(tmp_path).path.parent.iterdir()) == []


def test_leftovers_of_dead_processes_are_removed(tmp_path: Path) -> None:
    """A killed process cannot clean up: the next attempt does."""
    left = tmp_path / "run/j8bt05njq/.preview.4194999"
    left.mkdir(parents=True)
    (left / "half.jpg").write_bytes(b"ha")

    place(tmp_path).run(draw)

    assert sorted(p.name for p in left.parent.iterdir()) == ["preview"]


def test_private_folders_of_living_processes_are_left_alone(tmp_path: Path) -> None:
    """Another process at work on the same stage keeps its private folder."""
    alive = tmp_path / f"run/j8bt05njq/.preview.{os.getppid()}"
    alive.mkdir(parents=True)

    place(tmp_path).run(draw)

    assert alive.is_dir()


def test_further_condition_can_refuse_a_finished_stage(tmp_path: Path) -> None:
    """Where the caller knows better (a newer source file), the work is done again."""
    place(tmp_path).run(draw)

    assert not place(tmp_path).run(draw, still_valid=lambda _: False).reused


def test_unwritable_work_folder_is_a_configuration_error(tmp_path: Path) -> None:
    """A work folder that is a file cannot be used: the message names it."""
    (tmp_path / "run").write_text("in the way")

    with pytest.raises(ConfigError, match="work folder cannot be written"):
        place(tmp_path).run(draw)


def test_log_of_a_failed_program_is_kept_until_the_next_attempt(tmp_path: Path) -> None:
    """The error names where it is; the attempt after that begins without it."""
    stage = place(tmp_path)

    def fail(folder: Path) -> Previews:
        (folder / "half.fits").write_bytes(b"half")
        path = folder / "j8bt05njq_hstcal.log"
        path.write_text("it hurts")
        raise EngineError("failed", program="calacs.e", exit_code=1, path=path)

    with pytest.raises(EngineError) as caught:
        stage.run(fail)

    kept = stage.path.parent / "j8bt05njq_hstcal.log"
    assert caught.value.path == str(kept)
    assert kept.read_text() == "it hurts"
    assert list(stage.path.parent.iterdir()) == [kept]
    stage.run(draw)
    assert not kept.exists()


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EACCES, ConfigError),
        (errno.EROFS, ConfigError),
        (errno.ENOTDIR, ConfigError),
        (errno.ENOSPC, OSError),
        (errno.EDQUOT, OSError),
        (errno.ESTALE, OSError),
    ],
)
def test_full_disk_is_no_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception]
) -> None:
    """What may pass is left to the watch over the stage, which calls a full disk Unavailable."""

    def fail(*_given: object, **_named: object) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(Path, "mkdir", fail)
    with pytest.raises(kind), private_folder(tmp_path / "calibrate"):
        pass
