"""Message files: the names operators know, exactly one at a time."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.archive.messages import Style, write_message
from calib.errors import ArchiveError, ConfigError

FLAT = {
    "submit": "submit-j8bt05njq",
    "processing": "processing-j8bt05njq",
    "processed": "processed-j8bt05njq.trigger",
    "error": "error-j8bt05njq",
    "terminated": "terminated-j8bt05njq",
}
FOLDERS = {
    "processed": "datasets-processed/j8bt05njq",
    "synced": "dataset-synced/j8bt05njq",
    "archived": "dataset-archived/j8bt05njq",
    "error": "dataset-error/j8bt05njq",
}
STYLES: list[Style] = ["flat", "folders"]
STATES = [*FLAT, "synced", "archived"]


def messages(folder: Path) -> list[str]:
    """Return every message file, and whatever else was left."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(("state", "name"), FLAT.items())
def test_flat(tmp_path: Path, state: str, name: str) -> None:
    """Flat messages bear CALDP's names and hold the state, then a line per archived file."""
    path = write_message(tmp_path / "messages", "flat", state, "j8bt05njq", ["/a.fits", "/b.fits"])

    assert path == tmp_path / "messages" / name
    assert path.read_text() == f"{state}\n/a.fits\n/b.fits\n"
    assert messages(tmp_path / "messages") == [name]


@pytest.mark.parametrize(("state", "name"), FOLDERS.items())
def test_folders(tmp_path: Path, state: str, name: str) -> None:
    """In folders the place is the state; only the first of them is empty, as documented."""
    path = write_message(tmp_path, "folders", state, "J8BT05NJQ", ["/a.fits"])

    assert path == tmp_path / name
    assert path.read_text() == ("" if state == "processed" else f"{state}\n/a.fits\n")
    assert messages(tmp_path) == [name]


@given(states=st.lists(st.sampled_from(STATES), max_size=5), style=st.sampled_from(STYLES))
def test_one_message_at_a_time(states: list[str], style: Style) -> None:
    """After any history a dataset has the message of its last state that has one, alone."""
    names = FLAT if style == "flat" else FOLDERS
    folder = Path(os.environ["HOME"]) / f"{style}-{'-'.join(states)}"
    write_message(folder, style, "error", "ibc604b9q")
    other = messages(folder)
    expected: str | None = None
    for state in states:
        path = write_message(folder, style, state, "j8bt05njq")
        assert path == (folder / names[state] if state in names else None)
        if state in names or style == "folders":
            expected = names.get(state)
        assert messages(folder) == sorted([*other, *([expected] if expected else [])])


def test_same_message_twice(tmp_path: Path) -> None:
    """Writing a state again replaces what it said."""
    write_message(tmp_path, "flat", "error", "j8bt05njq", ["first"])
    path = write_message(tmp_path, "flat", "error", "j8bt05njq", ["second"])

    assert path is not None
    assert path.read_text() == "error\nsecond\n"


@pytest.mark.parametrize(
    ("style", "state", "dataset"),
    [
        ("flat", "processed", "../j8bt05njq"),
        ("flat", "planned", "j8bt05njq"),
        ("flat", "../x", "j8bt05njq"),
        ("none", "error", "j8bt05njq"),
    ],
)
def test_what_is_no_message(tmp_path: Path, style: Style, state: str, dataset: str) -> None:
    """Unknown styles, states and datasets are refused before anything is written."""
    with pytest.raises(ConfigError):
        write_message(tmp_path / "messages", style, state, dataset)

    assert [*tmp_path.iterdir()] == []


def test_crash_at_every_call(
    tmp_path: Path, faults: Any, power_cut: type[BaseException], leftovers: Callable[..., list[str]]
) -> None:
    """Wherever the machine stops there is a whole message, old or new; the next one tidies up."""
    old, new = "error-j8bt05njq", "processing-j8bt05njq"

    def write(folder: Path) -> None:
        write_message(folder, "flat", "processing", "j8bt05njq", ["x"])

    write_message(tmp_path / "undisturbed", "flat", "error", "j8bt05njq")
    with faults.at(-1, RuntimeError()):
        write(tmp_path / "undisturbed")
    for number in range(faults.count):
        folder = tmp_path / f"cut{number}"
        write_message(folder, "flat", "error", "j8bt05njq")
        with faults.at(number, power_cut()), pytest.raises(power_cut):
            write(folder)
        shown = [name for name in messages(folder) if not name.startswith(".staging")]
        assert shown in ([old], [new, old], [old, new], [new])
        if new in shown:
            assert (folder / new).read_text() == "processing\nx\n"
        write(folder)
        assert messages(folder) == [new]
        assert leftovers(folder) == []

    assert faults.count > 5


def test_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is an archive error, and the earlier message is still there."""
    write_message(tmp_path, "flat", "processing", "j8bt05njq")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)

    with pytest.raises(ArchiveError, match="disk is full"):
        write_message(tmp_path, "flat", "processed", "j8bt05njq")

    assert messages(tmp_path) == ["processing-j8bt05njq"]
