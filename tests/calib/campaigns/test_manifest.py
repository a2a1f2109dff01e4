"""A manifest names datasets, one a line; what is finished is not left to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from calib.campaigns.manifest import left_to_do, read_manifest, read_names
from calib.errors import ConfigError


def test_names_in_order_each_once(tmp_path: Path) -> None:
    """Comments and blank lines are passed over, capitals and repetitions folded."""
    path = tmp_path / "night.txt"
    path.write_text("# tonight\nj8bt06o6q\n\nJ8BT05NJQ  # first\nj8bt06o6q\n")

    assert [each.name for each in read_manifest(path)] == ["j8bt06o6q", "j8bt05njq"]


def test_all_bad_lines_are_named(tmp_path: Path) -> None:
    """One run shows every mistake, with its line."""
    path = tmp_path / "night.txt"
    path.write_text("j8bt06o6q\nnonsense\n\nj8bt05nj\n")

    with pytest.raises(
        ConfigError, match=r"(?s)line 2: .*'nonsense'.*line 4: .*'j8bt05nj'"
    ) as caught:
        read_manifest(path)
    assert caught.value.path == str(path)


@pytest.mark.parametrize("content", [b"", b"# nothing\n\n", b"\xff\xfe"])
def test_manifest_without_a_name_is_refused(tmp_path: Path, content: bytes) -> None:
    """An empty or unreadable manifest is a mistake, not a campaign of nothing."""
    path = tmp_path / "night.txt"
    path.write_bytes(content)

    with pytest.raises(ConfigError):
        read_manifest(path)


def test_missing_manifest_is_refused(tmp_path: Path) -> None:
    """The error names the file."""
    with pytest.raises(ConfigError, match="manifest cannot be read"):
        read_manifest(tmp_path / "nothing.txt")


def test_names_are_numbered() -> None:
    """A bad name in a list is found by its number."""
    with pytest.raises(ConfigError, match=r"name 2: .*'x'"):
        read_names(["j8bt06o6q", "x"])


def test_what_is_finished_is_not_left_to_do() -> None:
    """Published and skipped datasets are done; failed, blocked and new ones are not."""
    states = {
        "a": "processed",
        "b": "error",
        "c": "skipped",
        "d": "planned",
        "e": "archived",
        "f": "blocked",
        "g": "synced",
        "h": "submitted",
    }

    assert left_to_do(states) == ["b", "d", "f", "h"]
