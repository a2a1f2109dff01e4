"""Which context a server calls operational at this moment."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from calib.errors import ContextError, Unavailable
from calib.references.operational import ask_operational, later_operational, source_of
from calib.references.profile import CrdsProfile
from calib.simulate.context import CONTEXTS
from calib.simulate.crds_server import CrdsServer
from calib.simulate.observatory import Observatory


def test_server_is_asked_each_time(observatory: Observatory, tmp_path: Path) -> None:
    """A change is seen by the next question of the same process."""
    with CrdsServer(observatory.crds_path, context=CONTEXTS[0]) as server:
        profile = server.profile(tmp_path)
        found = [ask_operational(profile)]
        server.context = CONTEXTS[1]
        found.append(ask_operational(profile))
        assert source_of(profile) == server.url

    assert found == list(CONTEXTS)


def test_server_that_is_away_is_not_the_cache(observatory: Observatory) -> None:
    """A cache that knows a context is no answer of a server."""
    profile = CrdsProfile("away", "http://localhost:9", observatory.crds_path)
    with pytest.raises(Unavailable, match="does not answer"):
        ask_operational(profile)


def test_without_a_server_the_cache_is_the_source(observatory: Observatory, tmp_path: Path) -> None:
    """An offline site sets its context in server_config; a cache without one is refused."""
    assert ask_operational(observatory.profile) == CONTEXTS[0]
    assert source_of(observatory.profile) == str(observatory.crds_path)
    with pytest.raises(ContextError, match="no server_config"):
        ask_operational(CrdsProfile("empty", "https://hst-serverless.example", tmp_path))


def test_bucket_is_asked_each_time(observatory: Observatory, tmp_path: Path) -> None:
    """What the cache got from it last is no answer; a read-only cache asks it, too."""
    tree = tmp_path / "bucket"
    (tree / "config/hst").mkdir(parents=True)
    config = tree / "config/hst/server_config"
    shutil.copy(observatory.profile.server_config, config)
    place = f"file:{tree}/mappings/hst"
    url = "https://hst-serverless.example"
    profile = CrdsProfile("cloud", url, observatory.crds_path, rules_uri=place)
    found = [ask_operational(profile)]
    config.write_text(repr({"operational_context": CONTEXTS[1]}))
    found += [ask_operational(each) for each in (profile, replace(profile, readonly=True))]
    assert found == [*CONTEXTS, CONTEXTS[1]]
    assert source_of(profile) == place
    assert later_operational(profile, CONTEXTS[0]) == CONTEXTS[1]
    config.unlink()
    with pytest.raises(ContextError, match="no server_config"):
        ask_operational(profile)


def test_later_context_is_told_and_nothing_else(observatory: Observatory, tmp_path: Path) -> None:
    """Not the same or an earlier one, nor where nobody answers, nor without a server."""
    with CrdsServer(observatory.crds_path, context=CONTEXTS[1]) as server:
        profile = server.profile(tmp_path)
        assert later_operational(profile, CONTEXTS[0]) == CONTEXTS[1]
        assert later_operational(profile, CONTEXTS[1]) is None
        assert later_operational(profile, "hst_9999.pmap") is None
    away = CrdsProfile("away", "http://localhost:9", observatory.crds_path)
    assert later_operational(away, "hst_0001.pmap") is None
    assert later_operational(observatory.profile, "hst_0001.pmap") is None
