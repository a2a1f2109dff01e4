"""Inputs from a bucket: an archive, a folder, the public layout, and refusals."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from calib.errors import (
    ConfigError,
    CorruptFile,
    HstflowError,
    MissingMember,
    NotFound,
    Proprietary,
    Unavailable,
)
from calib.fetch import fetch_inputs
from calib.ids import parse_dataset
from calib.records import RawInputs
from calib.stores import S3Store
from calib.stores.s3_client import open_client

Fetch = Callable[[str, str], RawInputs]
MEMBERS = ("jh0001010_asn.fits", "jh0001aaq_raw.fits", "jh0001abq_raw.fits")


@pytest.fixture
def fetch(tmp_path: Path) -> Fetch:
    """Return a function that fetches into a fresh folder, `out`."""
    return lambda name, uri: fetch_inputs(parse_dataset(name), uri, tmp_path / "out")


@pytest.fixture
def fill(bucket: str) -> Callable[..., str]:
    """Return a function that puts files under keys, and returns the URI of their prefix."""

    def put(files: dict[str, Path], name: str = bucket, prefix: str = "raws") -> str:
        for key, path in files.items():
            S3Store(name, prefix).put(path, key, verify=False)
        return f"s3://{name}/{prefix}"

    return put


@pytest.fixture
def public(s3_settings: str, association: Path) -> str:
    """Fill the public bucket on the loopback server with an association, each in its folder."""
    client = open_client(s3_settings, anonymous=False)
    client.create_bucket(Bucket="stpubdata")
    for path in association.glob("*.fits"):
        root = path.name.split("_")[0]
        key = f"hst/public/{root[:4]}/{root}/{path.name}"
        client.put_object(Bucket="stpubdata", Key=key, Body=path.read_bytes(), ACL="public-read")
    client.put_bucket_acl(Bucket="stpubdata", ACL="public-read")
    return "s3://stpubdata/hst/public"


@pytest.fixture(autouse=True)
def nothing_hidden_is_left(tmp_path: Path) -> Any:
    """Keep the rule that no private folder stays, whatever happened."""
    yield
    assert [*tmp_path.glob("out/.*")] == []


def pack(folder: Path, target: Path) -> Path:
    """Put all files of a folder into an archive, as CALCLOUD does."""
    with tarfile.open(target, "w:gz") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name)
    return target


def names(inputs: RawInputs) -> tuple[str, ...]:
    """Return the names of the files."""
    return tuple(file.name for file in inputs.files)


def test_an_archive_is_looked_for_first(
    fetch: Fetch, fill: Callable[..., str], association: Path, tmp_path: Path
) -> None:
    """`PREFIX/ID.tar.gz` is unpacked, though a folder of that name is there too."""
    archive = pack(association, tmp_path / "x.tar.gz")
    other = association / "jh0001acq_raw.fits"
    uri = fill({"jh0001010.tar.gz": archive, "jh0001010/jh0001acq_raw.fits": other})

    inputs = fetch("jh0001010", uri)

    assert names(inputs) == MEMBERS
    assert inputs.source == f"{uri}/jh0001010.tar.gz"
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == list(MEMBERS)
    assert [m.name for m in inputs.members if m.present][:2] == ["jh0001aaq", "jh0001abq"]


def test_a_folder_holds_the_members_too(
    fetch: Fetch, fill: Callable[..., str], association: Path, tmp_path: Path
) -> None:
    """`PREFIX/ID/` has everything of the dataset; what it does not need is left there."""
    files = {f"jh0001010/{path.name}": path for path in association.iterdir()}
    nested = {"jh0001010/previews/jh0001aaq_raw.fits": association / "notes.txt"}

    inputs = fetch("jh0001010", fill({**files, **nested}))

    assert names(inputs) == MEMBERS
    for file in inputs.files:
        data = (association / file.name).read_bytes()
        assert Path(file.path).read_bytes() == data
        assert (file.sha256, file.size) == (hashlib.sha256(data).hexdigest(), len(data))


def test_the_public_bucket_is_read_without_credentials(
    fetch: Fetch, public: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each exposure has a folder; members are found through the table of the association."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)

    inputs = fetch("jh0001010", public)

    assert names(inputs) == MEMBERS
    assert inputs.source == public


def test_an_exposure_comes_alone(fetch: Fetch, public: str) -> None:
    """Whatever association it belongs to; its calibrated product is no input."""
    assert names(fetch("jh0001aaq", public)) == ("jh0001aaq_raw.fits",)


def test_a_member_that_is_not_there_is_named(
    fetch: Fetch, fill: Callable[..., str], association: Path
) -> None:
    """Code 26, and the bucket is named, not our private folder."""
    keep = ("jh0001010_asn.fits", "jh0001aaq_raw.fits")
    uri = fill({f"jh0001010/{name}": association / name for name in keep})
    with pytest.raises(MissingMember, match="jh0001abq") as caught:
        fetch("jh0001010", uri)
    assert (caught.value.code, caught.value.path) == (26, uri)


def test_nothing_there_is_code_26(fetch: Fetch, bucket: str) -> None:
    """The message says what was looked for."""
    with pytest.raises(NotFound, match=r"jh0001aaq\.tar\.gz or jh0001aaq/") as caught:
        fetch("jh0001aaq", f"s3://{bucket}/raws")
    assert caught.value.code == 26
    assert caught.value.path == f"s3://{bucket}/raws"


def test_a_missing_bucket_is_a_setting_to_mend(fetch: Fetch, s3_settings: str) -> None:
    """Code 2, at once."""
    with pytest.raises(ConfigError, match="no such bucket"):
        fetch("jh0001aaq", "s3://bucket-that-is-not-there/raws")


def test_damaged_objects_are_refused(
    fetch: Fetch, fill: Callable[..., str], association: Path, tmp_path: Path
) -> None:
    """The checks of `file:` hold: code 21, with the URI of the object."""
    cut = tmp_path / "cut"
    cut.write_bytes((association / "jh0001aaq_raw.fits").read_bytes()[:-2880])
    uri = fill({"jh0001aaq/jh0001aaq_raw.fits": cut, "jh0001abq.tar.gz": cut})

    for name, key in (
        ("jh0001aaq", "jh0001aaq/jh0001aaq_raw.fits"),
        ("jh0001abq", "jh0001abq.tar.gz"),
    ):
        with pytest.raises(CorruptFile) as caught:
            fetch(name, uri)
        assert (caught.value.code, caught.value.path) == (21, f"{uri}/{key}")
        assert caught.value.dataset == name
        assert not (tmp_path / "out").exists()


def test_two_names_that_differ_in_case_are_refused(
    fetch: Fetch, fill: Callable[..., str], association: Path
) -> None:
    """Nobody can say which one is meant."""
    path = association / "jh0001aaq_raw.fits"
    keys = ("jh0001aaq/jh0001aaq_raw.fits", "jh0001aaq/JH0001AAQ_RAW.FITS")
    with pytest.raises(CorruptFile, match="case only"):
        fetch("jh0001aaq", fill(dict.fromkeys(keys, path)))


@pytest.mark.parametrize(
    ("code", "status", "kind", "exit_code"),
    [
        ("AccessDenied", 403, Proprietary, 26),
        ("SlowDown", 503, Unavailable, 26),
        ("InvalidAccessKeyId", 403, ConfigError, 2),
    ],
)
def test_refusals_of_the_store(
    fetch: Fetch,
    bucket: str,
    s3_settings: str,
    *,
    code: str,
    status: int,
    kind: type[HstflowError],
    exit_code: int,
) -> None:
    """Forbidden, busy, and wrong credentials are three different things."""
    from botocore.exceptions import ClientError

    def refuse(**_: Any) -> None:
        answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
        raise ClientError(answer, "HeadObject")

    events = open_client(s3_settings, anonymous=False).meta.events
    events.register("before-call.s3.HeadObject", refuse)
    try:
        with pytest.raises(kind) as caught:
            fetch("jh0001aaq", f"s3://{bucket}/raws")
    finally:
        events.unregister("before-call.s3.HeadObject", refuse)
    assert caught.value.code == exit_code


def test_a_real_bucket(fetch: Fetch) -> None:
    """The inputs that HSTFLOW_S3_TEST_INPUTS names, as ``s3://BUCKET/PREFIX/ID``."""
    text = os.environ.get("HSTFLOW_S3_TEST_INPUTS")
    if not text:
        pytest.skip("HSTFLOW_S3_TEST_INPUTS names no s3://BUCKET/PREFIX/ID to read")
    uri, _, name = text.rpartition("/")
    assert fetch(name, uri).exposures
