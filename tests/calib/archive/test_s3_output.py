"""Publication to a bucket: layout, refusals, interruptions, two writers, verification."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from calib.archive.outputs import FileOutput, Output, open_output
from calib.archive.publish import File, Publication
from calib.archive.store_output import StoreOutput
from calib.errors import ArchiveError, ConfigError, HstflowError, Unavailable
from calib.ids import parse_dataset
from calib.records import Archived
from calib.stores import FileStore, S3Store

Make = Callable[..., Publication]
DATASET = parse_dataset("j8bt05njq")
ROOT = Path(__file__).parents[3]
PLACE = "runs/first/acs/j8bt05njq"
NAMES = [
    "env/j8bt05njq_cal_env.txt",
    "j8bt05njq_flt.fits",
    "logs/process.txt",
    "manifest.json",
    "previews/j8bt05njq_flt.jpg",
]


@pytest.fixture(params=["file", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> StoreOutput:
    """Return an output on each kind of store: the rules are the same."""
    if request.param == "file":
        return StoreOutput(FileStore(tmp_path / "store"))
    return StoreOutput(S3Store(request.getfixturevalue("bucket"), "archive"))


def keys(output: StoreOutput, prefix: str = "") -> list[str]:
    """Return the keys of all objects."""
    return [stored.key for stored in output.store.list_keys(prefix)]


def visible(output: StoreOutput) -> str | None:
    """Return the run that readers are shown, after insisting that it is whole."""
    manifest = output.current_manifest(DATASET)
    for key in keys(output, "runs/"):
        if key.endswith("manifest.json"):
            run = key.split("/")[1]
            assert [p for p in output.verify(DATASET, run=run) if p.kind != "orphaned"] == []
    return None if manifest is None else manifest.run


def test_objects_lie_as_files_do(make: Make, place: StoreOutput) -> None:
    """The layout of a folder, a pointer, and no claim left."""
    archived = place.publish(make())

    pointer = "data/acs/j8bt05njq/current.json"
    assert keys(place) == [pointer, *(f"{PLACE}/{name}" for name in NAMES)]
    content = place.store.read(f"{PLACE}/manifest.json")
    assert content is not None
    digest = hashlib.sha256(content.data).hexdigest()
    assert archived == Archived("first", place.store.uri_of(PLACE), digest, already_there=False)
    shown = place.store.read(pointer)
    assert shown is not None
    assert json.loads(shown.data) == {
        "schema": 1,
        "dataset": "j8bt05njq",
        "run": "first",
        "manifest": f"{PLACE}/manifest.json",
    }
    assert place.verify(DATASET) == []


def test_claim_of_a_dead_publisher_goes_when_its_result_is_found(
    make: Make, place: StoreOutput, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It died between the manifest and its claim's end; nobody will publish there again."""
    place.publish(make())
    claim = "runs/first/.claims/acs/j8bt05njq.json"
    place.store.put_if_absent(claim, json.dumps({"owner": "x+gone", "beat": 3}).encode())

    monkeypatch.setattr("calib.archive.claim.is_abandoned", lambda _: False)
    place.make_current(DATASET, "first")
    assert claim in keys(place)  # it may live

    monkeypatch.setattr("calib.archive.claim.is_abandoned", lambda _: True)
    place.make_current(DATASET, "first")
    assert claim not in keys(place)
    assert visible(place) == "first"


def test_a_bucket_has_the_manifest_of_a_folder(make: Make, bucket: str, tmp_path: Path) -> None:
    """Both outputs write the same manifest, byte for byte."""
    publication = make()
    on_s3: Output = StoreOutput(S3Store(bucket))
    on_disk: Output = FileOutput(tmp_path / "out")

    assert on_s3.publish(publication).manifest_sha256 == (
        on_disk.publish(publication).manifest_sha256
    )
    assert on_s3.manifest("first", DATASET) == on_disk.manifest("first", DATASET)


