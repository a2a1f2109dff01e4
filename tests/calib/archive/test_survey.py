"""Everything below an output is found, and everything that does not belong is named."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from calib.archive.outputs import FileOutput, Output
from calib.archive.publish import Publication
from calib.archive.staging import staged
from calib.archive.store_holdings import pointer_bytes
from calib.archive.store_output import StoreOutput
from calib.archive.survey import Place
from calib.errors import ArchiveError
from calib.ids import parse_dataset
from calib.stores import S3Store
from calib.stores.s3_client import open_client

Make = Callable[..., Publication]
DATASET = parse_dataset("j8bt05njq")
OTHER = parse_dataset("iaaua1n4q")


def found(output: Output) -> set[tuple[str, str]]:
    """Return kind and path below the output of every stray."""
    return {(p.kind, p.path.split("/out/")[-1].split("/archive/")[-1]) for p in output.strays()}


def put_raw(bucket: str, key: str) -> None:
    """Store an object under a key that our own store would refuse."""
    client = open_client(os.environ["AWS_ENDPOINT_URL_S3"], anonymous=False)
    client.put_object(Bucket=bucket, Key=key, Body=b"{}")


def test_an_empty_output_holds_nothing(place: Output) -> None:
    """Neither publications nor strays, and nothing is made by looking."""
    assert [*place.publications()] == []
    assert [*place.strays()] == []


def test_every_version_of_every_dataset_is_found(make: Make, place: Output) -> None:
    """Each once, with the URI that publication gave."""
    expected = {
        Place(run, dataset, place.publish(make(run=run, dataset=dataset)).uri)
        for run in ("first", "first-2")
        for dataset in (DATASET, OTHER)
    }

    places = [*place.publications()]
    assert len(places) == len(expected)
    assert {*places} == expected
    assert all(place.manifest(run, dataset).run == run for run, dataset, _ in places)
    assert [*place.strays()] == []


def test_strange_things_in_a_folder_are_named(make: Make, output: Path) -> None:
    """Links, odd names, files in the place of folders and lost pointers; none is followed."""
    FileOutput(output).publish(make())
    elsewhere = output.parent / "elsewhere" / "acs" / "j8bt05njq"
    elsewhere.mkdir(parents=True)
    (elsewhere / "manifest.json").write_text("{}")
    runs, data = output / "runs", output / "data"
    (runs / "linked").symlink_to(elsewhere.parents[1])
    (runs / "Capital").mkdir()
    (runs / "notes.txt").touch()
    first = runs / "first"
    (first / "wfc3").symlink_to(elsewhere.parent)
    (first / "acs" / "j8bt05nkq").symlink_to(elsewhere)
    (first / "acs" / "iaaua1n4q").mkdir()
    (first / "acs" / "J8BT05NLQ").mkdir()
    (first / "acs" / "tab\there").mkdir()
    (first / "acs" / "j8bt05nmq").mkdir()
    (first / "acs" / "j8bt05npq").mkdir()
    (first / "acs" / "j8bt05npq" / "manifest.json").symlink_to(elsewhere / "manifest.json")
    (data / "acs" / "j8bt05nkq").symlink_to("../../runs/first/acs/j8bt05nkq/../x")
    (data / "acs" / "j8bt05nlq").symlink_to("../../runs/gone/acs/j8bt05nlq")
    (data / "acs" / "j8bt05nmq").mkdir()
    (data / "cos").symlink_to(elsewhere)
    (data / "acs" / "readme").touch()
    (output / "my own file").touch()

    assert found(FileOutput(output)) == {
        ("orphaned", "runs/linked"),
        ("orphaned", "runs/Capital"),
        ("orphaned", "runs/notes.txt"),
        ("orphaned", "runs/first/wfc3"),
        ("orphaned", "runs/first/acs/j8bt05nkq"),
        ("orphaned", "runs/first/acs/iaaua1n4q"),
        ("orphaned", "runs/first/acs/J8BT05NLQ"),
        ("orphaned", "runs/first/acs/tab\\there"),
        ("missing", "runs/first/acs/j8bt05nmq"),
        ("changed", "runs/first/acs/j8bt05npq/manifest.json"),
        ("changed", "data/acs/j8bt05nkq"),
        ("missing", "data/acs/j8bt05nlq"),
        ("changed", "data/acs/j8bt05nmq"),
        ("orphaned", "data/cos"),
        ("orphaned", "data/acs/readme"),
    }
    assert [each.run for each in FileOutput(output).publications()] == ["first"]


def test_a_linked_area_is_not_entered(make: Make, output: Path, tmp_path: Path) -> None:
    """A link in the place of runs/ leads to somebody else's publications."""
    FileOutput(tmp_path / "others").publish(make())
    output.mkdir()
    (output / "runs").symlink_to(tmp_path / "others" / "runs")

    assert [*FileOutput(output).publications()] == []
    assert found(FileOutput(output)) == {("orphaned", "runs")}


