"""Buckets: size and number, reading back, interrupted uploads, clients."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from calib.errors import ArchiveError, ConfigError, CorruptFile, NotFound, Unavailable
from calib.stores import S3Store, s3_client
from calib.stores.s3_client import open_client
from calib.stores.s3_store import open_store


def client_of(endpoint: str) -> Any:
    """Return the client that stores of this process use."""
    return open_client(endpoint, anonymous=False)


@contextmanager
def hooked(endpoint: str, event: str, hook: Callable[..., None]) -> Iterator[None]:
    """Call a function at an event of boto3."""
    events = client_of(endpoint).meta.events
    events.register(event, hook)
    try:
        yield
    finally:
        events.unregister(event, hook)


def test_a_large_object(bucket: str, tmp_path: Path) -> None:
    """100 MB go in parts and come back in ranges, byte for byte."""
    source = tmp_path / "large"
    source.write_bytes(os.urandom(1 << 20) * 100)
    store = S3Store(bucket)

    stored = store.put(source, "large", only_new=True)

    back = store.get("large", tmp_path / "back")
    assert back.sha256 == stored.sha256
    assert back.size == 100 << 20
    with (tmp_path / "back").open("rb") as stream:
        assert hashlib.file_digest(stream, "sha256").hexdigest() == stored.sha256


def test_many_small_objects(bucket: str, tmp_path: Path) -> None:
    """64 objects by eight threads over one client are all there, and each is itself."""
    store = S3Store(bucket, "many")
    sources = [tmp_path / f"{n:03d}" for n in range(64)]
    for source in sources:
        source.write_bytes(source.name.encode() * 1000)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda source: store.put(source, source.name), sources))
        keys = [stored.key for stored in store.list_keys("")]
        list(pool.map(lambda key: store.get(key, tmp_path / f"{key}.back"), keys))

    assert keys == [source.name for source in sources]
    assert all(
        (tmp_path / f"{s.name}.back").read_bytes() == s.name.encode() * 1000 for s in sources
    )


def test_bytes_that_change_on_the_way_are_noticed(
    bucket: str, s3_settings: str, tmp_path: Path
) -> None:
    """The object is read back: a server that keeps other bytes is not believed."""

    def damage(params: dict[str, Any], **_: Any) -> None:
        params["body"] = b"damaged!"

    source = tmp_path / "x"
    source.write_bytes(b"original")
    with (
        hooked(s3_settings, "before-call.s3.PutObject", damage),
        pytest.raises(ArchiveError, match="read back"),
    ):
        S3Store(bucket).put(source, "x")


@pytest.mark.parametrize("size", [10, 9 << 20])
def test_other_bytes_than_were_put_are_not_delivered(
    bucket: str, s3_settings: str, tmp_path: Path, size: int
) -> None:
    """An object that contradicts its recorded sha256 leaves no file."""
    client_of(s3_settings).put_object(
        Bucket=bucket, Key="x", Body=bytes(size), Metadata={"sha256": "0" * 64}
    )
    with pytest.raises(CorruptFile, match="not what was stored"):
        S3Store(bucket, purpose="input").get("x", tmp_path / "x")
    assert [*tmp_path.iterdir()] == []


def test_an_interrupted_upload_leaves_nothing(
    bucket: str, s3_settings: str, tmp_path: Path
) -> None:
    """A connection that breaks at the third part: no object, and no parts that cost money."""
    from botocore.exceptions import ConnectionClosedError

    def cut(params: dict[str, Any], **_: Any) -> None:
        if params["query_string"]["partNumber"] == 3:
            raise ConnectionClosedError(endpoint_url="http://somewhere")

    source = tmp_path / "x"
    source.write_bytes(bytes(40 << 20))
    with (
        hooked(s3_settings, "before-call.s3.UploadPart", cut),
        pytest.raises(Unavailable) as caught,
    ):
        S3Store(bucket).put(source, "x")

    assert caught.value.code == 25
    assert S3Store(bucket).head("x") is None
    assert "Uploads" not in client_of(s3_settings).list_multipart_uploads(Bucket=bucket)


def test_a_lost_answer_is_not_a_lost_claim(bucket: str, s3_settings: str) -> None:
    """What was not answered is sent again; finding our own bytes there means success."""
    client_of(s3_settings).put_object(Bucket=bucket, Key="claim", Body=b"ours")

    assert S3Store(bucket).put_if_absent("claim", b"ours")
    assert S3Store(bucket).put_if_absent("claim", b"theirs") is None


def test_more_than_a_page_is_listed(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing goes on beyond what one answer holds (S3: 1000 keys, here 2)."""
    store = S3Store(bucket)
    for number in range(5):
        store.put_if_absent(f"k{number}", b"")
    pages = S3Store._pages
    monkeypatch.setattr(
        S3Store,
        "_pages",
        lambda self, prefix: pages(self, prefix, PaginationConfig={"PageSize": 2}),
    )

    assert [s.key for s in store.list_keys("")] == [f"k{n}" for n in range(5)]


def test_one_client_per_process(s3_settings: str) -> None:
    """Threads share a client; making one costs a fifth of a second."""
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda: found.append(client_of(s3_settings))) for _ in range(4)
    ]
    client = client_of(s3_settings)
    for thread in threads:
        thread.start()
        thread.join()
    assert found == [client] * 4


def read_in_child(store: S3Store, answers: Any) -> None:
    """Read an object in another process, and say how many clients it then has."""
    content = store.read("x")
    answers.put((content and content.data, s3_client._client.cache_info().currsize))


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_makes_its_own_client(bucket: str, method: str) -> None:
    """A forked child does not use its parent's connections, and a fresh one needs nothing."""
    store = S3Store(bucket)
    store.put_if_absent("x", b"1")
    before = s3_client._client.cache_info().currsize
    context = multiprocessing.get_context(method)
    answers = context.Queue()

    child = context.Process(target=read_in_child, args=(store, answers))
    child.start()

    assert answers.get(timeout=60) == (b"1", before + 1 if method == "fork" else 1)
    child.join()
    answers.close()
    answers.join_thread()


def test_without_boto3_the_extra_is_named(
    s3_settings: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code 2, and the command that mends it."""
    s3_client._client.cache_clear()
    monkeypatch.setitem(sys.modules, "boto3", None)

    with pytest.raises(ConfigError, match=r"pip install 'hstflow\[s3\]'") as caught:
        open_store("bucket/x", "input")

    assert caught.value.code == 2


def test_an_anonymous_store_signs_nothing(
    bucket: str, s3_settings: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Public buckets are read without credentials: requests carry no Authorization."""
    client_of(s3_settings).put_object(Bucket=bucket, Key="x", Body=b"1", ACL="public-read")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    seen: list[Any] = []
    events = open_client(s3_settings, anonymous=True).meta.events
    note = lambda request, **_: seen.append(request.headers.get("Authorization"))  # noqa: E731
    events.register("before-send.s3.*", note)
    try:
        content = S3Store(bucket, purpose="input", anonymous=True).read("x")
    finally:
        events.unregister("before-send.s3.*", note)

    assert content is not None
    assert seen == [None]


def test_a_missing_object_is_code_26_for_inputs(bucket: str, tmp_path: Path) -> None:
    """CALDP's number for inputs that are not in the bucket."""
    with pytest.raises(NotFound) as caught:
        S3Store(bucket, purpose="input").get("x", tmp_path / "x")
    assert caught.value.code == 26
    assert caught.value.path == f"s3://{bucket}/x"
