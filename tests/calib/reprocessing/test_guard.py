"""Nothing starts before the cache holds rules and references, or can get them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from calib.references.profile import CrdsProfile
from calib.references.server_config import change_info
from calib.reprocessing.guard import operational_context, what_is_missing
from calib.simulate.crds_server import CrdsServer
from calib.simulate.observatory import Observatory

NEW = "hst_9002.pmap"
DARK = "z0000012j_drk.fits"


def test_cache_that_holds_all_may_start(observatory: Observatory) -> None:
    """Rules and reference are there: nothing is said."""
    assert what_is_missing(observatory.profile, NEW, [DARK]) is None


@pytest.mark.parametrize(
    ("changes", "why"),
    [({}, "has no server"), ({"readonly": True, "server_url": "http://x"}, "is read-only")],
)
def test_cache_that_cannot_be_filled_names_files_and_the_remedy(
    observatory: Observatory, changes: dict[str, object], why: str
) -> None:
    """The reason has the file, why nobody fetches it, and the command."""
    profile = replace(observatory.profile, **changes)  # type: ignore[arg-type]
    said = str(what_is_missing(profile, NEW, ["z9999999j_drk.fits"]))
    assert "z9999999j_drk.fits" in said
    assert f"the cache {why}" in said
    assert "hstflow context sync" in said


def test_what_a_server_has_is_fetched_and_what_it_has_not_is_named(
    observatory: Observatory, tmp_path: Path
) -> None:
    """An empty cache is filled; a held back reference blocks until the server has it."""
    with CrdsServer(observatory.crds_path) as server:
        profile = server.profile(tmp_path / "cache")
        server.faults[DARK] = ["404"] * 20
        assert DARK in str(what_is_missing(profile, NEW, [DARK]))
        server.faults.clear()
        assert what_is_missing(profile, NEW, [DARK]) is None
        assert operational_context(profile) == "hst_9001.pmap"


def test_operational_context_of_a_server_that_is_away_is_not_known(tmp_path: Path) -> None:
    """That is no reason to fail."""
    profile = CrdsProfile("away", "http://localhost:9", tmp_path / "cache")
    assert operational_context(profile) is None


@pytest.mark.parametrize("spoil", ["cut", "changed"])
def test_damaged_reference_is_fetched_again_or_named(
    observatory: Observatory, tmp_path: Path, spoil: str
) -> None:
    """Half a new dark, or one with other bytes, is no dark: of the server's or of nobody's."""
    with CrdsServer(observatory.crds_path) as server:
        profile = server.profile(tmp_path / "cache")
        assert what_is_missing(profile, NEW, [DARK]) is None
        (dark,) = profile.references.rglob(DARK)
        whole = dark.read_bytes()
        damaged = whole[:2880] if spoil == "cut" else bytes(len(whole))
        dark.write_bytes(damaged)

        server.faults[DARK] = ["404"] * 20
        assert f"1 references damaged ({DARK})" in str(what_is_missing(profile, NEW, [DARK]))
        assert dark.read_bytes() == damaged
        server.faults.clear()
        assert what_is_missing(profile, NEW, [DARK]) is None
        assert dark.read_bytes() == whole

        dark.write_bytes(whole[:2880])
        said = str(what_is_missing(replace(profile, readonly=True), NEW, [DARK]))
    assert f"1 references damaged ({DARK}); the cache is read-only" in said


def test_reference_that_the_cache_knows_nothing_of_is_compared_with_the_server(
    observatory: Observatory, tmp_path: Path
) -> None:
    """The catalogue of the cache may be older than a file that somebody copied into it."""
    with CrdsServer(observatory.crds_path) as server:
        profile = server.profile(tmp_path / "cache")
        assert what_is_missing(profile, NEW, [DARK]) is None
        (dark,) = profile.references.rglob(DARK)
        whole = dark.read_bytes()
        change_info(profile, lambda info: {**info, "download_metadata": {}})
        dark.write_bytes(whole[:2880])

        assert what_is_missing(profile, NEW, [DARK]) is None
        assert dark.read_bytes() == whole
        change_info(profile, lambda info: {**info, "download_metadata": {}})
    # Nobody can say now whether it is right, and that is no reason to wait.
    assert what_is_missing(profile, NEW, [DARK]) is None
