"""Publishing: what lands where, what is refused, and which version is current."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from calib.archive import layout
from calib.archive.manifest import read_manifest
from calib.archive.outputs import FileOutput, Output
from calib.archive.publish import Publication, make_current, publish
from calib.errors import ARCHIVE, ArchiveError
from calib.ids import parse_dataset
from calib.records import Archived

Make = Callable[..., Publication]
DATASET = parse_dataset("j8bt05njq")


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with its bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_files_lie_by_their_roles(make: Make, output: Path) -> None:
    """Products are at the top, previews, logs and env in their folders, with a manifest."""
    archived = publish(make(), output)

    folder = output / "runs" / "first" / "acs" / "j8bt05njq"
    assert [*tree(folder)] == [
        "env/j8bt05njq_cal_env.txt",
        "j8bt05njq_flt.fits",
        "logs/process.txt",
        "manifest.json",
        "previews/j8bt05njq_flt.jpg",
    ]
    assert (folder / "j8bt05njq_flt.fits").read_bytes() == b"pixelsj8bt05njq_flt.fits"
    manifest = (folder / "manifest.json").read_bytes()
    digest = hashlib.sha256(manifest).hexdigest()
    assert archived == Archived("first", folder.as_uri(), digest, already_there=False)


def test_pointer_is_a_relative_link(make: Make, output: Path) -> None:
    """The current version is found at data/, also after the output folder has moved."""
    publish(make(), output)

    moved = output.rename(output.with_name("elsewhere"))

    link = moved / "data" / "acs" / "j8bt05njq"
    assert os.fspath(link.readlink()) == "../../runs/first/acs/j8bt05njq"
    assert FileOutput(moved).verify(DATASET) == []


def test_all_is_on_disk_before_it_shows(
    make: Make, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files and folders are flushed, the manifest after the others, before the rename."""
    flushed: list[Path] = []
    at_rename: list[set[Path]] = []
    fsync, rename = os.fsync, os.rename

    def noted(handle: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{handle}").readlink())
        fsync(handle)

    def checked(source: Path, target: Path) -> None:
        at_rename.append({source, *source.rglob("*")} - {*flushed})
        assert flushed[-2:] == [source / "manifest.json", source]
        flushed.clear()
        rename(source, target)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(os, "rename", checked)

    publish(make(), output)

    assert at_rename == [set()]
    assert flushed == [output / "runs/first/acs", output / "data/acs"]


def test_manifest_names_every_file(make: Make, output: Path) -> None:
    """The manifest tells names, roles, checksums and sizes, sorted by name."""
    publish(make(created="02"), output)

    manifest = FileOutput(output).current_manifest(DATASET)
    assert manifest is not None
    body = b"pixelsj8bt05njq_flt.fits"
    product = manifest.files[1]
    assert [file.role for file in manifest.files] == ["env", "product", "log", "preview"]
    assert (product.name, product.size) == ("j8bt05njq_flt.fits", 24)
    assert product.sha256 == hashlib.sha256(body).hexdigest()
    assert (manifest.run, manifest.kind, manifest.instrument) == ("first", "ipst", "acs")
    assert manifest.provenance == {"context": "hst_0729.pmap"}
    assert manifest.created == "2026-01-02T00:00:00+00:00"


def test_sources_stay(make: Make, output: Path) -> None:
    """Publishing copies: the work folder is as it was."""
    publication = make()
    before = tree(publication.files[0].path.parent)

    publish(publication, output)

    assert tree(publication.files[0].path.parent) == before


def test_a_second_time_writes_nothing(make: Make, output: Path) -> None:
    """Publishing the same result again is success, and leaves every byte and time alone."""
    first = publish(make(), output)
    times = {path: path.lstat().st_mtime_ns for path in output.rglob("*")}

    again = publish(make(), output)

    assert again == dataclasses.replace(first, already_there=True)
    assert {path: path.lstat().st_mtime_ns for path in output.rglob("*")} == times


def test_a_run_is_written_once(make: Make, output: Path) -> None:
    """Another result for the same dataset in the same run is refused and changes nothing."""
    publish(make(), output)
    before = tree(output)

    with pytest.raises(ArchiveError, match="written once") as caught:
        publish(make(content=b"others"), output)

    assert caught.value.code == ARCHIVE
    assert caught.value.expected == f"fingerprint fingerprint of {b'others'!r}"
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301 - ours
    assert tree(output) == before


def test_another_run_becomes_current(make: Make, output: Path) -> None:
    """A new result goes to a run of its own; the earlier one stays complete beside it."""
    publish(make(), output)

    publish(make(run="second", content=b"better"), output)

    current = FileOutput(output).current_manifest(DATASET)
    assert current is not None
    assert current.run == "second"
    assert FileOutput(output).verify(DATASET, run="first") == []


def test_late_twin_leaves_the_pointer(make: Make, output: Path) -> None:
    """A late second run of an old publication does not take the pointer back."""
    publish(make(created="01"), output)
    publish(make(run="second", content=b"better", created="02"), output)

    publish(make(created="03"), output)

    assert FileOutput(output).current_manifest(DATASET) == read_manifest(
        output / "runs" / "second" / "acs" / "j8bt05njq"
    )


@pytest.mark.parametrize("state", ["missing", "older", "dangling"])
def test_twin_mends_the_pointer(make: Make, output: Path, state: str) -> None:
    """Where the pointer is missing, dangling or older, publishing again puts it right."""
    publish(make(created="01"), output)
    publish(make(run="second", content=b"better", created="02"), output)
    pointer = layout.pointer_path(output, DATASET)
    pointer.unlink()
    if state != "missing":
        run = "first" if state == "older" else "vanished"
        pointer.symlink_to(layout.pointer_text(run, DATASET))

    assert publish(make(run="second", content=b"better"), output).already_there

    assert FileOutput(output).verify(DATASET) == []
    assert pointer.resolve().parts[-3] == "second"


def test_make_current_goes_back(make: Make, output: Path) -> None:
    """An operator can make an earlier run current again, and doing it twice is the same."""
    publish(make(), output)
    publish(make(run="second", content=b"better"), output)

    for _ in range(2):
        make_current(output, DATASET, "first")

    assert layout.pointer_path(output, DATASET).resolve().parts[-3] == "first"


def test_make_current_needs_a_publication(make: Make, output: Path) -> None:
    """The pointer never moves to a run without this dataset."""
    publish(make(), output)

    with pytest.raises(ArchiveError, match="no readable manifest"):
        make_current(output, DATASET, "other")

    assert FileOutput(output).verify(DATASET) == []


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(b"")])
def test_damage_is_not_taken_for_a_twin(
    make: Make, output: Path, spoil: Callable[[Path], None]
) -> None:
    """A publication that lost a file, or whose file was cut, is reported, not accepted."""
    publish(make(), output)
    spoil(output / "runs" / "first" / "acs" / "j8bt05njq" / "logs" / "process.txt")

    with pytest.raises(ArchiveError, match=r"damaged.*process\.txt"):
        publish(make(), output)
    with pytest.raises(ArchiveError, match="damaged"):
        make_current(output, DATASET, "first")