def test_leftovers_of_the_dead_are_named(make: Make, output: Path) -> None:
    """A staging folder of a process that ended; one of a living process is work in progress."""
    FileOutput(output).publish(make())
    area = output / "runs" / "first" / ".staging"
    code = "from calib.archive.staging import owner_name; print(owner_name('j8bt05njq'))"
    dead = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    ).stdout.strip()
    with staged(area, "j8bt05njq"):
        for name in (dead, "strange"):
            (area / name).mkdir()

        assert found(FileOutput(output)) == {
            ("orphaned", f"runs/first/.staging/{dead}"),
            ("orphaned", "runs/first/.staging/strange"),
        }


class Closed:
    """Folders that may not be looked into; root may look everywhere, so this is played."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folders: set[Path] = set()
        for name in ("stat", "lstat", "open", "scandir", "listdir", "readlink"):
            monkeypatch.setattr(os, name, self._wrap(getattr(os, name)))

    def _wrap(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def refuse(path: Any, *args: Any, **kwargs: Any) -> Any:
            inner = Path(path) if isinstance(path, str | Path) else Path()
            if self.folders & {*inner.parents}:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return call(path, *args, **kwargs)

        return refuse


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> Closed:
    """Return the folders that may not be looked into."""
    return Closed(monkeypatch)


def test_a_closed_dataset_is_found_and_said(make: Make, output: Path, closed: Closed) -> None:
    """One folder without its x is told of; the others are looked at."""
    place = FileOutput(output)
    for dataset in (DATASET, OTHER):
        place.publish(make(dataset=dataset))
    closed.folders.add(output / "runs/first/acs/j8bt05njq")

    assert {each.dataset for each in place.publications()} == {DATASET, OTHER}
    assert found(place) == {("unreadable", "data/acs/j8bt05njq")}
    for question in (
        lambda: place.holds("first", DATASET),
        lambda: place.manifest_bytes("first", DATASET),
        lambda: place.current_manifest(DATASET),
    ):
        with pytest.raises(ArchiveError, match="Permission denied"):
            question()
    assert place.verify(OTHER) == []
    for run in (None, "first"):
        (problem,) = place.verify(DATASET, run=run)
        assert (problem.kind, problem.path.rpartition("/")[2]) == ("unreadable", "manifest.json")
    assert place.find_published(DATASET, make().fingerprint) is None


@pytest.mark.parametrize("name", ["data/acs", "runs/first/acs", "runs/first", "runs", "."])
def test_a_closed_folder_is_an_archive_error(
    make: Make, output: Path, closed: Closed, name: str
) -> None:
    """Where a listing cannot be had, nobody says that all is well."""
    place = FileOutput(output)
    place.publish(make())
    closed.folders.add(output / name)

    with pytest.raises(ArchiveError, match="Permission denied"):
        [*place.publications(), *place.strays(), place.pointed_run(DATASET)]


def test_strange_keys_in_a_store_are_named(make: Make, bucket: str) -> None:
    """What is neither publication, nor claim, nor pointer; keys outside the prefix stay out."""
    output = StoreOutput(S3Store(bucket, "archive"))
    output.publish(make())
    beside = S3Store(bucket, "archive2")
    beside.put_if_absent("runs/first/acs/j8bt05nkq/manifest.json", b"{}")
    for key in (
        "runs/notes",
        "runs/Capital/acs/j8bt05njq/manifest.json",
        "runs/first/acs/iaaua1n4q/manifest.json",
        "runs/first/acs/j8bt05nkq",
        "runs/first/acs/j8bt05nmq/j8bt05nmq_flt.fits",
        "runs/first/.claims/acs/j8bt05nkq.json",
        "data/acs/readme",
        "data/acs/j8bt05njq/readme",
    ):
        output.store.put_if_absent(key, b"{}")
    put_raw(bucket, "archive/runs/first/acs/../acs/j8bt05njq/manifest.json")
    put_raw(bucket, "archive/runs/first//j8bt05njq/manifest.json")
    put_raw(bucket, "archive/runs/first/acs/new\tline/manifest.json")
    output.store.replace("data/acs/j8bt05nkq/current.json", b"[]")
    output.store.replace(
        "data/acs/j8bt05nlq/current.json",
        pointer_bytes("gone", parse_dataset("j8bt05nlq")),
    )

    assert found(output) == {
        ("orphaned", "runs/notes"),
        ("orphaned", "runs/Capital/acs/j8bt05njq"),
        ("orphaned", "runs/first/acs/iaaua1n4q"),
        ("orphaned", "runs/first/acs/j8bt05nkq"),
        ("orphaned", "runs/first/acs/.."),
        ("orphaned", "runs/first//j8bt05njq"),
        ("orphaned", "runs/first/acs/new\\tline"),
        ("missing", "runs/first/acs/j8bt05nmq"),
        ("orphaned", "data/acs/readme"),
        ("orphaned", "data/acs/j8bt05njq/readme"),
        ("changed", "data/acs/j8bt05nkq/current.json"),
        ("missing", "data/acs/j8bt05nlq/current.json"),
    }
    assert [each.dataset for each in output.publications()] == [DATASET]
