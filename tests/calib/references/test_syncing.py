"""A cache filled by a loopback server or a store: whole, verified, by many at once."""

from __future__ import annotations

import dataclasses
import errno
import os
import shutil
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from calib.errors import BESTREFS, ConfigError, ContextError, Unavailable
from calib.references import arrival, library, syncing
from calib.references.arrival import Patience, Wanted
from calib.references.context import resolve_context
from calib.references.files import sha1_of
from calib.references.origins import Origin
from calib.references.profile import CrdsProfile
from calib.references.readiness import find_reference, readiness
from calib.references.syncing import Synced, sync_references, sync_rules
from calib.simulate.crds_server import CrdsServer
from calib.simulate.observatory import Observatory

CONTEXT = "hst_9001.pmap"
QUICK = Patience(tries=3, pause=0.0)


def loaded(server: CrdsServer) -> Counter[str]:
    """Return how often each file was sent whole."""
    found = [each for each in server.requests if "/files/" in each.path and each.status == 200]
    return Counter(each.path.rpartition("/")[2] for each in found)


def assert_equal(profile: CrdsProfile, observatory: Observatory, names: list[str]) -> None:
    """Insist that these references are those of the observatory."""
    for name in names:
        path = find_reference(profile, name)
        assert path is not None
        assert sha1_of(path) == sha1_of(observatory.profile.references / name)


def leftovers(profile: CrdsProfile) -> list[str]:
    """Return the names of files that are still on their way."""
    return [path.name for path in profile.cache.rglob(f"{arrival.PART}*")]


def test_rules_of_contexts_come_once(server: CrdsServer, profile: CrdsProfile) -> None:
    """All rules, each once; again nothing; then the cache is enough without the server."""
    steps: list[tuple[int, int]] = []
    first = sync_rules(profile, [CONTEXT, "hst_9002.pmap"], progress=lambda *n: steps.append(n))

    assert readiness(profile, CONTEXT).ready
    assert readiness(profile, "hst_9002.pmap").ready
    assert set(loaded(server).values()) == {1}
    assert len(first.brought) == len(loaded(server)) > 10
    assert steps[-1][0] == steps[-1][1]
    again = sync_rules(profile, [CONTEXT])
    assert (again.brought, again.bytes, again.failed) == ((), 0, ())
    offline = dataclasses.replace(profile, server_url="https://hst-serverless.stsci.edu")
    assert resolve_context(None, offline) == CONTEXT
    assert leftovers(profile) == []


def test_references_come_into_the_layout_of_the_cache(
    server: CrdsServer, profile: CrdsProfile, observatory: Observatory, names: list[str]
) -> None:
    """By instrument where nothing else is said; the cache says so itself afterwards."""
    synced = sync_references(profile, CONTEXT, names)

    assert sorted(synced.brought) == names
    assert synced.bytes == sum((observatory.profile.references / n).stat().st_size for n in names)
    assert_equal(profile, observatory, names)
    assert {path.name for path in (profile.references / "acs").iterdir()} == set(names)
    assert (profile.cache / "config/hst/ref_cache_subdir_mode").read_text() == "instrument"


@pytest.mark.parametrize("fault", ["503", "drop", "cut", "corrupt"])
def test_passing_faults_are_outlived(
    server: CrdsServer,
    profile: CrdsProfile,
    observatory: Observatory,
    names: list[str],
    fault: str,
) -> None:
    """One failure of rules and of a reference: the next try brings them whole."""
    server.faults = {CONTEXT: [fault], "hst_acs_9001.imap": [fault], names[0]: [fault]}
    sync_rules(profile, [CONTEXT], patience=QUICK)
    synced = sync_references(profile, CONTEXT, names[:2], patience=QUICK)

    assert synced.failed == ()
    assert readiness(profile, CONTEXT, names[:2], checked=True).ready
    assert_equal(profile, observatory, names[:2])
    assert leftovers(profile) == []


def test_a_broken_download_goes_on_where_it_ended(
    server: CrdsServer, profile: CrdsProfile, observatory: Observatory, names: list[str]
) -> None:
    """What came of a file is not asked for again, in the next process either."""
    server.faults = {names[0]: ["cut", "drop", "drop"]}
    assert sync_references(profile, CONTEXT, names[:1], patience=QUICK).failed
    (part,) = profile.references.rglob(f"{arrival.PART}*")
    half = part.stat().st_size

    assert sync_references(profile, CONTEXT, names[:1], patience=QUICK).brought
    assert server.requests[-1].range == f"bytes={half}-"
    assert_equal(profile, observatory, names[:1])
    assert leftovers(profile) == []


def test_the_wrong_beginning_of_a_killed_download_does_no_harm(
    profile: CrdsProfile, observatory: Observatory, names: list[str]
) -> None:
    """Garbage is found out by its sha1, too much of it by the server; then it begins anew."""
    folder = profile.references / "acs"
    folder.mkdir(parents=True)
    (folder / f"{arrival.PART}{names[0]}").write_bytes(b"x" * 1000)
    (folder / f"{arrival.PART}{names[1]}").write_bytes(b"x" * 9_000_000)

    assert not sync_references(profile, CONTEXT, names[:2], patience=QUICK).failed
    assert_equal(profile, observatory, names[:2])
    assert leftovers(profile) == []


