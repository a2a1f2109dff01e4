"""The download cache: used again, checked on use, within its limit, shared by many."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from calib.errors import ConfigError, Unavailable
from calib.fetch.cache import DownloadCache
from calib.fetch.download import Remote
from calib.fetch.options import Patience
from calib.simulate.mast_server import MastServer

NAMES = [f"jh0001a{letter}q_raw.fits" for letter in "abc"]
QUICK = Patience(connect=2, read=0.5, deadline=20, tries=3, backoff=0.02)
WriteRaw = Callable[..., Path]


@pytest.fixture
def archive(write_raw: WriteRaw, tmp_path: Path) -> Path:
    """Return a folder with three raws of equal size."""
    (tmp_path / "archive").mkdir()
    for name in NAMES:
        write_raw(tmp_path / "archive" / name)
    return tmp_path / "archive"


@pytest.fixture
def mast(archive: Path) -> Iterator[MastServer]:
    """Return a running server of that folder."""
    with MastServer(archive) as server:
        yield server


@pytest.fixture
def fetch(mast: MastServer, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that fetches a file of the server through the cache, to a new place."""
    places = iter(tmp_path / f"out{number}.fits" for number in range(100))

    def call(name: str = NAMES[0], limit: int | None = None) -> Path:
        remote = Remote(f"{mast.url}/api/v0.1/Download/file?uri={name}", name)
        copied = DownloadCache(tmp_path / "cache", limit).fetch(remote, next(places), QUICK)
        assert copied.sha256 == hashlib.sha256(copied.path.read_bytes()).hexdigest()
        assert copied.size == copied.path.stat().st_size
        return copied.path

    return call


Fetch = Callable[..., Path]


def kept(tmp_path: Path) -> list[Path]:
    """Return the finished downloads in the cache."""
    return sorted(path for path in (tmp_path / "cache" / "files").rglob("*") if path.is_file())


def statuses(mast: MastServer) -> list[int]:
    """Return the statuses of the server's answers."""
    return [request.status for request in mast.requests]


def test_second_fetch_loads_nothing(fetch: Fetch, mast: MastServer, tmp_path: Path) -> None:
    """The server is asked whether the file is still the same: 304."""
    first, second = fetch(), fetch()

    assert first.read_bytes() == second.read_bytes()
    assert statuses(mast) == [200, 304]
    assert [path.name for path in kept(tmp_path)] == [
        hashlib.sha256(first.read_bytes()).hexdigest()
    ]
    assert not list((tmp_path / "cache" / "parts").iterdir())


def test_copies_can_be_edited(fetch: Fetch, archive: Path) -> None:
    """Header edits on the copy reach neither the cache nor the next fetch."""
    first = fetch()
    first.write_bytes(b"edited")
    assert fetch().read_bytes() == (archive / NAMES[0]).read_bytes()


def test_changed_file_is_loaded_anew(
    fetch: Fetch, mast: MastServer, archive: Path, write_raw: WriteRaw
) -> None:
    """The archive reprocesses: what was kept is an old version then."""
    before = fetch().read_bytes()
    (archive / NAMES[0]).unlink()
    write_raw(archive / NAMES[0], imsets=2)

    after = fetch().read_bytes()

    assert after == (archive / NAMES[0]).read_bytes() != before
    assert statuses(mast) == [200, 200]


@pytest.mark.parametrize("damage", ["bytes", "gone", "index"])
def test_damage_is_seen_on_use(
    fetch: Fetch, mast: MastServer, archive: Path, tmp_path: Path, damage: str
) -> None:
    """A kept file that changed, went, or has no readable index, is loaded again."""
    fetch()
    (path,) = kept(tmp_path)
    path.chmod(0o644)
    if damage == "bytes":
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    elif damage == "gone":
        path.unlink()
    else:
        next((tmp_path / "cache" / "index").iterdir()).write_text("{")

    assert fetch().read_bytes() == (archive / NAMES[0]).read_bytes()
    assert statuses(mast)[-1] == 200
    assert kept(tmp_path) == [path]
    assert fetch().exists()
    assert statuses(mast)[-1] == 304


def test_limit_is_never_passed(fetch: Fetch, tmp_path: Path, archive: Path) -> None:
    """With room for two, the least recently used of three goes."""
    size = (archive / NAMES[0]).stat().st_size
    limit = int(2.5 * size)
    fetch(NAMES[0], limit)
    fetch(NAMES[1], limit)
    fetch(NAMES[0], limit)  # used again: now NAMES[1] is the oldest
    fetch(NAMES[2], limit)

    left = {path.read_bytes() for path in kept(tmp_path)}
    assert left == {(archive / name).read_bytes() for name in (NAMES[0], NAMES[2])}


def test_nothing_is_kept_at_limit_zero(fetch: Fetch, mast: MastServer, tmp_path: Path) -> None:
    """The file is delivered all the same."""
    fetch(limit=0)
    fetch(limit=0)
    assert kept(tmp_path) == []
    assert statuses(mast) == [200, 200]


def test_eight_threads_load_a_file_once(fetch: Fetch, mast: MastServer) -> None:
    """The others wait, and are told that it is still the same."""
    with ThreadPoolExecutor(8) as pool:
        contents = {path.read_bytes() for path in pool.map(fetch, [NAMES[0]] * 8)}

    assert len(contents) == 1
    assert sorted(statuses(mast)) == [200] + [304] * 7


def test_folder_that_cannot_be_made(fetch: Fetch, tmp_path: Path) -> None:
    """A setting to mend, code 2, not a failure that may pass."""
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(ConfigError, match="HSTFLOW_DOWNLOADS"):
        fetch()


def test_waiting_for_another_has_an_end(mast: MastServer, tmp_path: Path) -> None:
    """A download that another process holds for longer than our deadline is unavailable."""
    cache = DownloadCache(tmp_path / "cache")
    remote = Remote(f"{mast.url}/api/v0.1/Download/file?uri={NAMES[0]}", NAMES[0])
    key = hashlib.sha256(remote.url.encode()).hexdigest()
    with (
        cache._locked(key[:2], "ours", 1),
        pytest.raises(Unavailable, match="busy with this download"),
    ):
        cache.fetch(remote, tmp_path / "x.fits", Patience(deadline=0.2))
