"""A manifest names datasets, one a line, with what is meant for each alone."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from calib.campaigns.manifest import (
    entries_of,
    read_entries,
)
from calib.errors import ConfigError


def test_names_in_order_each_once(tmp_path: Path) -> None:
    """Comments and blank lines are passed over, capitals and repetitions folded."""
    path = tmp_path / "night.txt"
    path.write_text("# tonight\nj8bt06o6q\n\nJ8BT05NJQ  # first\nj8bt06o6q\n")

    assert [each.dataset.name for each in read_entries(path)] == ["j8bt06o6q", "j8bt05njq"]


def test_all_bad_lines_are_named(tmp_path: Path) -> None:
    """One run shows every mistake, with its line."""
    path = tmp_path / "night.txt"
    path.write_text("j8bt06o6q\nnonsense\n\nj8bt05nj\n")

    with pytest.raises(
        ConfigError, match=r"(?s)line 2: .*'nonsense'.*line 4: .*'j8bt05nj'"
    ) as caught:
        read_entries(path)
    assert caught.value.path == str(path)


@pytest.mark.parametrize("content", [b"", b"# nothing\n\n", b"\xff\xfe"])
def test_manifest_without_a_name_is_refused(tmp_path: Path, content: bytes) -> None:
    """An empty or unreadable manifest is a mistake, not a campaign of nothing."""
    path = tmp_path / "night.txt"
    path.write_bytes(content)

    with pytest.raises(ConfigError):
        read_entries(path)


def test_missing_manifest_is_refused(tmp_path: Path) -> None:
    """The error names the file."""
    with pytest.raises(ConfigError, match="manifest cannot be read"):
        read_entries(tmp_path / "nothing.txt")


def test_names_are_numbered() -> None:
    """A bad name in a list is found by its number."""
    with pytest.raises(ConfigError, match=r"name 2: .*'x'"):
        entries_of(["j8bt06o6q", "x"])


def write(folder: Path, text: str, name: str = "night.txt") -> Path:
    """Write a manifest."""
    path = folder / name
    path.write_text(text)
    return path


def test_what_is_said_of_a_dataset(tmp_path: Path) -> None:
    """Words after the name are its overrides; quotes keep blanks and marks together."""
    text = "j8bt06o6q\nj8bt05njq rung=16  retries=5 # more\nj8bt07oyq env.A='x # y'\n"
    first, second, third = read_entries(write(tmp_path, text))

    assert (first.dataset.name, bool(first.overrides)) == ("j8bt06o6q", False)
    assert (second.overrides.rung, second.overrides.retries) == (16 * 10**9, 5)
    assert third.overrides.env == {"A": "x # y"}


def test_all_bad_overrides_are_named(tmp_path: Path) -> None:
    """Names, keys, values and quotes that are wrong come in one message, each with its line."""
    text = "j8bt06o6q rung=x\nj8bt05njq\nj8bt07oyq rungs=8\nnobody\nj8bt08ozq env.A='x\n"
    with pytest.raises(ConfigError) as caught:
        read_entries(write(tmp_path, text))
    message = str(caught.value)
    assert [f"line {number}:" in message for number in range(1, 6)] == [True, False] + [True] * 3
    assert "4 wrong in the list" in message


def test_same_dataset_twice(tmp_path: Path) -> None:
    """In the same words it counts once, in other words it is a contradiction."""
    entries = read_entries(write(tmp_path, "j8bt06o6q rung=8\nJ8BT06O6Q rung=8GB\n"))
    assert [each.dataset.name for each in entries] == ["j8bt06o6q"]
    with pytest.raises(ConfigError, match="line 3: j8bt06o6q is said otherwise in line 1"):
        read_entries(write(tmp_path, "j8bt06o6q rung=8\nj8bt05njq\nj8bt06o6q\n"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "j8bt05njq: {rung: 16, set: [DARKCORR=OMIT]}\nj8bt06o6q:\n"),
        ("a.yml", "- {id: j8bt05njq, rung: 16, set: {DARKCORR: OMIT}}\n- j8bt06o6q\n"),
        ("a.json", '{"j8bt05njq": {"rung": "16GB", "set": ["DARKCORR=OMIT"]}, "j8bt06o6q": {}}'),
        ("a.JSON", '[{"id": "j8bt05njq", "rung": 16, "set": ["DARKCORR=OMIT"]}, "j8bt06o6q"]'),
        ("a.txt", "j8bt05njq rung=16 set=DARKCORR=OMIT\nj8bt06o6q\n"),
    ],
)
def test_kinds_of_manifests(tmp_path: Path, name: str, text: str) -> None:
    """YAML and JSON say the same as lines of text."""
    first, second = read_entries(write(tmp_path, text, name))
    assert (first.dataset.name, first.overrides.rung) == ("j8bt05njq", 16 * 10**9)
    assert first.overrides.switches.switches == {"DARKCORR": "OMIT"}
    assert (second.dataset.name, bool(second.overrides)) == ("j8bt06o6q", False)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yaml", "a: [", "not YAML"),
        ("a.yaml", "!!python/object:os.system {}", "not YAML"),
        ("a.json", "{", "not JSON"),
        ("a.json", "3", "not a manifest"),
        ("a.json", '["j8bt05njq", 3]', "entry 2"),
        ("a.json", '[{"rung": 8}]', "entry 1"),
        ("a.json", '{"j8bt05njq": 8}', "entry 1: no such key"),
        ("a.json", "[]", "no dataset"),
        ("a.yaml", "", "not a manifest"),
    ],
)
def test_bad_kinds_are_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    """What does not parse, or is something else, is a ConfigError that names the file."""
    with pytest.raises(ConfigError, match=message) as caught:
        read_entries(write(tmp_path, text, name))
    assert caught.value.path is not None


def test_names_with_words() -> None:
    """A list of names may say the same as a manifest."""
    (entry,) = entries_of(["j8bt05njq rung=8"])
    assert entry.overrides.rung == 8 * 10**9


def test_large_manifest_is_read_fast(tmp_path: Path) -> None:
    """100,000 lines take less than two seconds of CPU."""
    lines = (f"j{n:07d}q rung={n % 7 + 1} priority={n % 3}\n" for n in range(100_000))
    path = write(tmp_path, "".join(lines))
    start = time.process_time()
    assert len(read_entries(path)) == 100_000
    assert time.process_time() - start < 2