def test_what_stays_damaged_is_named_and_not_kept(
    server: CrdsServer, profile: CrdsProfile, names: list[str]
) -> None:
    """A reference is in the answer, fetched twice; rules are an error; others still come."""
    server.faults = {names[0]: ["corrupt"] * 9}
    synced = sync_references(profile, CONTEXT, names[:2], patience=QUICK)
    assert [name for name, _ in synced.failed] == [names[0]]
    assert "damaged" in synced.failed[0][1]
    assert loaded(server)[names[0]] == 2
    assert synced.brought == (names[1],)
    assert find_reference(profile, names[0]) is None

    server.faults = {"hst_acs_9001.imap": ["corrupt"] * 9}
    with pytest.raises(ContextError, match=r"hst_acs_9001\.imap") as caught:
        sync_rules(profile, [CONTEXT], patience=QUICK)
    assert caught.value.code == BESTREFS
    assert not (profile.mappings / "hst_acs_9001.imap").exists()
    assert leftovers(profile) == []


def test_damaged_files_in_the_cache_are_replaced(
    profile: CrdsProfile, observatory: Observatory, names: list[str]
) -> None:
    """Rules always, a reference of the wrong size always, of the wrong sha1 when asked."""
    sync_rules(profile, [CONTEXT])
    sync_references(profile, CONTEXT, names[:2])
    rules, short, changed = profile.mappings / CONTEXT, *_paths(profile, names[:2])
    rules.write_text(rules.read_text().replace("9001", "9003", 1))
    short.write_bytes(short.read_bytes()[:-10])
    changed.write_bytes(b"x" + changed.read_bytes()[1:])

    assert sync_rules(profile, [CONTEXT]).brought == (CONTEXT,)
    assert sync_references(profile, CONTEXT, names[:2]).brought == (names[0],)
    assert sync_references(profile, CONTEXT, names[:2], checked=True).brought == (names[1],)
    assert_equal(profile, observatory, names[:2])


def _paths(profile: CrdsProfile, names: list[str]) -> list[Path]:
    return [path for name in names if (path := find_reference(profile, name))]


def test_sound_rules_of_the_same_name_are_not_overwritten(
    profile: CrdsProfile, tmp_path: Path
) -> None:
    """Rules made here, under a name that the server uses too, are somebody's work."""
    sync_rules(profile, [CONTEXT])
    mine = profile.mappings / CONTEXT
    with library.session(profile):
        from crds.core import rmap

        rules = rmap.load_mapping(str(mine))
        rules.header["description"] = "made here"
        rules.write(str(mine))
    written = mine.read_bytes()
    library.forget()

    with pytest.raises(ContextError, match="same names"):
        sync_rules(profile, [CONTEXT])
    assert mine.read_bytes() == written


def test_unknown_things_are_said(profile: CrdsProfile, names: list[str]) -> None:
    """A context with those there are; a reference in the answer; what is no name at once."""
    with pytest.raises(ContextError, match=r"hst_9001\.pmap"):
        sync_rules(profile, ["hst_0001.pmap"])
    synced = sync_references(profile, CONTEXT, ["nosuchj_drk.fits", names[0]], patience=QUICK)
    assert synced.failed == (("nosuchj_drk.fits", "the server has no such file"),)
    assert synced.brought == (names[0],)
    for bad in ("../x.fits", "", CONTEXT):
        with pytest.raises(ConfigError, match="not names of reference"):
            sync_references(profile, CONTEXT, [bad])


@pytest.mark.parametrize(
    ("change", "text"),
    [({"readonly": True}, "read-only"), ({"server_url": "https://x-serverless"}, "offline")],
)
def test_caches_that_cannot_be_filled_refuse(
    profile: CrdsProfile, change: dict[str, object], text: str, names: list[str]
) -> None:
    """Before anything is asked or made; code 27."""
    place = dataclasses.replace(profile, **change)  # type: ignore[arg-type]
    for call in (
        lambda: sync_rules(place, [CONTEXT]),
        lambda: sync_references(place, CONTEXT, names),
    ):
        with pytest.raises(ConfigError, match=text) as caught:
            call()
        assert caught.value.code == BESTREFS
    assert not place.cache.exists()


def test_server_that_is_gone(server: CrdsServer, profile: CrdsProfile, names: list[str]) -> None:
    """Unavailable, to be tried again; what is there stays."""
    server.stop()
    with pytest.raises(Unavailable, match="does not answer") as caught:
        sync_rules(profile, [CONTEXT])
    assert caught.value.code == BESTREFS
    with pytest.raises(Unavailable):
        sync_references(profile, CONTEXT, names)


