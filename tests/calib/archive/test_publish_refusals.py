"""What publication refuses, before it has written anything that lasts."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from calib.archive import layout
from calib.archive.publish import File, Publication, publish
from calib.errors import ARCHIVE, ArchiveError, ConfigError
from calib.ids import DatasetId

Make = Callable[..., Publication]


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
