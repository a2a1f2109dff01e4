"""Pins: of one profile, below what the profile says, above what is operational."""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from calib.errors import ConfigError, ContextError
from calib.references import pins
from calib.references.context import resolve_context, standing_context
from calib.references.pins import Pin, pin, pinned, pins_file
from calib.references.profile import CrdsProfile, load_profile

OLD, NEW = "hst_9001.pmap", "hst_9002.pmap"


def test_order_of_what_says_the_context(own_cache: CrdsProfile) -> None:
    """Named, profile, pin, fallback, operational; and why."""
    assert dataclasses.astuple(standing_context(own_cache)) == (OLD, "operational")
    assert dataclasses.astuple(standing_context(own_cache, fallback=NEW)) == (NEW, "fallback")
    pin(own_cache, "hst_9000.pmap")
    assert dataclasses.astuple(standing_context(own_cache, fallback=NEW)) == (
        "hst_9000.pmap",
        "pin",
    )
    own = dataclasses.replace(own_cache, context=NEW)
    assert dataclasses.astuple(standing_context(own)) == (NEW, "profile")
    assert resolve_context(OLD, own) == OLD
    assert resolve_context("hst-operational", own_cache) == OLD


def test_a_pin_is_set_and_ended(own_cache: CrdsProfile) -> None:
    """Each call returns the pin before; another cache has its own."""
    other = dataclasses.replace(own_cache, cache=own_cache.cache / "other")
    assert pin(own_cache, OLD) is None
    before = pin(own_cache, NEW)
    assert before is not None
    assert before.context == OLD
    assert pinned(other) is None
    assert pin(own_cache, None) is not None
    assert pinned(own_cache) is None


def test_a_pin_that_is_not_in_the_cache_is_refused(own_cache: CrdsProfile) -> None:
    """As any context that does not exist: nobody falls back silently."""
    pin(own_cache, "hst_0001.pmap")
    with pytest.raises(ContextError, match="no such context"):
        resolve_context(None, own_cache)


def test_two_at_once_lose_no_pin(own_cache: CrdsProfile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have read the file before either writes it, if nothing keeps them apart."""
    both, really = threading.Barrier(2), pins._read

    def read(file: Path) -> dict[str, Pin]:
        found = really(file)
        with suppress(threading.BrokenBarrierError):
            both.wait(0.1)
        return found

    profiles = [dataclasses.replace(own_cache, name=name) for name in ("one", "two")]
    with monkeypatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setattr(pins, "_read", read)
        assert list(pool.map(lambda each: pin(each, OLD), profiles)) == [None, None]
    assert all(pinned(each) for each in profiles)


@pytest.mark.parametrize("content", ["{", "[]", '{"x": 3}', '{"x": {"name": "y"}}'])
def test_a_file_that_is_no_pins(own_cache: CrdsProfile, content: str) -> None:
    """It is named, and stays as it is."""
    pins_file().parent.mkdir(parents=True)
    pins_file().write_text(content)
    for call in (lambda: pinned(own_cache), lambda: pin(own_cache, OLD)):
        with pytest.raises(ConfigError, match="pinned contexts") as caught:
            call()
        assert caught.value.path == str(pins_file())
    assert pins_file().read_text() == content


def test_places_of_the_cloud_profile(tmp_path: Path) -> None:
    """By the variables of the crds library or in a file; what is no place is refused."""
    environ = {"CRDS_MAPPING_URI": "s3://bucket/crds/mappings/hst", "CRDS_REFERENCE_URI": "none"}
    cloud = load_profile("cloud", environ)
    assert (cloud.rules_uri, cloud.references_uri) == ("s3://bucket/crds/mappings/hst", None)
    assert (cloud.can_fill, cloud.offline) == (True, True)
    assert load_profile("offsite", environ).rules_uri is None
    with pytest.raises(ConfigError, match="CRDS_MAPPING_URI"):
        load_profile("cloud", {"CRDS_MAPPING_URI": "http://host/x"})

    file = tmp_path / "own.toml"
    text = 'server_url = "https://x-serverless"\ncache = "c"\nrules_uri = "file:/crds"\n'
    file.write_text(text)
    assert load_profile(str(file), {}).rules_uri == "file:/crds"
    assert load_profile(str(file), {"CRDS_CONTEXT": OLD}).context == OLD
    file.write_text(text.replace("file:/crds", "/crds"))
    with pytest.raises(ConfigError, match="rules_uri"):
        load_profile(str(file), {})
