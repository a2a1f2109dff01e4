"""CRDS profiles: names, the environment, TOML files."""

from __future__ import annotations

from pathlib import Path

import pytest

from calib.errors import ConfigError
from calib.references.profile import CrdsProfile, load_profile


@pytest.mark.parametrize(
    ("name", "server", "readonly", "layout"),
    [
        ("onsite", "https://hst-serverless-mode.stsci.edu", True, "flat"),
        ("offsite", "https://hst-crds.stsci.edu", False, "instrument"),
        ("cloud", "https://hst-crds-serverless.stsci.edu", False, "instrument"),
        ("caldp-config-onsite", "https://hst-serverless-mode.stsci.edu", True, "flat"),
        ("caldp-config-offsite", "https://hst-crds.stsci.edu", False, "instrument"),
        ("caldp-config-aws", "https://hst-crds-serverless.stsci.edu", False, "instrument"),
    ],
)
def test_built_in_profiles(name: str, server: str, readonly: bool, layout: str) -> None:
    """The built-in profiles are CALDP's three, under their new and old names."""
    profile = load_profile(name, {})
    assert (profile.server_url, profile.readonly, profile.layout) == (server, readonly, layout)
    assert profile.offline is ("serverless" in server)


def test_default_is_offsite_with_a_cache_at_home(own_home: Path) -> None:
    """With nothing set, the public server is used and the cache lies in the user's home."""
    profile = load_profile(None, {"PATH": "/bin"})
    assert profile.name == "offsite"
    assert own_home in profile.cache.parents
    assert profile.context is None


def test_the_crds_environment_is_a_profile() -> None:
    """CRDS_PATH, CRDS_SERVER_URL, CRDS_CONTEXT and CRDS_READONLY_CACHE make a profile."""
    environ = {
        "CRDS_PATH": "/data/crds",
        "CRDS_SERVER_URL": "https://hst-serverless.stsci.edu",
        "CRDS_CONTEXT": "hst_0729.pmap",
        "CRDS_READONLY_CACHE": "1",
    }
    assert load_profile(None, environ) == CrdsProfile(
        "environment",
        "https://hst-serverless.stsci.edu",
        Path("/data/crds"),
        readonly=True,
        context="hst_0729.pmap",
    )


def test_crds_path_alone_still_asks_the_public_server() -> None:
    """CRDS_PATH moves the cache; the server is then the public one."""
    profile = load_profile(None, {"CRDS_PATH": "/data/crds"})
    assert (profile.cache, profile.offline) == (Path("/data/crds"), False)


def test_environment_moves_a_named_profile_but_not_its_server() -> None:
    """A named profile keeps its server; CRDS_PATH and CRDS_CONTEXT apply to it."""
    environ = {
        "CRDS_PATH": "/data/crds",
        "CRDS_SERVER_URL": "https://example.invalid",
        "CRDS_CONTEXT": "hst_0729.pmap",
    }
    profile = load_profile("onsite", environ)
    assert profile.cache == Path("/data/crds")
    assert profile.context == "hst_0729.pmap"
    assert profile.server_url == "https://hst-serverless-mode.stsci.edu"
    assert profile.readonly


def test_profile_from_a_file(tmp_path: Path) -> None:
    """A TOML file gives every field; a relative cache is relative to the file."""
    path = tmp_path / "mine.toml"
    path.write_text(
        'server_url = "https://hst-serverless.stsci.edu"\ncache = "crds"\n'
        'readonly = true\nlayout = "flat"\ncontext = "hst_0729.pmap"\n'
    )
    assert load_profile(str(path), {"CRDS_PATH": "/elsewhere"}) == CrdsProfile(
        "mine",
        "https://hst-serverless.stsci.edu",
        tmp_path / "crds",
        readonly=True,
        layout="flat",
        context="hst_0729.pmap",
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('cache = "crds"', "no server_url"),
        ('server_url = "u"', "no cache"),
        ('server_url = "u"\ncache = "c"\ncolour = "red"', "colour = 'red'"),
        ('server_url = "u"\ncache = "c"\nreadonly = "yes"', "readonly = 'yes'"),
        ('server_url = "u"\ncache = "c"\nlayout = "heap"', "layout = 'heap'"),
        ("server_url = ", "not TOML"),
    ],
)
def test_a_file_that_is_no_profile_says_what_is_wrong(
    tmp_path: Path, content: str, told: str
) -> None:
    """A wrong, missing or unknown field is a ConfigError that names it."""
    path = tmp_path / "mine.toml"
    path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        load_profile(str(path), {})
    assert told in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["onsight", "", "/nowhere/mine.toml"])
def test_unknown_profile(name: str) -> None:
    """An unknown name is an error that lists the known ones, a file that is absent says so."""
    with pytest.raises(ConfigError) as caught:
        load_profile(name, {})
    assert caught.value.code == 2
    assert "offsite" in str(caught.value) or "No such file" in str(caught.value)


def test_readonly_must_be_yes_or_no() -> None:
    """CRDS_READONLY_CACHE=perhaps is an error, not a guess."""
    with pytest.raises(ConfigError, match="CRDS_READONLY_CACHE"):
        load_profile(None, {"CRDS_READONLY_CACHE": "perhaps"})