def test_stray_file_does_no_harm(make: Make, output: Path) -> None:
    """A file that somebody left in a publication does not make it another result."""
    publish(make(), output)
    (output / "runs" / "first" / "acs" / "j8bt05njq" / "notes.txt").touch()

    assert publish(make(), output).already_there


def test_empty_folder_gives_way(make: Make, output: Path) -> None:
    """An empty folder in the place of the publication holds nothing, so it is used."""
    (output / "runs" / "first" / "acs" / "j8bt05njq").mkdir(parents=True)

    assert not publish(make(), output).already_there
    assert FileOutput(output).verify(DATASET) == []


def test_changed_source_is_refused(
    make: Make, output: Path, leftovers: Callable[[Path], list[str]]
) -> None:
    """A product that is not what calibration recorded is never published."""
    good = make()
    product = dataclasses.replace(good.files[0], sha256="0" * 64)
    bad = dataclasses.replace(good, files=(product, *good.files[1:]))

    with pytest.raises(ArchiveError, match="has changed since it was made") as caught:
        publish(bad, output)

    assert caught.value.path == str(product.path)
    assert caught.value.found == hashlib.sha256(product.path.read_bytes()).hexdigest()
    assert not [*output.rglob("j8bt05njq")]
    assert leftovers(output) == []


