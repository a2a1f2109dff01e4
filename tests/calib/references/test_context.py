"""Which context is used, and what happens where there is none."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from calib.errors import BESTREFS, ContextError, Unavailable
from calib.references.context import list_contexts, resolve_context
from calib.references.profile import CrdsProfile
from calib.simulate.context import set_operational_context


def test_explicit_goes_before_pin_before_operational(own_cache: CrdsProfile) -> None:
    """The user's word, then the profile's pin, then the default of the cache."""
    pinned = dataclasses.replace(own_cache, context="hst_9002.pmap")
    assert resolve_context("hst_9000.pmap", pinned) == "hst_9000.pmap"
    assert resolve_context(None, pinned) == "hst_9002.pmap"
    assert resolve_context(None, own_cache) == "hst_9001.pmap"


@pytest.mark.parametrize("name", ["hst-operational", "hst-latest", "latest", "operational"])
def test_operational_by_name(own_cache: CrdsProfile, name: str) -> None:
    """CRDS' symbolic names ask for the operational context even where a pin says otherwise."""
    pinned = dataclasses.replace(own_cache, context="hst_9002.pmap")
    assert resolve_context(name, pinned) == "hst_9001.pmap"


def test_a_new_operational_context_is_seen_at_once(own_cache: CrdsProfile) -> None:
    """An edited server_config counts in the running process."""
    assert resolve_context(None, own_cache) == "hst_9001.pmap"
    set_operational_context(own_cache.cache, "hst_9002.pmap")
    assert resolve_context(None, own_cache) == "hst_9002.pmap"


@pytest.mark.parametrize(
    "name",
    ["hst_9001", "9001", "jwst_1000.pmap", "hst_9001.imap", "../hst_9001.pmap", "hst_٩٠٠١.pmap"],
)
def test_a_name_that_is_none(own_cache: CrdsProfile, name: str) -> None:
    """Whatever is not hst_NNNN.pmap is refused before it reaches a path."""
    with pytest.raises(ContextError, match="not the name of a CRDS context"):
        resolve_context(name, own_cache)


def test_unknown_context_names_those_there_are(own_cache: CrdsProfile) -> None:
    """A context that is not in the cache is an error with exit code 27 and a list."""
    with pytest.raises(ContextError) as caught:
        resolve_context("hst_0001.pmap", own_cache)
    assert caught.value.code == BESTREFS
    assert "hst_9001.pmap, hst_9002.pmap" in str(caught.value)
    assert "hst_0001.pmap" in str(caught.value)


def test_list_contexts(own_cache: CrdsProfile, tmp_path: Path) -> None:
    """The contexts of a cache are listed oldest first; of no cache, none."""
    assert list_contexts(own_cache) == ["hst_9000.pmap", "hst_9001.pmap", "hst_9002.pmap"]
    assert list_contexts(dataclasses.replace(own_cache, cache=tmp_path / "none")) == []


@pytest.mark.parametrize("content", [None, "not a dictionary {", "{'observatory': 'hst'}"])
def test_no_default_known(own_cache: CrdsProfile, content: str | None) -> None:
    """Without a readable server_config an explicit context works, and no context is an error."""
    own_cache.server_config.unlink()
    if content is not None:
        own_cache.server_config.write_text(content)
    assert resolve_context("hst_9002.pmap", own_cache) == "hst_9002.pmap"
    with pytest.raises(ContextError, match=r"server_config|names no operational"):
        resolve_context(None, own_cache)


def test_server_that_does_not_answer(own_cache: CrdsProfile, tmp_path: Path) -> None:
    """With a silent server the last known default is used; without one it is Unavailable."""
    silent = dataclasses.replace(own_cache, server_url="http://localhost:9")
    assert resolve_context(None, silent) == "hst_9001.pmap"
    empty = dataclasses.replace(silent, cache=tmp_path / "empty")
    with pytest.raises(Unavailable) as caught:
        resolve_context(None, empty)
    assert caught.value.code == BESTREFS


def test_the_newest_real_context(real: CrdsProfile) -> None:
    """The real cache names the context that was operational when it was synchronised."""
    assert resolve_context(None, real) == "hst_0729.pmap"
    assert len(list_contexts(real)) == 6
