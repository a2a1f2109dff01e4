"""CALDP's folder of tars beside the runs: follows what is current, and mends itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from calib.archive import tar_output
from calib.archive.outputs import FileOutput, Output
from calib.archive.publish import File, Publication
from calib.archive.store_output import StoreOutput
from calib.archive.tar_output import publish_tar, save_tar
from calib.errors import ArchiveError, HstflowError
from calib.ids import parse_dataset
from calib.stores import S3Store

Make = Callable[..., Publication]
DATASET = parse_dataset("j8bt05njq")
TAR = "outputs/j8bt05njq/j8bt05njq.tar.gz"


def contents(place: Output) -> dict[str, bytes]:
    """Return what lies in the folder of tars, by key."""
    if isinstance(place, StoreOutput):
        keys = [stored.key for stored in place.store.list_keys("outputs/")]
        found = {key: place.store.read(key) for key in keys}
        return {key: content.data for key, content in found.items() if content}
    root = Path(place.uri.removeprefix("file:"))
    files = (path for path in (root / "outputs").rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def put(place: Output, key: str, data: bytes) -> None:
    """Write something into an output past the archive."""
    if isinstance(place, StoreOutput):
        place.store.replace(key, data)
    else:
        (Path(place.uri.removeprefix("file:")) / key).write_bytes(data)


def test_the_layout_is_caldps(place: Output, make: Make, tmp_path: Path) -> None:
    """Tar, log, environment, and a record of what the tar shows; nothing else is left."""
    place.publish(make())

    uri = publish_tar(place, DATASET, tmp_path / "scratch")

    found = contents(place)
    assert sorted(found) == [
        "outputs/j8bt05njq/env/j8bt05njq_cal_env.txt",
        TAR,
        f"{TAR}.json",
        "outputs/j8bt05njq/process.txt",
    ]
    assert found["outputs/j8bt05njq/process.txt"] == b"pixelsprocess.txt"
    record = json.loads(found[f"{TAR}.json"])
    assert (record["run"], record["size"]) == ("first", len(found[TAR]))
    assert record["files"] == ["env/j8bt05njq_cal_env.txt", "process.txt"]
    assert str(uri).endswith(TAR)
    assert place.verify(DATASET) == []
    assert not [*tmp_path.rglob(".staging/*"), *tmp_path.glob("scratch/*")]


def test_a_folder_and_a_bucket_get_the_same_bytes(make: Make, bucket: str, tmp_path: Path) -> None:
    """And so does a person who asks for the tar alone."""
    outputs = FileOutput(tmp_path / "out"), StoreOutput(S3Store(bucket))
    for output in outputs:
        output.publish(make())
        publish_tar(output, DATASET, tmp_path / "scratch")
    saved = save_tar(outputs[1], DATASET, tmp_path / "mine")

    tars = {contents(output)[TAR] for output in outputs}
    assert tars == {Path(saved.path).read_bytes()}


def test_a_second_time_nothing_is_written(
    place: Output, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record and the checksum of the tar say that all is there."""
    place.publish(make())
    publish_tar(place, DATASET, tmp_path / "scratch")

    def forbid(*_given: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(tar_output, "write_tar", forbid)

    assert str(publish_tar(place, DATASET, tmp_path / "scratch")).endswith(TAR)


def test_the_tar_follows_the_current_version(place: Output, make: Make, tmp_path: Path) -> None:
    """Forward with a new version, and back."""
    place.publish(make())
    publish_tar(place, DATASET, tmp_path / "scratch")
    first = contents(place)
    place.publish(make(run="second", content=b"better"))
    publish_tar(place, DATASET, tmp_path / "scratch")
    second = contents(place)
    place.make_current(DATASET, "first")
    publish_tar(place, DATASET, tmp_path / "scratch")

    assert json.loads(second[f"{TAR}.json"])["run"] == "second"
    assert second[TAR] != first[TAR]
    assert contents(place) == first


def with_logs(publication: Publication, folder: Path, *names: str) -> Publication:
    """Return the publication with further logs, and none of its environment."""
    folder.mkdir()
    for name in names:
        (folder / name).write_text("log")
    kept = [file for file in publication.files if file.role != "env"]
    return replace(publication, files=(*kept, *(File("log", folder / name) for name in names)))


def test_logs_of_an_older_version_do_not_stay(place: Output, make: Make, tmp_path: Path) -> None:
    """What lies beside the tar is of the version that the tar shows; others' files stay."""
    place.publish(with_logs(make(), tmp_path / "a", "old.txt", "both.txt"))
    publish_tar(place, DATASET, tmp_path / "scratch")
    put(place, "outputs/j8bt05njq/mine.txt", b"mine")
    place.publish(with_logs(make(run="second", content=b"better"), tmp_path / "b", "both.txt"))
    publish_tar(place, DATASET, tmp_path / "scratch")

    assert [key.rpartition("/")[2] for key in sorted(contents(place))] == [
        "both.txt",
        "j8bt05njq.tar.gz",
        "j8bt05njq.tar.gz.json",
        "mine.txt",
        "process.txt",
    ]


@pytest.mark.parametrize(
    "name", ["../j8bt05njq/mine", "../../mine", "/mine", "", ".", "env", "logs/mine", "env/../x"]
)
def test_a_record_that_was_edited_removes_nothing(make: Make, tmp_path: Path, name: str) -> None:
    """Only names that a log can have are believed."""
    place = FileOutput(tmp_path / "out")
    place.publish(make())
    publish_tar(place, DATASET, tmp_path)
    for mine in ("outputs/j8bt05njq/mine", "mine", "outputs/j8bt05njq/x"):
        put(place, mine, b"mine")
    record = json.loads(contents(place)[f"{TAR}.json"])
    edited = {**record, "files": [*record["files"], name, TAR.rpartition("/")[2]]}
    put(place, f"{TAR}.json", json.dumps(edited).encode())
    place.publish(make(run="second", content=b"better"))
    before = contents(place)
    publish_tar(place, DATASET, tmp_path)

    assert contents(place).keys() == before.keys()
    assert (tmp_path / "out" / "mine").read_bytes() == b"mine"


@pytest.mark.parametrize("key", [TAR, f"{TAR}.json"])
@pytest.mark.parametrize("data", [b"", b"{}", b'{"run": "../x"}', b"\xff"])
def test_what_was_damaged_is_made_again(make: Make, tmp_path: Path, key: str, data: bytes) -> None:
    """A tar with other bytes, or a record that is none."""
    place = FileOutput(tmp_path / "out")
    place.publish(make())
    publish_tar(place, DATASET, tmp_path)
    before = contents(place)

    put(place, key, data)
    publish_tar(place, DATASET, tmp_path)

    assert contents(place) == before


def test_a_power_cut_at_every_call(
    make: Make, tmp_path: Path, faults: Any, power_cut: type[BaseException]
) -> None:
    """The tar is the old one or the new one, never half of one; the next call finishes."""
    new = make(run="second", content=b"better")
    versions = set()

    def prepared(name: str) -> FileOutput:
        place = FileOutput(tmp_path / name)
        place.publish(make())
        publish_tar(place, DATASET, tmp_path)
        versions.add(contents(place)[TAR])
        place.publish(new)
        return place

    place = prepared("undisturbed")
    with faults.at(-1, RuntimeError()):
        publish_tar(place, DATASET, tmp_path)
    calls, final = faults.count, contents(place)
    versions.add(final[TAR])
    seen = set()
    for number in range(calls):
        place = prepared(f"cut{number}")
        with faults.at(number, power_cut()), pytest.raises(power_cut):
            publish_tar(place, DATASET, tmp_path)
        shown = {k: v for k, v in contents(place).items() if ".staging" not in k}
        assert shown[TAR] in versions
        seen.add(shown[TAR])
        publish_tar(place, DATASET, tmp_path)
        assert contents(place) == final

    assert calls > 10
    assert seen == versions
    assert len(versions) == 2


def test_what_is_damaged_is_not_packed(place: Output, make: Make, tmp_path: Path) -> None:
    """The tar of before stays, and nothing half is left."""
    place.publish(make())
    publish_tar(place, DATASET, tmp_path / "scratch")
    before = contents(place)
    publication = make(run="second", content=b"better")
    place.publish(publication)
    put(place, "runs/second/acs/j8bt05njq/j8bt05njq_flt.fits", b"BETTERj8bt05njq_flt.fits")

    with pytest.raises(HstflowError):
        publish_tar(place, DATASET, tmp_path / "scratch")
    with pytest.raises(HstflowError):
        save_tar(place, DATASET, tmp_path / "mine")

    assert contents(place) == before
    assert [*(tmp_path / "mine").iterdir()] == []


@pytest.mark.parametrize("name", ["env", "j8bt05njq.tar.gz", "j8bt05njq.tar.gz.json"])
def test_a_log_does_not_take_the_place_of_the_tar(make: Make, tmp_path: Path, name: str) -> None:
    """Logs bear names of others' making; these are refused."""
    (tmp_path / name).write_text("log")
    place = FileOutput(tmp_path / "out")
    place.publish(make(files=(*make().files, File("log", tmp_path / name))))

    with pytest.raises(ArchiveError, match="has the name of another file") as caught:
        publish_tar(place, DATASET, tmp_path)

    assert caught.value.found == name
    assert contents(place) == {}


@pytest.mark.parametrize("obstacle", ["outputs", "outputs/j8bt05njq"])
def test_links_do_not_lead_out(make: Make, tmp_path: Path, obstacle: str) -> None:
    """A link below the output leads nowhere else, and a file in the way survives."""
    place = FileOutput(tmp_path / "out")
    place.publish(make())
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "out" / obstacle
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ArchiveError, match="a link is in the way"):
        publish_tar(place, DATASET, tmp_path)

    assert [*(tmp_path / "elsewhere").iterdir()] == []
    link.unlink()
    link.write_text("mine")
    with pytest.raises(ArchiveError, match="in the way"):
        publish_tar(place, DATASET, tmp_path)
    assert link.read_text() == "mine"


def test_nothing_published_has_no_tar(place: Output, tmp_path: Path) -> None:
    """Nothing is made, and a person who asks is told."""
    assert publish_tar(place, DATASET, tmp_path) is None
    assert contents(place) == {}
    with pytest.raises(ArchiveError, match="nothing is published"):
        save_tar(place, DATASET, tmp_path / "mine")


def test_a_saved_tar_never_replaces_another_file(place: Output, make: Make, tmp_path: Path) -> None:
    """The same bytes are there already; others are refused and stay."""
    place.publish(make())
    place.publish(make(run="second", content=b"better"))
    first = save_tar(place, DATASET, tmp_path / "mine", run="first")
    again = save_tar(place, DATASET, tmp_path / "mine", run="first")

    assert (first.already_there, again.already_there) == (False, True)
    with pytest.raises(ArchiveError, match="another file has this name"):
        save_tar(place, DATASET, tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["j8bt05njq.tar.gz"]
    with pytest.raises(ArchiveError, match="no readable manifest"):
        save_tar(place, DATASET, tmp_path / "mine", run="third")