def test_the_manifest_comes_after_the_files(
    make: Make, place: StoreOutput, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it is put all files are there, read back; the pointer follows."""
    seen: list[list[str]] = []
    put = type(place.store).put_if_absent

    def noted(self: Any, key: str, data: bytes) -> str | None:
        if key.endswith("manifest.json"):
            seen.append(keys(place))
        return put(self, key, data)

    monkeypatch.setattr(type(place.store), "put_if_absent", noted)
    place.publish(make())

    files = [f"{PLACE}/{name}" for name in NAMES if name != "manifest.json"]
    assert seen == [["runs/first/.claims/acs/j8bt05njq.json", *files]]


def test_the_same_result_is_published_once(make: Make, place: StoreOutput) -> None:
    """A second time nothing is written, and a lost pointer is mended."""
    first = place.publish(make())
    place.store.delete("data/acs/j8bt05njq/current.json")

    again = place.publish(make())

    assert again == dataclasses.replace(first, already_there=True)
    assert visible(place) == "first"


def test_another_result_needs_another_run(make: Make, place: StoreOutput) -> None:
    """What a run holds is never overwritten."""
    place.publish(make(content=b"pixels"))
    with pytest.raises(ArchiveError, match="written once"):
        place.publish(make(content=b"others"))

    assert place.free_run("first", DATASET, "another") == "first-2"
    place.publish(make(run="first-2", content=b"others"))

    assert visible(place) == "first-2"
    assert place.manifest("first", DATASET).run == "first"


def test_an_old_publication_does_not_take_the_pointer_back(make: Make, place: StoreOutput) -> None:
    """Publishing again what was published earlier leaves the newer version current."""
    old, new = make(run="old", created="01"), make(run="new", content=b"new", created="02")
    place.publish(old)
    place.publish(new)

    assert place.publish(old).already_there
    assert visible(place) == "new"
    place.make_current(DATASET, "old")
    assert visible(place) == "old"


def test_results_are_found_by_fingerprint(make: Make, place: StoreOutput) -> None:
    """In the current version, then in all runs; a damaged one does not count."""
    old, new = make(run="old"), make(run="new", content=b"new")
    archived = place.publish(old)
    place.publish(new)

    assert place.find_published(DATASET, old.fingerprint) == dataclasses.replace(
        archived, already_there=True
    )
    assert place.find_published(DATASET, "unknown") is None
    assert place.free_run("old", DATASET, old.fingerprint) == "old"
    place.store.delete("runs/old/acs/j8bt05njq/j8bt05njq_flt.fits")
    assert place.find_published(DATASET, old.fingerprint) is None
    assert place.free_run("old", DATASET, old.fingerprint) == "old-2"
    with pytest.raises(ArchiveError, match="damaged"):
        place.make_current(DATASET, "old")


def test_nothing_is_published_in_an_empty_place(place: StoreOutput) -> None:
    """An empty bucket is no error until something is asked of it."""
    assert place.current_manifest(DATASET) is None
    assert place.find_published(DATASET, "x") is None
    assert place.free_run("run", DATASET, "x") == "run"
    with pytest.raises(ArchiveError, match="nothing is published"):
        place.verify(DATASET)
    with pytest.raises(ArchiveError, match="no readable manifest"):
        place.make_current(DATASET, "run")


def test_verification_names_every_problem(make: Make, place: StoreOutput) -> None:
    """Missing, changed and orphaned objects; other bytes of the same size only when deep."""
    place.publish(make())
    place.store.delete(f"{PLACE}/logs/process.txt")
    place.store.replace(f"{PLACE}/j8bt05njq_flt.fits", b"Pixelsj8bt05njq_flt.fits")
    place.store.replace(f"{PLACE}/previews/j8bt05njq_flt.jpg", b"shorter")
    place.store.replace(f"{PLACE}/extra", b"")

    found = {(p.kind, p.path.rsplit("/", 1)[1]) for p in place.verify(DATASET)}

    shallow = {
        ("missing", "process.txt"),
        ("changed", "j8bt05njq_flt.jpg"),
        ("orphaned", "extra"),
    }
    assert found == {*shallow, ("changed", "j8bt05njq_flt.fits")}
    assert {
        (p.kind, p.path.rsplit("/", 1)[1]) for p in place.verify(DATASET, deep=False)
    } == shallow
    place.store.replace(f"{PLACE}/manifest.json", b"{}")
    assert [p.kind for p in place.verify(DATASET)] == ["unreadable"]


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"schema": 1, "run": "../x"}', b"\xff"])
def test_a_strange_pointer_is_refused_before_the_work(make: Make, bucket: str, data: bytes) -> None:
    """What the archive did not make is named, and nothing is uploaded."""
    output = StoreOutput(S3Store(bucket))
    output.store.replace("data/acs/j8bt05njq/current.json", data)
    with pytest.raises(ArchiveError, match="not made by the archive"):
        output.publish(make())
    assert keys(output, "runs") == []


def test_a_changed_file_is_not_published(make: Make, place: StoreOutput) -> None:
    """One file that is not what was made stops all: no object stays, the claim is free."""
    publication = make()
    wrong = File("product", publication.files[0].path, "0" * 64)
    with pytest.raises(ArchiveError, match="changed since") as caught:
        place.publish(dataclasses.replace(publication, files=(*publication.files[1:], wrong)))

    assert caught.value.dataset == "j8bt05njq"
    assert keys(place) == []


class Cut(BaseException):
    """Stands for whatever stops a process between two calls of the store."""


CALLS = ("head", "read", "put", "put_if_absent", "replace", "delete", "list_keys")


def cut_at(monkeypatch: pytest.MonkeyPatch, number: int, error: BaseException) -> list[str]:
    """Raise at one call of the store and at all later ones; return the calls that were made."""
    calls: list[str] = []
    for name in CALLS:
        original = getattr(FileStore, name)

        def wrapped(*args: Any, _name: str = name, _call: Any = original, **kwargs: Any) -> Any:
            calls.append(_name)
            if len(calls) > number:
                raise error
            return _call(*args, **kwargs)

        monkeypatch.setattr(FileStore, name, wrapped)
    return calls


@pytest.mark.parametrize("number", range(20))
@pytest.mark.parametrize("error", [Cut(), Unavailable("gone")], ids=["cut", "unavailable"])
def test_an_interrupted_publication_shows_nothing_half(
    make: Make, tmp_path: Path, number: int, error: BaseException
) -> None:
    """Whatever call is the last, readers see nothing or all, and a second try completes it."""
    output = StoreOutput(FileStore(tmp_path / "store"))
    with pytest.MonkeyPatch.context() as patch:
        calls = cut_at(patch, number, error)
        try:
            output.publish(make())
        except (Cut, HstflowError):
            assert len(calls) > number
    assert visible(output) in {None, "first"}
    # The claim of this very process may be left: it counts as living, so it has to expire.
    for claim in (output.store.root / "runs").rglob(".claims/**/*.json"):  # type: ignore[attr-defined]
        os.utime(claim, (0, 0))

    output.publish(make())

    assert visible(output) == "first"
    assert [key for key in keys(output) if ".claims" not in key] == [
        "data/acs/j8bt05njq/current.json",
        *(f"{PLACE}/{name}" for name in NAMES),
    ]


def test_publishing_without_permission(make: Make, bucket: str, s3_settings: str) -> None:
    """PUT forbidden: code 25, no object, no claim; reading goes on working."""
    from botocore.exceptions import ClientError

    from calib.stores.s3_client import open_client

    def forbid(**_: Any) -> None:
        answer = {
            "Error": {"Code": "AccessDenied"},
            "ResponseMetadata": {"HTTPStatusCode": 403},
        }
        raise ClientError(answer, "PutObject")

    output = StoreOutput(S3Store(bucket))
    events = open_client(s3_settings, anonymous=False).meta.events
    events.register("before-call.s3.PutObject", forbid)
    try:
        with pytest.raises(ArchiveError, match="do not allow") as caught:
            output.publish(make())
    finally:
        events.unregister("before-call.s3.PutObject", forbid)

    assert caught.value.code == 25
    assert keys(output) == []


def test_a_missing_bucket_is_a_setting_to_mend(make: Make, s3_settings: str) -> None:
    """Code 2: no retry will make the bucket."""
    with pytest.raises(ConfigError, match="no such bucket"):
        StoreOutput(S3Store("bucket-that-is-not-there")).publish(make())


def test_outputs_are_opened_by_their_uri(s3_settings: str, tmp_path: Path) -> None:
    """A folder, a bucket, and a refusal of anything else."""
    assert open_output(f"file:{tmp_path}") == FileOutput(tmp_path)
    assert open_output(f"file:{tmp_path}").uri == f"file:{tmp_path}"
    assert open_output("s3://bucket/a/b/").uri == "s3://bucket/a/b"
    assert open_output("s3://bucket").uri == "s3://bucket"
    for text in ("astroquery:", "none", "nonsense"):
        with pytest.raises(ConfigError):
            open_output(text)


def test_a_folder_has_the_same_methods(make: Make, tmp_path: Path) -> None:
    """FileOutput is the functions of the archive, nothing else."""
    output: Output = FileOutput(tmp_path / "out")
    publication = make()
    archived = output.publish(publication)

    assert output.find_published(DATASET, publication.fingerprint) == dataclasses.replace(
        archived, already_there=True
    )
    assert output.free_run("first", DATASET, "another") == "first-2"
    assert output.current_manifest(DATASET) == output.manifest("first", DATASET)
    assert output.verify(DATASET, run="first") == []
    output.make_current(DATASET, "first")


def test_a_real_bucket(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same against the bucket that HSTFLOW_S3_TEST_OUTPUTS names; its objects are removed."""
    uri = os.environ.get("HSTFLOW_S3_TEST_OUTPUTS")
    if not uri:
        pytest.skip("HSTFLOW_S3_TEST_OUTPUTS names no s3:// prefix to write to")
    output = open_output(f"{uri.rstrip('/')}/hstflow-test-{os.getpid()}")
    assert isinstance(output, StoreOutput)
    try:
        output.publish(make())
        assert output.publish(make()).already_there
        assert output.verify(DATASET) == []
        with pytest.raises(ArchiveError, match="written once"):
            output.publish(make(content=b"others"))
    finally:
        for key in keys(output):
            output.store.delete(key)