def test_expected_checksum_that_holds(make: Make, output: Path) -> None:
    """With the right checksum given for each file, publication goes through."""
    good = make()
    files = tuple(
        dataclasses.replace(file, sha256=hashlib.sha256(file.path.read_bytes()).hexdigest())
        for file in good.files
    )

    publish(dataclasses.replace(good, files=files), output)

    assert FileOutput(output).verify(DATASET) == []


def test_output_itself_may_be_a_link(make: Make, output: Path, tmp_path: Path) -> None:
    """People put their products on another disk by a link."""
    (tmp_path / "disk").mkdir()
    output.symlink_to(tmp_path / "disk")

    publish(make(), output)

    assert FileOutput(output).verify(DATASET) == []


def test_relative_output(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative output folder gives an absolute URI."""
    monkeypatch.chdir(tmp_path)

    archived = publish(make(), Path("out"))

    assert archived.uri == (tmp_path / "out/runs/first/acs/j8bt05njq").as_uri()


@pytest.mark.parametrize("name", ["acs_8ph_01", "skycell-p2381x06y09", "ibc604b9q"])
def test_every_kind_of_dataset(make: Make, output: Path, name: str) -> None:
    """Visits and skycells are published like exposures, each under its instrument."""
    dataset = parse_dataset(name)

    publish(make(dataset=dataset), output)

    assert (output / "data" / dataset.instrument / name / "manifest.json").exists()
    assert FileOutput(output).verify(dataset) == []


OLD, NEW = "hst_9001.pmap", "hst_10000.pmap"


def on_context(make: Make, context: str, *, origin: str = "", asked: bool = False) -> Publication:
    """Return a publication of what was calibrated on a context, or came from elsewhere."""
    run = context.removesuffix(".pmap") + origin
    provenance = {"context": context, **({"origin": origin} if origin else {})}
    guarded = None if asked or origin else context
    content = f"pixels of {run}".encode()
    return make(run=run, content=content, provenance=provenance, context=guarded)


def test_readers_are_not_led_back_to_an_earlier_context(place: Output, make: Make) -> None:
    """The later version stays current, in words; asked for it the earlier one takes its place."""
    place.publish(on_context(make, NEW))
    early = on_context(make, OLD)

    first, again = place.publish(early), place.publish(early)

    assert place.pointed_run(DATASET) == first.stays == again.stays == "hst_10000"
    assert f"made on the later {NEW}; the same with --current" in first.notes[-1]
    assert place.lead_forward(DATASET, first, OLD).stays == "hst_10000"
    assert place.pointed_run(DATASET) == "hst_10000"
    assert place.verify(DATASET, run="hst_9001") == []

    assert place.lead_forward(DATASET, again, None).stays is None
    assert place.pointed_run(DATASET) == "hst_9001"
    assert place.lead_forward(DATASET, place.publish(on_context(make, NEW)), NEW).stays is None
    assert place.pointed_run(DATASET) == "hst_10000"


@pytest.mark.parametrize("origin", ["", "ingest"])
def test_readers_are_led_back_where_it_is_asked_or_the_other_is_not_ours(
    place: Output, make: Make, origin: str
) -> None:
    """What was ingested has the context that its headers say: it is in nobody's way."""
    place.publish(on_context(make, NEW, origin=origin))

    archived = place.publish(on_context(make, OLD, asked=not origin))

    assert archived.stays is None
    assert place.pointed_run(DATASET) == archived.run


def test_later_version_that_comes_while_another_is_copied_stays(
    make: Make, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is current is looked at when the pointer would move, not before the copying."""
    early, late = on_context(make, OLD), on_context(make, NEW)
    publish(on_context(make, "hst_9000.pmap"), output)
    rename = Path.rename

    def overtaken(self: Path, target: Path) -> Path:
        monkeypatch.undo()
        publish(late, output)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", overtaken)

    assert publish(early, output).stays == "hst_10000"
    assert FileOutput(output).pointed_run(DATASET) == "hst_10000"
