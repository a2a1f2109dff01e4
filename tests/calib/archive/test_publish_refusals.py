"""What publication refuses, before it has written anything that lasts."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from calib.archive import layout, staging
from calib.archive.publish import File, Publication, make_current, publish
from calib.archive.removal import remove
from calib.errors import ARCHIVE, ArchiveError, ConfigError
from calib.ids import DatasetId, parse_dataset

Make = Callable[..., Publication]
DATASET = parse_dataset("j8bt05njq")


def source(kind: str, folder: Path) -> Path:
    """Make something that is not an ordinary file."""
    path = folder / "thing.fits"
    if kind == "a folder":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a dangling link":
        path.symlink_to("nowhere")
    return path


@pytest.mark.parametrize("kind", ["nothing", "a folder", "a pipe", "a dangling link"])
def test_source_must_be_a_file(make: Make, output: Path, tmp_path: Path, kind: str) -> None:
    """What is not an ordinary file is named, before anything is written."""
    path = source(kind, tmp_path)

    with pytest.raises(ArchiveError, match=r"cannot read|not an ordinary file") as caught:
        publish(make(files=(File("product", path),)), output)

    assert caught.value.path == str(path)
    assert not output.exists()


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("manifest.json", "product"),
        ("logs", "product"),
        (".hidden", "product"),
        ("two words.fits", "product"),
        ("line\nbreak.fits", "log"),
        ("x" * 201, "product"),
        ("fine.fits", "secret"),
    ],
)
def test_names_are_checked(
    make: Make, output: Path, tmp_path: Path, name: str, role: layout.Role
) -> None:
    """Names that could hide, collide or confuse are refused before anything is written."""
    path = tmp_path / name
    path.touch()

    with pytest.raises(ArchiveError):
        publish(make(files=(File(role, path),)), output)

    assert not output.exists()


def test_two_files_of_one_name(make: Make, output: Path, tmp_path: Path) -> None:
    """The same name twice in one folder of a publication is refused, and said."""
    path = tmp_path / "x.fits"
    path.touch()

    with pytest.raises(ArchiveError, match=r"two files of the same name.*found x\.fits"):
        publish(make(files=(File("product", path), File("product", path))), output)


def test_nothing_is_not_published(make: Make, output: Path) -> None:
    """A dataset without files is no publication."""
    with pytest.raises(ArchiveError, match="nothing to publish"):
        publish(make(files=()), output)


@pytest.mark.parametrize("run", ["", "../x", "/etc", "Upper", ".dot", "a/b", "a b", "a" * 101])
def test_run_names_are_checked(make: Make, output: Path, run: str) -> None:
    """A run's name cannot leave the output folder, or differ by case only."""
    with pytest.raises(ConfigError, match="not a name for a run"):
        publish(dataclasses.replace(make(), run=run), output)

    assert not output.exists()


def test_handmade_dataset_is_refused(make: Make, output: Path) -> None:
    """A dataset record that no name parses to cannot be used to leave the output folder."""
    with pytest.raises(ConfigError):
        publish(make(dataset=DatasetId("../../x", "ipst", "acs")), output)
    with pytest.raises(ConfigError):
        publish(make(dataset=DatasetId("j8bt05njq", "ipst", "../acs")), output)


@pytest.mark.parametrize("place", ["data/acs/j8bt05njq", "data", "runs/first/acs/j8bt05njq", "."])
def test_obstacles_are_named(
    make: Make, output: Path, leftovers: Callable[[Path], list[str]], place: str
) -> None:
    """A file where a folder or the pointer belongs is an archive error, and survives."""
    obstacle = output / place
    obstacle.parent.mkdir(parents=True, exist_ok=True)
    obstacle.write_text("mine")

    with pytest.raises(ArchiveError) as caught:
        publish(make(), output)

    assert caught.value.code == ARCHIVE
    assert str(obstacle) in str(caught.value)
    assert obstacle.read_text() == "mine"
    assert leftovers(output) == []


def test_folder_in_the_pointers_place(make: Make, output: Path) -> None:
    """CALDP's own folder of the same name is not replaced by a link."""
    old = output / "data" / "acs" / "j8bt05njq"
    old.mkdir(parents=True)

    with pytest.raises(ArchiveError, match="found a folder"):
        publish(make(), output)

    assert old.is_dir()
    assert not (output / "runs").exists()


def test_foreign_link_in_the_pointers_place(make: Make, output: Path, tmp_path: Path) -> None:
    """A link that the archive did not make is neither followed nor replaced."""
    link = output / "data" / "acs" / "j8bt05njq"
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path)

    with pytest.raises(ArchiveError, match="not made by the archive"):
        publish(make(), output)

    assert link.resolve() == tmp_path.resolve()


@pytest.mark.parametrize("detour", ["runs/first", "runs/first/acs", "data/acs", "data"])
def test_nothing_leaves_the_output_folder(
    make: Make, output: Path, tmp_path: Path, detour: str
) -> None:
    """A link on the way does not lead publication out of the output folder."""
    outside = tmp_path / "outside"
    outside.mkdir()
    link = output / detour
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)

    with pytest.raises(ArchiveError, match="a link is in the way"):
        publish(make(), output)

    assert not [*outside.iterdir()]


@pytest.fixture
def linked_staging(output: Path, tmp_path: Path) -> Path:
    """Return somebody else's folder, which the staging folder of a run leads to."""
    outside = tmp_path / "outside"
    dead = outside / f"x+{staging._place()}+4194303+1+00000000"  # no process has this number
    dead.mkdir(parents=True)
    (output / "runs" / "first").mkdir(parents=True, exist_ok=True)
    shutil.rmtree(output / "runs" / "first" / ".staging", ignore_errors=True)
    (output / "runs" / "first" / ".staging").symlink_to(outside)
    assert staging.is_abandoned(dead)
    return dead


def test_staging_does_not_leave_the_output_folder(
    make: Make, output: Path, linked_staging: Path
) -> None:
    """Neither is anything written behind a link, nor swept away there."""
    with pytest.raises(ArchiveError, match="a link is in the way"):
        publish(make(), output)

    assert [*linked_staging.parent.iterdir()] == [linked_staging]


def test_staging_of_a_published_run_does_not_leave_the_output_folder(
    make: Make, output: Path, request: pytest.FixtureRequest
) -> None:
    """A link that came later stops removal and going back."""
    publish(make(created="01"), output)
    publish(make(run="second", content=b"better", created="02"), output)
    dead = request.getfixturevalue("linked_staging")

    for change in (remove, lambda o, r, d: make_current(o, d, r)):
        with pytest.raises(ArchiveError, match="a link is in the way"):
            change(output, "first", DATASET)

    assert [*dead.parent.iterdir()] == [dead]


@pytest.mark.parametrize(
    "provenance", [{"x": float("nan")}, {"x": object()}, {"x": "\ud800"}, {"x": {1, 2}}]
)
def test_provenance_must_be_json(
    make: Make, output: Path, leftovers: Callable[[Path], list[str]], provenance: dict[str, object]
) -> None:
    """A manifest that could not be read back is never published."""
    with pytest.raises(ArchiveError, match="provenance cannot be written"):
        publish(make(provenance=provenance), output)

    assert not [*output.rglob("manifest.json")]
    assert leftovers(output) == []