def test_rules_that_are_not_sent_are_unavailable(server: CrdsServer, profile: CrdsProfile) -> None:
    """A server that fails is no reason to say that there is no such context."""
    server.faults = {CONTEXT: ["503"] * 9}
    with pytest.raises(Unavailable, match="does not send"):
        sync_rules(profile, [CONTEXT], patience=QUICK)


def test_many_failures_end_the_asking(
    server: CrdsServer, profile: CrdsProfile, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some files that did not come the server is not bothered with all the others."""
    monkeypatch.setattr(syncing, "_ENOUGH", 2)
    monkeypatch.setattr(syncing, "_THREADS", 1)
    server.faults = {name: ["503"] * 9 for name in names}
    synced = sync_references(profile, CONTEXT, names, patience=QUICK)
    assert {name for name, _ in synced.failed} == set(names)
    assert "not asked for" in dict(synced.failed)[names[-1]]


def test_files_on_their_way_are_awaited_when_it_gives_up(
    profile: CrdsProfile, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes in spite of the others that did not is said to have come."""
    monkeypatch.setattr(syncing, "_ENOUGH", 1)
    monkeypatch.setattr(syncing, "_THREADS", 2)
    failed, really = threading.Event(), syncing.bring

    def bring(origin: Origin, wanted: Wanted, patience: Patience) -> bool:
        if wanted.name == names[0]:
            assert failed.wait(10)
            return really(origin, wanted, patience)
        raise Unavailable("away")

    def give_up(left: dict[Future[bool], Wanted]) -> Synced:
        failed.set()
        return said(left)

    said = syncing._give_up
    monkeypatch.setattr(syncing, "bring", bring)
    monkeypatch.setattr(syncing, "_give_up", give_up)
    synced = sync_references(profile, CONTEXT, names)
    assert synced.brought == (names[0],)
    assert {name for name, _ in synced.failed} == set(names[1:])


def test_no_room_is_found_out_before_anything_comes(
    server: CrdsServer, profile: CrdsProfile, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sizes of the catalogue are compared with the free disk."""
    usage = shutil.disk_usage(profile.cache.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(Unavailable, match="not enough room") as caught:
        sync_references(profile, CONTEXT, names)
    assert "found 1000 bytes free" in str(caught.value)
    assert loaded(server) == {}


@pytest.mark.parametrize(
    ("number", "kind", "text"),
    [
        (errno.ENOSPC, Unavailable, "full"),
        (errno.EROFS, ConfigError, "cannot be written"),
        (errno.EIO, Unavailable, "fails"),
    ],
)
def test_disk_that_fails_under_way(
    profile: CrdsProfile,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    kind: type[Exception],
    text: str,
) -> None:
    """In words, with code 27, and without a half file under a name."""

    def fail(path: Path) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(arrival, "flush", fail)
    with pytest.raises(kind, match=text) as caught:
        sync_rules(profile, [CONTEXT])
    assert caught.value.code == BESTREFS  # type: ignore[attr-defined]
    assert not (profile.mappings / CONTEXT).exists()


def test_eight_at_once_bring_each_file_once(
    server: CrdsServer, profile: CrdsProfile, observatory: Observatory, names: list[str]
) -> None:
    """Locks hold between descriptors, so that threads stand for processes here."""

    def work(_: int) -> Synced:
        return sync_rules(profile, [CONTEXT]) + sync_references(profile, CONTEXT, names)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(work, range(8)))

    assert set(loaded(server).values()) == {1}
    assert sum(len(each.brought) for each in found) == len(loaded(server))
    assert all(not each.failed for each in found)
    assert readiness(profile, CONTEXT, names, checked=True).ready
    assert_equal(profile, observatory, names)


WORKER = """
    import sys
    from pathlib import Path
    from calib.references.profile import CrdsProfile
    from calib.references.syncing import sync_references, sync_rules

    profile = CrdsProfile("loopback", sys.argv[1], Path(sys.argv[2]))
    rules = sync_rules(profile, ["hst_9001.pmap"])
    synced = sync_references(profile, "hst_9001.pmap", sys.argv[3:])
    sys.exit(len(rules.failed + synced.failed))
"""


@pytest.mark.slow
def test_eight_processes_and_one_that_is_killed(
    server: CrdsServer, profile: CrdsProfile, observatory: Observatory, names: list[str]
) -> None:
    """Each file whole and sent once or, where its process was killed, from where it broke off."""
    command = [sys.executable, "-c", textwrap.dedent(WORKER), server.url, str(profile.cache)]
    started = [subprocess.Popen([*command, *names]) for _ in range(8)]
    while not list(profile.cache.rglob("*map")):
        assert started[0].poll() is None
    started[0].kill()
    started[0].wait()
    assert [each.wait() for each in started[1:]] == [0] * 7
    assert readiness(profile, CONTEXT, names, checked=True).ready
    assert_equal(profile, observatory, names)
    assert sum(loaded(server).values()) <= len(loaded(server)) + 8
    assert leftovers(profile) == []
