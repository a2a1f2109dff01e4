"""The loopback CRDS server, asked by the real crds library."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from calib.references import library
from calib.references.files import sha1_of
from calib.references.server_config import catalogue
from calib.simulate.crds_server import CrdsServer
from calib.simulate.observatory import Observatory


@pytest.fixture
def server(observatory: Observatory) -> Iterator[CrdsServer]:
    """Return a running server of the simulated cache."""
    with CrdsServer(observatory.crds_path, bad=["z_bad.fits"]) as running:
        yield running


@pytest.fixture
def api(server: CrdsServer, tmp_path: Path) -> Iterator[Any]:
    """Return the library's client, inside a session with the server and an empty cache."""
    library.forget()
    with library.session(server.profile(tmp_path / "cache")):
        from crds.client import api

        yield api
    library.forget()


def test_it_says_what_it_is(api: Any, observatory: Observatory, server: CrdsServer) -> None:
    """Operational context, bad files, and size and sha1 of every file."""
    info = api.get_server_info()
    known = catalogue(info)
    dark = next(observatory.profile.references.glob("*_drk.fits"))

    assert info["operational_context"] == observatory.contexts[0]
    assert info["bad_files_list"] == ["z_bad.fits"]
    assert known[dark.name] == {"size": str(dark.stat().st_size), "sha1sum": sha1_of(dark)}
    assert api.get_default_context("hst") == observatory.contexts[0]


def test_rules_are_synchronised(api: Any, observatory: Observatory, tmp_path: Path) -> None:
    """The library loads a context and all below it, byte for byte."""
    api.dump_mappings(observatory.contexts[1])

    loaded = sorted((tmp_path / "cache" / "mappings" / "hst").iterdir())
    assert {path.name for path in loaded} >= {observatory.contexts[1], "hst_acs_9002.imap"}
    assert all(
        path.read_bytes() == (observatory.profile.mappings / path.name).read_bytes()
        for path in loaded
    )


def test_references_of_a_context(api: Any, observatory: Observatory) -> None:
    """The newer context has one dark more."""
    older, newer = (set(api.get_reference_names(name)) for name in observatory.contexts)
    assert older < newer
    assert [name.rpartition("_")[2] for name in newer - older] == ["drk.fits"]


def test_information_about_files(api: Any) -> None:
    """As asked for; a file that is not there is said to be unknown."""
    info = api.get_file_info_map("hst", ["hst_9001.pmap", "none.fits"], ["size", "blacklisted"])
    assert info["none.fits"].startswith("NOT FOUND")
    assert info["hst_9001.pmap"]["blacklisted"] == "false"


def test_contexts_can_be_pushed(api: Any) -> None:
    """What a mission's pipeline says that it uses, by its key."""
    api.push_remote_context("hst", "operational", "key", "hst_9001.pmap")
    assert api.get_remote_context("hst", "key") == "hst_9001.pmap"


@pytest.mark.parametrize("method", ["get_mapping_names", "get_affected_datasets"])
def test_errors_are_errors_of_the_service(api: Any, method: str) -> None:
    """Neither an unknown context nor a call that is not simulated kills the server."""
    from crds.core.exceptions import CrdsError

    arguments = ("hst", "a", "b") if method == "get_affected_datasets" else ("hst_1234.pmap",)
    with pytest.raises(CrdsError):
        getattr(api, method)(*arguments)
    assert api.get_default_context("hst")


def test_newest_context_where_nothing_says_which(observatory: Observatory, tmp_path: Path) -> None:
    """A cache without server_config can be served."""
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings" / "hst").symlink_to(observatory.profile.mappings)
    assert CrdsServer(tmp_path).context == observatory.contexts[1]


def test_history_of_operational_contexts(api: Any, server: CrdsServer) -> None:
    """Each change is kept with its date; a date gives the context of then."""
    first = server.context
    server.set_context("hst_9002.pmap", "2019-08-01 12:00:00")
    assert api.get_context_history("hst") == [
        ("2002-04-14 00:00:00", first, "simulated"),
        ("2019-08-01 12:00:00", "hst_9002.pmap", "simulated"),
    ]
    assert api.get_context_by_date("2019-08-01T11:59:59", "hst") == first
    assert api.get_context_by_date("2019-08-01T12:00:00", "hst") == "hst_9002.pmap"
    assert api.get_default_context("hst") == "hst_9002.pmap"
    server.context = first
    assert server.history[-1][1] == server.context == first
    assert server.history[-1][0] > "2019-08-01 12:00:00"


def test_headers_of_the_archive(api: Any, server: CrdsServer) -> None:
    """Names by instrument and date, headers by name of the dataset or of the exposure."""
    old = {"INSTRUME": "ACS", "DATE-OBS": "2002-05-01", "TIME-OBS": "10:00:00"}
    server.headers = {
        "JAAA01010:JAAA01AAQ": old,
        "JAAA01010:JAAA01ABQ": {**old, "DATE-OBS": "2002-06-01"},
        "IAAA01AAQ:IAAA01AAQ": {"INSTRUME": "WFC3"},
    }
    assert len(api.get_dataset_ids("hst_9001.pmap", "acs")) == 2
    late = api.get_dataset_ids("hst_9001.pmap", "acs", "2002-06-01 00:00:00")
    assert late == ["JAAA01010:JAAA01ABQ"]
    assert len(api.get_dataset_headers_by_id("hst_9001.pmap", ["JAAA01010"])) == 2
    assert api.get_dataset_headers_by_id("hst_9001.pmap", late) == {
        late[0]: server.headers[late[0]]
    }
    from crds.core.exceptions import CrdsError

    with pytest.raises(CrdsError, match="more than 1000"):
        api.get_dataset_headers_by_id("hst_9001.pmap", ["X"] * 1001)
