"""Verification: everything that can happen to a published folder is found and named."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from calib.archive.outputs import FileOutput
from calib.archive.publish import Publication, publish
from calib.errors import ArchiveError
from calib.ids import parse_dataset

Make = Callable[..., Publication]
DATASET = parse_dataset("j8bt05njq")
PRODUCT = "j8bt05njq_flt.fits"


@pytest.fixture
def folder(make: Make, output: Path) -> Path:
    """Return the folder of a good publication."""
    publish(make(), output)
    return output / "runs/first/acs/j8bt05njq"


def troubles(output: Path, *, deep: bool = True) -> list[tuple[str, str]]:
    """Return kind and file name of each problem."""
    return [
        (found.kind, Path(found.path).name)
        for found in FileOutput(output).verify(DATASET, deep=deep)
    ]


def replace_by(content: bytes) -> Callable[[Path], object]:
    """Return a function that overwrites a file."""
    return lambda path: path.write_bytes(content)


def replace_by_link(path: Path) -> None:
    """Put a link to the same bytes in a file's place, of the same size by itself."""
    hidden = path.with_name("hidden")
    text = "./" * 9 + hidden.name
    path.rename(hidden)
    path.symlink_to(text)
    assert path.lstat().st_size == hidden.stat().st_size == 24


def replace_by_pipe(path: Path) -> None:
    """Put something in a file's place that would block a reader."""
    path.unlink()
    os.mkfifo(path)


def replace_by_folder(path: Path) -> None:
    """Put an empty folder in a file's place."""
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (Path.unlink, [("missing", PRODUCT)]),
        (replace_by(b"short"), [("changed", PRODUCT)]),
        (replace_by_link, [("changed", PRODUCT), ("orphaned", "hidden")]),
        (replace_by_pipe, [("changed", PRODUCT)]),
        (replace_by_folder, [("changed", PRODUCT)]),
    ],
)
@pytest.mark.parametrize("deep", [True, False])
def test_damage(
    folder: Path,
    output: Path,
    spoil: Callable[[Path], object],
    found: list[tuple[str, str]],
    deep: bool,
) -> None:
    """A lost, cut or replaced file is found, with and without checksums."""
    spoil(folder / PRODUCT)

    assert troubles(output, deep=deep) == found


def test_one_changed_bit(folder: Path, output: Path) -> None:
    """A change that keeps the size is found by checksum only."""
    content = bytearray((folder / PRODUCT).read_bytes())
    content[3] ^= 1
    (folder / PRODUCT).write_bytes(content)

    assert troubles(output, deep=False) == []
    assert troubles(output) == [("changed", PRODUCT)]
    assert str(FileOutput(output).verify(DATASET)[0]).startswith(
        f"changed: {folder / PRODUCT}: sha256 "
    )


def test_orphans(folder: Path, output: Path) -> None:
    """Files and links that the manifest does not name are listed, at any depth."""
    (folder / "stray.fits").touch()
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "x").touch()
    (folder / "away").symlink_to("/")

    assert troubles(output) == [("orphaned", "away"), ("orphaned", "x"), ("orphaned", "stray.fits")]


def test_folder_replaced_by_a_link(folder: Path, output: Path) -> None:
    """A role's folder that became a link is an orphan, though the same bytes lie behind it."""
    (folder / "logs").rename(output / "logs")
    (folder / "logs").symlink_to(output / "logs")

    assert troubles(output) == [("orphaned", "logs")]


def test_unreadable_file(folder: Path, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that the disk cannot give back is a problem of its own, not the end of the check."""
    (folder / "stray.fits").touch()

    def broken(*_: object) -> int:
        raise OSError(5, os.strerror(5))

    monkeypatch.setattr(os, "readv", broken)

    kinds = [kind for kind, _ in troubles(output)]
    assert kinds == ["unreadable"] * 4 + ["orphaned"]


@pytest.mark.parametrize(
    ("spoil", "kind"), [(Path.unlink, "missing"), (replace_by(b"{}"), "unreadable")]
)
def test_manifest_itself(
    folder: Path, output: Path, spoil: Callable[[Path], object], kind: str
) -> None:
    """Without a manifest that can be believed nothing else can be said."""
    spoil(folder / "manifest.json")

    assert troubles(output) == [(kind, "manifest.json")]


def test_manifest_with_another_checksum(make: Make, output: Path) -> None:
    """A manifest rewritten to fit changed files is found by the checksum the ledger keeps."""
    archived = publish(make(), output)
    sha256 = archived.manifest_sha256

    assert FileOutput(output).verify(DATASET, manifest_sha256=sha256) == []
    (problem,) = FileOutput(output).verify(DATASET, manifest_sha256="0" * 64)
    assert (problem.kind, Path(problem.path).name) == ("changed", "manifest.json")


def test_a_run_by_name(make: Make, output: Path) -> None:
    """Each run is verified on its own; without a name the current one is."""
    publish(make(), output)
    publish(make(run="second", content=b"better"), output)
    (output / "runs/first/acs/j8bt05njq" / PRODUCT).unlink()

    assert FileOutput(output).verify(DATASET) == []
    assert len(FileOutput(output).verify(DATASET, run="first")) == 1


def test_nothing_to_verify(make: Make, output: Path) -> None:
    """A dataset or run that is not there is an error, not a clean bill."""
    with pytest.raises(ArchiveError, match="nothing is published"):
        FileOutput(output).verify(DATASET)

    publish(make(), output)

    with pytest.raises(ArchiveError, match="nothing is published"):
        FileOutput(output).verify(DATASET, run="second")
    (output / "runs").rename(output / "gone")
    with pytest.raises(ArchiveError, match="nothing is published"):
        FileOutput(output).verify(DATASET)
