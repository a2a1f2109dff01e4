"""Removal leaves a version whole or takes it away, whatever stops the machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import pytest

from calib.archive import removal
from calib.archive.outputs import FileOutput, Output
from calib.archive.publish import Publication
from calib.archive.store_holdings import place_of, pointer_bytes, pointer_key
from calib.archive.store_output import StoreOutput
from calib.errors import ArchiveError, ConfigError, HstflowError, Unavailable
from calib.ids import parse_dataset
from calib.stores import FileStore, S3Store

Make = Callable[..., Publication]
DATASET = parse_dataset("j8bt05njq")
CALLS = ("head", "read", "put_if_absent", "replace", "delete", "list_keys")


class Injector(Protocol):
    """What the tests use of conftest's Faults."""

    count: int

    def at(self, number: int, error: BaseException) -> Any:
        """Make call `number` fail."""


def publish_two(output: Output, make: Make) -> None:
    """Publish an old version, then the current one."""
    output.publish(make(run="old", created="01"))
    output.publish(make(run="new", content=b"new", created="02"))


def runs(output: Output) -> list[str]:
    """Return the runs that hold something."""
    return sorted(each.run for each in output.publications())


def test_an_old_version_goes_and_the_current_one_stays(make: Make, place: Output) -> None:
    """All its files, and the run that is empty now; a second time there is nothing to do."""
    publish_two(place, make)

    assert place.remove("old", DATASET)

    assert runs(place) == ["new"]
    assert place.verify(DATASET) == []
    assert [*place.strays()] == []
    assert not place.remove("old", DATASET)
    if isinstance(place, StoreOutput):
        assert [*place.store.list_keys("runs/old")] == []
    elif isinstance(place, FileOutput):
        assert os.listdir(place.folder / "runs") == ["new"]  # noqa: PTH208 - names


def test_the_current_version_is_never_removed(make: Make, place: Output) -> None:
    """The refusal says which it is, and nothing is touched."""
    publish_two(place, make)
    with pytest.raises(ArchiveError, match="current version is never removed") as caught:
        place.remove("new", DATASET)

    assert caught.value.dataset == "j8bt05njq"
    assert runs(place) == ["new", "old"]
    assert place.verify(DATASET, run="new") == []


@pytest.mark.parametrize("run", ["../new", "", "Capital", ".staging", "a/b"])
def test_odd_names_of_runs_are_refused(make: Make, output: Path, run: str) -> None:
    """No name leads out of the output."""
    place = FileOutput(output)
    publish_two(place, make)
    with pytest.raises(ConfigError):
        StoreOutput(FileStore(output)).remove(run, DATASET)
    with pytest.raises(ConfigError):
        place.remove(run, DATASET)
    assert runs(place) == ["new", "old"]


def test_a_removed_version_can_be_published_again(make: Make, place: Output) -> None:
    """The place is free, and the newer version stays current."""
    publish_two(place, make)
    place.remove("old", DATASET)

    assert not place.publish(make(run="old", created="01")).already_there
    assert runs(place) == ["new", "old"]


def test_a_link_is_not_followed(make: Make, output: Path, tmp_path: Path) -> None:
    """What lies elsewhere stays, whether the run, the dataset or a file is the link."""
    publish_two(FileOutput(output), make)
    other = tmp_path / "others"
    publish_two(FileOutput(other), make)
    (output / "runs" / "linked").symlink_to(other / "runs" / "old")
    (output / "runs" / "old" / "acs" / "j8bt05njq" / "link").symlink_to(other / "runs")
    with pytest.raises(ArchiveError, match="a link is in the way"):
        removal.remove(output, "linked", DATASET)

    assert removal.remove(output, "old", DATASET)

    assert runs(FileOutput(other)) == ["new", "old"]
    assert FileOutput(other).verify(DATASET, run="old") == []


def test_power_cut_at_every_call(
    make: Make,
    tmp_path: Path,
    faults: Injector,
    power_cut: type[BaseException],
    leftovers: Callable[[Path], list[str]],
) -> None:
    """The old version is whole or gone wherever the machine stops; the next try finishes."""

    def prepared(name: str) -> Path:
        publish_two(FileOutput(tmp_path / name), make)
        return tmp_path / name

    undisturbed = prepared("undisturbed")
    with faults.at(-1, RuntimeError()):
        removal.remove(undisturbed, "old", DATASET)
    calls, seen = faults.count, set()
    for number in range(calls):
        output = prepared(f"cut{number}")
        with faults.at(number, power_cut()), pytest.raises(power_cut):
            removal.remove(output, "old", DATASET)
        there = "old" in runs(FileOutput(output))
        seen.add(there)
        assert not there or FileOutput(output).verify(DATASET, run="old") == []
        assert FileOutput(output).verify(DATASET, run="new") == []
        removal.remove(output, "old", DATASET)
        assert runs(FileOutput(output)) == ["new"]
        assert leftovers(output) == []

    assert calls > 8
    assert seen == {True, False}


