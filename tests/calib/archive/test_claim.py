"""The right to write to one place: given once, waited for, taken over, lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from calib.archive import claim as claims
from calib.archive.claim import Claim, claimed
from calib.archive.staging import is_owner_dead, owner_name
from calib.errors import ArchiveError, Unavailable
from calib.stores import FileStore

KEY = "runs/r/.claims/acs/x.json"


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    """Return an empty store."""
    return FileStore(tmp_path / "store")


def wait_until(is_so: Callable[[], bool]) -> None:
    """Wait for what another thread does; on a busy machine that may take a while."""
    deadline = time.monotonic() + 20
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.02)


def beat_of(store: FileStore) -> int:
    """Return how often the claim was renewed."""
    content = store.read(KEY)
    assert content is not None
    return int(json.loads(content.data)["beat"])


def is_lost(claim: Claim) -> bool:
    """Tell whether its owner has noticed that it is another's."""
    try:
        claim.check()
    except Unavailable:
        return True
    return False


def no() -> bool:
    """Say that the work is still needed."""
    return False


def owner_elsewhere() -> bytes:
    """Return the claim of a process on another host."""
    return json.dumps({"owner": "x+other.0123abcd+77+1+0123abcd", "beat": 0}).encode()


def dead_owner() -> str:
    """Return the name of a process of this host that has ended."""
    script = "from calib.archive.staging import owner_name; print(owner_name('x'))"
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root
    )
    return done.stdout.strip()


def test_a_claim_is_there_while_held_and_gone_after(store: FileStore) -> None:
    """It names its owner, and is given back also after an error."""

    def work() -> None:
        with claimed(store, KEY, "x", is_needless=no):
            content = store.read(KEY)
            assert content is not None
            assert f"+{os.getpid()}+" in json.loads(content.data)["owner"]
            raise ArchiveError("the work failed")

    with pytest.raises(ArchiveError, match="the work failed"):
        work()
    assert store.head(KEY) is None


def test_work_that_is_done_needs_no_claim(store: FileStore) -> None:
    """Where the work is done, None comes instead of a claim, and nothing is written."""
    with claimed(store, KEY, "x", is_needless=lambda: True) as claim:
        assert claim is None
    assert [*store.list_keys("")] == []


def test_one_thread_at_a_time(store: FileStore) -> None:
    """Threads that want the same place are in it one after the other."""
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        with claimed(store, KEY, "x", is_needless=no):
            inside += 1
            most = max(most, inside)
            time.sleep(0.02)
            inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_a_living_owner_is_waited_for_and_named(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the patience the error may pass by itself: code 25, retried."""
    monkeypatch.setattr(claims, "_PATIENCE", 0.3)
    store.put_if_absent(KEY, owner_elsewhere())

    with pytest.raises(Unavailable, match="another process") as caught:
        claimed(store, KEY, "x", is_needless=no).__enter__()

    assert caught.value.code == 25
    assert "other.0123abcd" in str(caught.value.found)


def test_a_dead_owner_of_this_host_gives_way_at_once(store: FileStore) -> None:
    """A killed process is known to be dead: nobody waits for its lease."""
    store.put_if_absent(KEY, json.dumps({"owner": dead_owner(), "beat": 3}).encode())
    begun = time.monotonic()

    with claimed(store, KEY, "x", is_needless=no) as claim:
        assert claim is not None

    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("content", [owner_elsewhere(), b"not JSON", b"[]", b"{}"])
def test_a_claim_that_is_not_renewed_expires(store: FileStore, content: bytes) -> None:
    """By the store's clock, whoever made it."""
    store.put_if_absent(KEY, content)
    path = store.root / KEY
    os.utime(path, (time.time() - claims.LEASE - 1,) * 2)

    with claimed(store, KEY, "x", is_needless=no) as claim:
        assert claim is not None


def test_the_owner_renews(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the block runs the claim is written again and again, and stays ours."""
    monkeypatch.setattr(claims, "_RENEW", 0.05)
    with claimed(store, KEY, "x", is_needless=no) as claim:
        wait_until(lambda: beat_of(store) >= 2)
        assert beat_of(store) >= 2
        assert claim is not None
        claim.check()
    assert store.head(KEY) is None


def test_an_owner_notices_that_another_took_over(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its next check raises, and it leaves the other's claim alone."""
    monkeypatch.setattr(claims, "_RENEW", 0.05)
    with claimed(store, KEY, "x", is_needless=no) as claim:
        assert claim is not None
        store.replace(KEY, owner_elsewhere())
        wait_until(lambda: is_lost(claim))
        with pytest.raises(Unavailable, match="lost"):
            claim.check()
    content = store.read(KEY)
    assert content is not None
    assert content.data == owner_elsewhere()


def test_an_owner_that_stood_still_stops_by_itself(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that slept, or could not renew, stops before others may begin."""
    with claimed(store, KEY, "x", is_needless=no) as claim:
        assert claim is not None
        now = claims._now()
        monkeypatch.setattr(claims, "_now", lambda: now + claims.LEASE * 0.9)
        with pytest.raises(Unavailable, match="lost"):
            claim.check()
    assert store.head(KEY) is not None


def test_a_hiccup_of_the_store_is_lived_through(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A renewal that fails is tried again; the claim is held meanwhile."""
    monkeypatch.setattr(claims, "_RENEW", 0.05)
    replace, calls = FileStore.replace, []

    def failing(self: FileStore, key: str, data: bytes, tag: str | None = None) -> str | None:
        calls.append(key)
        if len(calls) < 3:
            raise ArchiveError("out of order")
        return replace(self, key, data, tag)

    monkeypatch.setattr(FileStore, "replace", failing)
    with claimed(store, KEY, "x", is_needless=no) as claim:
        wait_until(lambda: len(calls) > 3)
        assert claim is not None
        claim.check()
    assert len(calls) > 3
    assert store.head(KEY) is None


def test_owners_are_told_apart() -> None:
    """Ours lives; one that ended is dead; of one elsewhere, or no owner at all, nobody knows."""
    assert not is_owner_dead(owner_name("x"))
    assert is_owner_dead(dead_owner())
    assert not is_owner_dead("x+other.0123abcd+77+1+0123abcd")
    assert not is_owner_dead("something else")
