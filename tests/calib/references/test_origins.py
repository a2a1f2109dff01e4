"""Where files come from besides plain downloads: what a server is told, buckets and folders."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from calib.errors import ConfigError, Unavailable
from calib.references import library
from calib.references.arrival import Patience
from calib.references.context import resolve_context
from calib.references.files import sha1_of
from calib.references.profile import CrdsProfile
from calib.references.pushing import push_context
from calib.references.readiness import find_reference, readiness
from calib.references.server_config import cached_info
from calib.references.syncing import sync_references, sync_rules
from calib.simulate.crds_server import CrdsServer
from calib.simulate.observatory import Observatory
from calib.stores import S3Store

CONTEXT = "hst_9001.pmap"
QUICK = Patience(tries=3, pause=0.0)


def assert_equal(profile: CrdsProfile, observatory: Observatory, names: list[str]) -> None:
    """Insist that these references are those of the observatory."""
    for name in names:
        path = find_reference(profile, name)
        assert path is not None
        assert sha1_of(path) == sha1_of(observatory.profile.references / name)


def test_context_is_reported_to_the_server(profile: CrdsProfile) -> None:
    """And asked for again; a profile without a server refuses."""
    assert push_context(profile, "here", CONTEXT) == CONTEXT
    offline = dataclasses.replace(profile, server_url="https://x-serverless")
    with pytest.raises(ConfigError, match="has none"):
        push_context(offline, "here", CONTEXT)


def test_server_that_keeps_another_context(
    server: CrdsServer, profile: CrdsProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the server says afterwards counts."""
    monkeypatch.setitem(server._methods, "get_remote_context", lambda *_: "hst_0001.pmap")
    with pytest.raises(Unavailable, match="did not keep"):
        push_context(profile, "here", CONTEXT)


@pytest.fixture(params=["file", "s3"])
def stored(request: pytest.FixtureRequest, observatory: Observatory, tmp_path: Path) -> CrdsProfile:
    """Return a profile whose rules and references are in a folder, or in a bucket."""
    uri = f"file:{observatory.crds_path}"
    if request.param == "s3":
        bucket = request.getfixturevalue("bucket")
        store = S3Store(bucket, "crds")
        for path in sorted(observatory.crds_path.rglob("*")):
            if path.is_file():
                store.put(path, path.relative_to(observatory.crds_path).as_posix(), verify=False)
        uri = f"s3://{bucket}/crds"
    return CrdsProfile(
        "cloud",
        "https://hst-crds-serverless.stsci.edu",
        tmp_path / "cache",
        rules_uri=f"{uri}/mappings/hst",
        references_uri=f"{uri}/references/hst",
    )


def test_rules_and_references_of_a_store(
    stored: CrdsProfile, observatory: Observatory, names: list[str]
) -> None:
    """The context of its server_config, then all as from a server."""
    library.forget()
    assert resolve_context(None, stored) == CONTEXT
    assert cached_info(stored)["operational_context"] == CONTEXT
    assert sync_rules(stored, [CONTEXT]).failed == ()
    assert sync_references(stored, CONTEXT, names).failed == ()
    assert readiness(stored, CONTEXT, names, checked=True).ready
    assert_equal(stored, observatory, names)
    missing = sync_references(stored, CONTEXT, ["nosuchj_drk.fits"], patience=QUICK)
    assert [name for name, _ in missing.failed] == ["nosuchj_drk.fits"]
    library.forget()


def test_damaged_object_of_a_store_is_refused(
    observatory: Observatory, tmp_path: Path, names: list[str]
) -> None:
    """Sizes and sha1 are those of server_config, whatever the bucket holds."""
    tree = tmp_path / "tree"
    shutil.copytree(observatory.crds_path, tree)
    path = tree / "references/hst" / names[0]
    path.write_bytes(b"x" + path.read_bytes()[1:])
    uri = f"file:{tree}"
    profile = CrdsProfile(
        "cloud",
        "https://x-serverless",
        tmp_path / "cache",
        rules_uri=f"{uri}/mappings/hst",
        references_uri=f"{uri}/references/hst",
    )
    synced = sync_references(profile, CONTEXT, names[:1], patience=QUICK)
    assert "damaged" in dict(synced.failed)[names[0]]
    assert find_reference(profile, names[0]) is None
    absent = dataclasses.replace(profile, rules_uri=f"{uri}/mappings")
    with pytest.raises(ConfigError, match="does not say where server_config is"):
        sync_rules(absent, [CONTEXT])
