"""What a folder and a bucket have in common: the rules of every store."""

from __future__ import annotations

import hashlib
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from calib.errors import ArchiveError, ConfigError, NotFound
from calib.stores import FileStore, S3Store, Store

SIZES = (0, 5, 9 << 20)  # the last is sent in two parts


@pytest.fixture(params=["file", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Return an empty store of each kind."""
    if request.param == "file":
        return FileStore(tmp_path / "store")
    return S3Store(request.getfixturevalue("bucket"), "a/b")


def write(path: Path, data: bytes) -> Path:
    """Write a source file."""
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("size", SIZES)
def test_bytes_come_back(store: Store, tmp_path: Path, size: int) -> None:
    """What is put is described, read, hashed and brought back as it was."""
    data = os.urandom(size)
    sha256 = hashlib.sha256(data).hexdigest()

    stored = store.put(write(tmp_path / "x.fits", data), "k/x.fits", sha256=sha256)

    assert (stored.key, stored.size, stored.sha256) == ("k/x.fits", size, sha256)
    assert store.compute_digest("k/x.fits") == sha256
    found = store.head("k/x.fits")
    assert found is not None
    assert (found.size, found.tag) == (size, stored.tag)
    store.get("k/x.fits", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data
    assert not (tmp_path / "back.part").exists()


def test_a_changed_source_is_not_stored(store: Store, tmp_path: Path) -> None:
    """A file that is not what its checksum says leaves nothing."""
    source = write(tmp_path / "x", b"changed")
    with pytest.raises(ArchiveError, match="changed since"):
        store.put(source, "x", sha256="0" * 64)
    assert store.head("x") is None


@pytest.mark.parametrize("name", ["missing", "folder"])
def test_a_source_that_is_no_file_is_refused(store: Store, tmp_path: Path, name: str) -> None:
    """Code 25 with the path, and nothing is stored."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(ArchiveError, match=name):
        store.put(tmp_path / name, "x")
    assert store.head("x") is None


@pytest.mark.parametrize("size", SIZES)
def test_only_new_never_overwrites(store: Store, tmp_path: Path, size: int) -> None:
    """Equal bytes are accepted, others are refused and what was there stays."""
    source = write(tmp_path / "x", bytes(size))
    store.put(source, "x", only_new=True)
    assert store.put(source, "x", only_new=True).size == size

    other = write(tmp_path / "y", b"1" + bytes(size))
    with pytest.raises(ArchiveError, match="other bytes"):
        store.put(other, "x", only_new=True)

    assert store.compute_digest("x") == hashlib.sha256(bytes(size)).hexdigest()


def test_a_free_key_is_given_once(store: Store) -> None:
    """Of threads that want one key exactly one gets it, and its bytes are there."""
    with ThreadPoolExecutor(8) as pool:
        tags = list(pool.map(lambda n: store.put_if_absent("claim", b"%d" % n), range(8)))

    winners = [number for number, tag in enumerate(tags) if tag]
    assert len(winners) == 1
    found = store.read("claim")
    assert found is not None
    assert (found.data, found.tag) == (b"%d" % winners[0], tags[winners[0]])
    assert 0 <= found.age < 60


def test_replace_compares_the_tag(store: Store) -> None:
    """With a stale tag, or none to compare with, nothing is written; without one always."""
    first = store.put_if_absent("k", b"first")
    second = store.replace("k", b"second", first)

    assert second
    assert store.replace("k", b"third", first) is None
    assert store.replace("absent", b"third", first) is None
    found = store.read("k")
    assert found is not None
    assert (found.data, found.tag) == (b"second", second)
    assert store.replace("k", b"fourth")
    assert store.head("absent") is None


def test_keys_are_listed_in_order(store: Store) -> None:
    """A listing has everything with the prefix; folders are the next parts only."""
    for key in ("runs/b/acs/x", "runs/a/acs/x", "runs/a/.claims/y", "runs/file", "data/z"):
        store.put_if_absent(key, b"1")

    assert [s.key for s in store.list_keys("runs/a/")] == ["runs/a/.claims/y", "runs/a/acs/x"]
    assert len([*store.list_keys("")]) == 5
    assert store.list_folders("runs") == ["a", "b"]
    assert store.list_folders("none") == []
    assert [*store.list_keys("none")] == []


def test_what_is_not_there(store: Store, tmp_path: Path) -> None:
    """Nothing is described as None, removed without a word, and cannot be brought."""
    assert store.head("x") is None
    assert store.read("x") is None
    store.delete("x")
    with pytest.raises((ArchiveError, NotFound), match="no such object"):
        store.get("x", tmp_path / "x")
    assert [*tmp_path.glob("x*")] == []


@pytest.mark.parametrize("key", ["", "/x", "x/", "a//b", "../x", "a/../x", "a/./x", "a\nb"])
def test_keys_that_lead_astray_are_refused(store: Store, key: str) -> None:
    """A key has parts that are names, so none leaves the store."""
    with pytest.raises(ConfigError, match="not a key"):
        store.put_if_absent(key, b"1")
    with pytest.raises(ConfigError, match="not a key"):
        store.read(key)


def test_stores_travel_in_pickles(store: Store) -> None:
    """A pickled store is small and equal, and works."""
    store.put_if_absent("x", b"1")
    text = pickle.dumps(store)

    other: Store = pickle.loads(text)  # noqa: S301 - written above

    assert other == store
    assert len(text) < 500
    found = other.read("x")
    assert found is not None
    assert found.data == b"1"
