"""What is wrong with a cache, found without a server and mended with one."""

from __future__ import annotations

import dataclasses
import os
import time

import pytest

from calib.errors import ConfigError
from calib.references import library
from calib.references.profile import CrdsProfile
from calib.references.verification import repair, verify_cache
from calib.simulate.crds_server import CrdsServer
from calib.simulate.observatory import Observatory

CONTEXT = "hst_9002.pmap"


def spoil(profile: CrdsProfile) -> set[tuple[str, str]]:
    """Damage a cache in every way; return what is to be found."""
    rules = profile.mappings / "hst_acs_biasfile_9001.rmap"
    rules.write_text(rules.read_text().replace("BIASFILE", "DARKFILE"))
    (profile.mappings / "hst_acs_9002.imap").unlink()
    first, second = sorted(profile.references.glob("*.fits"))[:2]
    first.write_bytes(b"x" + first.read_bytes()[1:])
    second.write_bytes(second.read_bytes()[:-1])
    part = profile.references / ".part-gone.fits"
    part.touch()
    os.utime(part, (time.time() - 1e6,) * 2)
    (profile.references / ".part-under_way.fits").touch()
    return {
        (rules.name, "damaged"),
        ("hst_acs_9002.imap", "missing"),
        (first.name, "damaged"),
        (second.name, "damaged"),
        (part.name, "leftover"),
    }


def test_the_real_rules_are_sound(real: CrdsProfile) -> None:
    """Offline and read-only: 220 files that the catalogue knows."""
    found = verify_cache(real)
    assert (found.rules, found.problems, found.unknown) == (220, (), ())


def test_everything_wrong_is_found(own_cache: CrdsProfile) -> None:
    """In a read-only cache without a server; nothing is written."""
    place = dataclasses.replace(own_cache, readonly=True)
    assert verify_cache(place, [CONTEXT], references=True).problems == ()
    expected = spoil(place)
    found = verify_cache(place, ["hst_9001.pmap", CONTEXT], references=True)
    assert {(each.name, each.kind) for each in found.problems} == expected
    assert not any(each.is_repaired for each in found.problems)
    assert found.unknown  # this catalogue has references only
    rules = verify_cache(place)
    assert {(each.name, each.kind) for each in rules.problems} == {
        ("hst_acs_biasfile_9001.rmap", "damaged"),
        (".part-gone.fits", "leftover"),
    }


def test_everything_wrong_is_mended(own_cache: CrdsProfile, observatory: Observatory) -> None:
    """From the server; what it does not have stays wrong, and a cache without one refuses."""
    spoil(own_cache)
    contexts = ["hst_9001.pmap", CONTEXT]
    found = verify_cache(own_cache, contexts, references=True)
    with pytest.raises(ConfigError, match="offline"):
        repair(own_cache, found, contexts)
    library.forget()
    with CrdsServer(observatory.crds_path) as server:
        online = server.profile(own_cache.cache)
        mended = repair(online, found, contexts)
    library.forget()
    assert all(each.is_repaired for each in mended.problems)
    assert verify_cache(own_cache, contexts, references=True).problems == ()
    assert (own_cache.references / ".part-under_way.fits").exists()


def test_a_damaged_file_of_no_named_context_is_mended(
    own_cache: CrdsProfile, observatory: Observatory
) -> None:
    """It is asked for by its own name."""
    path = own_cache.mappings / "hst_acs_biasfile_9001.rmap"
    path.write_text("junk")
    found = verify_cache(own_cache)
    library.forget()
    with CrdsServer(observatory.crds_path) as server:
        mended = repair(server.profile(own_cache.cache), found)
    library.forget()
    assert [each.is_repaired for each in mended.problems] == [True]


def test_one_that_nobody_has_keeps_no_other_from_being_mended(
    own_cache: CrdsProfile, observatory: Observatory
) -> None:
    """Rules made here, which no server has: they stay wrong, with the reason."""
    expected = spoil(own_cache)
    # Both are rules of one level, and so are asked for together.
    mine = [own_cache.mappings / name for name in ("hst_acs_9777.imap", "hst_acs 1.imap")]
    for path in mine:
        path.write_text("junk")
    found = verify_cache(own_cache, references=True)
    library.forget()
    with CrdsServer(observatory.crds_path) as server:
        mended = repair(server.profile(own_cache.cache), found, [CONTEXT])
    library.forget()
    wrong = {each.name: each.text for each in mended.problems if not each.is_repaired}
    assert set(wrong) == {path.name for path in mine}
    assert "has no such file" in wrong[mine[0].name]
    assert "no file of CRDS" in wrong[mine[1].name]
    assert len(mended.problems) == len(expected) + 1  # the missing one was not looked for
    assert verify_cache(own_cache, [CONTEXT], references=True).problems == ()


def test_nothing_is_mended_in_a_readonly_cache(own_cache: CrdsProfile) -> None:
    """Nor is what is left over removed from it."""
    spoil(own_cache)
    place = dataclasses.replace(own_cache, readonly=True)
    part = own_cache.references / ".part-gone.fits"
    found = verify_cache(place)
    only = dataclasses.replace(found, problems=found.problems[-1:])
    for each in (found, only):
        with pytest.raises(ConfigError, match="read-only"):
            repair(place, each)
    assert part.exists()


def test_leftover_that_somebody_went_on_with_stays(own_cache: CrdsProfile) -> None:
    """Its age is looked at again, under the lock of its file, when it is to be removed."""
    spoil(own_cache)
    part = own_cache.references / ".part-gone.fits"
    found = verify_cache(own_cache)
    leftover = [each for each in found.problems if each.kind == "leftover"]
    only = dataclasses.replace(found, problems=tuple(leftover))
    part.touch()
    assert [each.is_repaired for each in repair(own_cache, only).problems] == [False]
    assert part.exists()
    os.utime(part, (time.time() - 1e6,) * 2)
    assert [each.is_repaired for each in repair(own_cache, only).problems] == [True]
    assert not part.exists()