class Cut(BaseException):
    """Stands for whatever stops a process between two calls of the store."""


@pytest.mark.parametrize("error", [Cut(), Unavailable("gone")], ids=["cut", "unavailable"])
def test_a_store_that_fails_at_every_call(make: Make, tmp_path: Path, error: BaseException) -> None:
    """No manifest without its files, whichever call is the last; the next try finishes."""
    number, seen = 0, set()
    while number < 60:
        output = StoreOutput(FileStore(tmp_path / f"store{number}"))
        publish_two(output, make)
        with pytest.MonkeyPatch.context() as patch:
            is_done = removed_until(patch, number, error, output)
        seen.add(there := "old" in runs(output))
        assert not there or output.verify(DATASET, run="old") == []
        assert output.verify(DATASET, run="new") == []
        if is_done:
            break
        # The claim of this very process may be left: it counts as living, so it has to expire.
        for claim in (output.store.root / "runs").rglob(".claims/**/*.json"):  # type: ignore[attr-defined]
            os.utime(claim, (0, 0))
        output.remove("old", DATASET)
        assert runs(output) == ["new"]
        assert [*output.store.list_keys("runs/old/acs")] == []
        number += 1

    assert number > 8
    assert seen == {True, False}


def removed_until(
    patch: pytest.MonkeyPatch, number: int, error: BaseException, output: StoreOutput
) -> bool:
    """Remove with a store that fails from one call on; tell whether it came to the end."""
    calls: list[str] = []
    for name in CALLS:
        original = getattr(FileStore, name)

        def wrapped(*args: Any, _name: str = name, _call: Any = original, **kwargs: Any) -> Any:
            calls.append(_name)
            if len(calls) > number:
                raise error
            return _call(*args, **kwargs)

        patch.setattr(FileStore, name, wrapped)
    try:
        output.remove("old", DATASET)
    except (Cut, HstflowError):
        return False
    return len(calls) <= number


def test_a_version_made_current_meanwhile_comes_back(
    make: Make, place: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between look and removal somebody goes back to it: it stays, whole."""
    publish_two(place, make)
    refuse = removal._refuse_current
    asked = []

    def then_made_current(*args: Any) -> None:
        refuse(*args)
        asked.append(args)
        if len(asked) == 1:
            place.make_current(DATASET, "old")

    monkeypatch.setattr(removal, "_refuse_current", then_made_current)
    with pytest.raises(ArchiveError, match="never removed"):
        place.remove("old", DATASET)

    assert runs(place) == ["new", "old"]
    assert place.verify(DATASET) == []


def test_many_at_once(make: Make, output: Path) -> None:
    """Threads that empty a run together never take its folders from under each other."""
    place = FileOutput(output)
    letters = "abcdefghijkl"
    names = [parse_dataset(f"{first}8bt05n{letter}q") for letter in letters for first in "ji"]
    for name in names:
        place.publish(make(run="old", created="01", dataset=name))
        place.publish(make(run="new", created="02", dataset=name))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda name: place.remove("old", name), names))

    assert not (output / "runs" / "old").exists()
    assert len([*place.publications()]) == len(names)


@pytest.mark.parametrize("becomes_current", [False, True])
def test_folder_that_another_one_drops(
    make: Make, output: Path, monkeypatch: pytest.MonkeyPatch, *, becomes_current: bool
) -> None:
    """The folder of an instrument may go when it is empty; what is current comes back."""
    place = FileOutput(output)
    publish_two(place, make)
    sync = removal.sync_folder

    def drop_first(folder: Path) -> None:
        monkeypatch.setattr(removal, "sync_folder", sync)
        folder.rmdir()
        if becomes_current:
            monkeypatch.setattr(removal.pointer, "current_run", lambda *_: "old")
        sync(folder)

    monkeypatch.setattr(removal, "sync_folder", drop_first)

    if not becomes_current:
        assert place.remove("old", DATASET)
        return
    with pytest.raises(ArchiveError, match="current version"):
        place.remove("old", DATASET)
    assert any((output / "runs" / "old").rglob("manifest.json"))


def test_keys_beside_the_prefix_stay(make: Make, bucket: str) -> None:
    """Neither another prefix that begins alike nor a dataset that does is touched."""
    inner, beside = StoreOutput(S3Store(bucket, "a")), StoreOutput(S3Store(bucket, "a/runs/old"))
    publish_two(inner, make)
    beside.store.replace(pointer_key(DATASET), pointer_bytes("x", DATASET))
    inner.store.replace(f"{place_of('old', DATASET)}x/file", b"x")

    assert inner.remove("old", DATASET)

    assert beside.pointed_run(DATASET) == "x"
    assert inner.store.read(f"{place_of('old', DATASET)}x/file") is not None
