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
    """The newest context that names it says what to bring."""
    path = own_cache.mappings / "hst_acs_biasfile_9001.rmap"
    path.write_text("junk")
    found = verify_cache(own_cache)
    library.forget()
    with CrdsServer(observatory.crds_path) as server:
        mended = repair(server.profile(own_cache.cache), found)
    library.forget()
    assert [each.is_repaired for each in mended.problems] == [True]
