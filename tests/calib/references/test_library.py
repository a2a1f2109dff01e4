"""The crds library in our process: rules, caches, threads, environment, silence."""

from __future__ import annotations

import dataclasses
import os
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from calib.errors import (
    BESTREFS,
    ContextError,
    MissingReference,
    ReferenceUnavailable,
    Unavailable,
)
from calib.references import library
from calib.references.bestrefs import best_references
from calib.references.operational import ask_operational
from calib.references.profile import CrdsProfile

if TYPE_CHECKING:
    from calib.simulate.observatory import Observatory

OLD, NEW = "hst_9001.pmap", "hst_9002.pmap"


def nothing(_header: Mapping[str, Any]) -> tuple[str, ...]:
    """Require no reference."""
    return ()


def ccd(header: Mapping[str, Any]) -> tuple[str, ...]:
    """Require what the basic CCD steps open."""
    assert header["DETECTOR"] == "HRC"
    assert header["NAXIS1"] != 0
    return ("BIASFILE", "DARKFILE", "PFLTFILE")


def test_missing_rules_are_not_called_no_match(own_cache: CrdsProfile, raws: list[Path]) -> None:
    """Crds calls an absent rules file "not found" for its type: here it is a ContextError."""
    (own_cache.mappings / "hst_acs_darkfile_9001.rmap").unlink()
    with pytest.raises(ContextError, match=r"hst_acs_darkfile_9001\.rmap"):
        best_references(raws, context=OLD, profile=own_cache, required=nothing)


def test_damaged_rules(own_cache: CrdsProfile, raws: list[Path]) -> None:
    """Rules whose checksum is wrong are not used."""
    path = own_cache.mappings / "hst_acs_darkfile_9001.rmap"
    path.write_text(path.read_text().replace("z0000002j", "z0000099j"))
    with pytest.raises(ContextError, match="sha1sum mismatch in 'hst_acs_darkfile_9001"):
        best_references(raws, context=OLD, profile=own_cache, required=nothing)


def test_unknown_context(own_cache: CrdsProfile, raws: list[Path]) -> None:
    """A context that is not in the cache names those that are."""
    with pytest.raises(ContextError, match=r"hst_9002\.pmap"):
        best_references(raws, context="hst_0001.pmap", profile=own_cache, required=nothing)


def test_without_server_config(own_cache: CrdsProfile, raws: list[Path]) -> None:
    """A cache that was only copied, without server_config, serves an explicit context."""
    own_cache.server_config.unlink()
    references = best_references(raws, context=OLD, profile=own_cache, required=ccd)
    assert references.exposures[0].path("DARKFILE")


def test_server_that_does_not_answer(own_cache: CrdsProfile, raws: list[Path]) -> None:
    """What is in the cache needs no server; absent rules or files then are transient errors."""
    silent = dataclasses.replace(own_cache, server_url="http://localhost:9")
    assert best_references(raws, context=OLD, profile=silent, required=ccd)
    (silent.references / "z0000002j_drk.fits").unlink()
    with pytest.raises(ReferenceUnavailable):
        best_references(raws, context=OLD, profile=silent, required=ccd)
    (silent.mappings / "hst_9002.pmap").unlink()
    with pytest.raises(Unavailable) as caught:
        best_references(raws, context=NEW, profile=silent, required=ccd)
    assert caught.value.code == BESTREFS


@pytest.mark.parametrize("own", [None, "1"])
def test_server_that_accepts_and_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str | None
) -> None:
    """It is waited for as long as the environment says, or as we say; never for an hour."""
    if own is None:
        monkeypatch.delenv("CRDS_CLIENT_TIMEOUT_SECONDS", raising=False)
        monkeypatch.setattr(library, "TIMEOUT", "1")
    else:
        monkeypatch.setenv("CRDS_CLIENT_TIMEOUT_SECONDS", own)
    with socket.create_server(("localhost", 0)) as silent:
        url = f"http://localhost:{silent.getsockname()[1]}"
        profile = CrdsProfile("silent", url, tmp_path / "cache")
        with library.session(profile):  # the import is not the server's time
            begun = time.monotonic()
        with pytest.raises(Unavailable, match="does not answer"):
            library.ask_server(profile, again=True)
        assert 1 <= time.monotonic() - begun < 20
        with pytest.raises(Unavailable, match="does not answer"):
            ask_operational(profile)
    assert os.environ.get("CRDS_CLIENT_TIMEOUT_SECONDS") == own


def test_environment_and_log_are_left_alone(
    observatory: Observatory,
    raws: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The user's CRDS settings are not used, not changed, and nothing is written to stderr."""
    mine = {"CRDS_PATH": "/mine", "CRDS_CONTEXT": "hst_0001.pmap", "CRDS_MAPPATH": "/mine/maps"}
    for name, value in mine.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ContextError):
        best_references(
            raws, context="hst_0001.pmap", profile=observatory.profile, required=nothing
        )
    best_references(raws, context=OLD, profile=observatory.profile, required=ccd)
    assert {name: os.environ[name] for name in mine} == mine
    assert {name for name in os.environ if name.startswith("CRDS_")} == set(mine)
    assert capsys.readouterr() == ("", "")


def test_threads_with_different_caches(
    observatory: Observatory, own_cache: CrdsProfile, raws: list[Path]
) -> None:
    """Threads on two caches and two contexts each get their own answer."""
    (own_cache.references / "z0000002j_drk.fits").rename(own_cache.references / "z_gone.fits")
    answers: dict[int, str | None] = {}

    def ask(number: int) -> None:
        profile = own_cache if number % 2 else observatory.profile
        context = NEW if number % 4 > 1 else OLD
        found = best_references(raws[:1], context=context, profile=profile, required=nothing)
        answers[number] = found.exposures[0].path("DARKFILE")

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    old = str(observatory.profile.references / "z0000002j_drk.fits")
    new = [str(p.references / "z0000012j_drk.fits") for p in (observatory.profile, own_cache)]
    assert [answers[number] for number in range(8)] == [old, None, *new] * 2


def test_nothing_is_written_into_a_cache_without_server(
    own_cache: CrdsProfile, raws: list[Path]
) -> None:
    """Asking leaves an offline cache byte for byte as it was (a cache may be on read-only disk)."""
    before = {path: path.stat().st_mtime_ns for path in own_cache.cache.rglob("*")}
    best_references(raws, context=NEW, profile=own_cache, required=ccd)
    assert {path: path.stat().st_mtime_ns for path in own_cache.cache.rglob("*")} == before


def test_warm_up(observatory: Observatory) -> None:
    """Warming up reads the rules of one instrument, or says that there are none."""
    library.warm_up(observatory.profile, OLD, "acs")
    with pytest.raises(MissingReference, match="COS"):
        library.warm_up(observatory.profile, OLD, "cos")
