"""Forecasts where CRDS, MAST or a bucket must be asked: lists are read, nothing is downloaded."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from foretelling import ONCE, failing, look, pack, process, tree

from calib.errors import EngineError
from calib.fetch.options import FetchOptions, Patience
from calib.simulate.crds_server import CrdsServer
from calib.simulate.mast_server import MastServer
from calib.simulate.observatory import Observatory
from calib.stages.forecast import forecast
from calib.stages.planning import Request
from calib.stores.s3_store import S3Store


@pytest.fixture
def server(own: Observatory) -> Iterator[CrdsServer]:
    """Return a running loopback CRDS server."""
    with CrdsServer(own.crds_path, context=own.contexts[1]) as running:
        yield running


def test_references_to_download(
    asked: Request, own: Observatory, server: CrdsServer, tmp_path: Path
) -> None:
    """With an empty cache every file is foretold with its size, and nothing enters the cache."""
    cache = tmp_path / "empty"
    request = dataclasses.replace(asked, profile=server.profile(cache), context=None)
    name = own.datasets[0]

    whole = forecast(request, [name])
    each = whole.datasets[0]
    sent = [request.path for request in server.requests if request.path.endswith(".fits")]

    assert each.state == "run"
    assert whole.downloads
    sizes = {path.name: path.stat().st_size for path in own.crds_path.rglob("references/**/*.fits")}
    assert whole.downloads == {file: sizes[file] for file in whole.downloads}
    assert not cache.exists()
    assert sent == []
    assert process(request, name).run == each.run
    assert [request.path for request in server.requests if request.path.endswith(".fits")]
    after = look(request, name)[name]
    assert (after.state, after.fingerprint) == ("skip", each.fingerprint)


def test_published_before_is_known_without_the_references(
    asked: Request, own: Observatory, server: CrdsServer, tmp_path: Path
) -> None:
    """The catalogue's checksums stand for files that left the cache: still nothing to do."""
    cache = tmp_path / "cache"
    request = dataclasses.replace(asked, profile=server.profile(cache))
    name = own.datasets[0]
    process(request, name)
    shutil.rmtree(cache / "references")

    found = look(request, name)[name]

    assert found.state == "skip"
    assert {use.state for use in found.references if use.required} == {"download"}


def test_bad_reference_of_the_server(asked: Request, own: Observatory, tmp_path: Path) -> None:
    """A file that CRDS lists as bad is no download: it is error 27."""
    name = own.datasets[0]
    dark = next(r.name for r in look(asked, name)[name].references if r.keyword == "DARKFILE")
    with CrdsServer(own.crds_path, context=own.contexts[1], bad=[dark]) as running:
        request = dataclasses.replace(asked, profile=running.profile(tmp_path / "cache"))

        found = look(request, name)[name]

    assert (found.state, found.code) == ("error", 27)
    assert [use.state for use in found.references if use.name == dark] == ["bad"]


@pytest.fixture
def mast(own: Observatory, tmp_path: Path) -> Iterator[tuple[MastServer, FetchOptions]]:
    """Return a running loopback MAST and how to ask it."""
    with MastServer(own.raws) as running:
        patience = Patience(connect=2, read=5, deadline=10, tries=2, backoff=0.01)
        yield running, FetchOptions(running.url, cache=tmp_path / "down", patience=patience)


def files_sent(server: MastServer) -> list[str]:
    """Return the requests for files."""
    return [request.path for request in server.requests if "retrieve_product" in request.path]


def test_mast_is_listed_and_nothing_downloaded(
    asked: Request,
    own: Observatory,
    mast: tuple[MastServer, FetchOptions],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sizes come from the list; after one attempt the cache and the ledger tell the rest."""
    server, options = mast
    monkeypatch.setenv("HSTFLOW_MAST_URL", server.url)
    monkeypatch.setenv("HSTFLOW_DOWNLOADS", str(options.downloads))
    request = dataclasses.replace(asked, source="astroquery:")
    name, association = own.datasets[0], next(iter(own.associations))
    before = tree(tmp_path)

    found = look(request, name, association, "j8zz01zzq", options=options)

    assert tree(tmp_path) == before
    assert files_sent(server) == []
    first = found[name]
    raw = own.raws / f"{name}_raw.fits"
    assert [(f.name, f.size, f.where) for f in first.inputs] == [
        (raw.name, raw.stat().st_size, "MAST")
    ]
    assert (first.state, first.inputs_known, first.references_from) == ("run", False, "after fetch")
    assert found["j8zz01zzq"].code == 22

    process(request, name, dataclasses.replace(ONCE, calibrate=failing(EngineError("stopped"))))
    assert files_sent(server)
    shutil.rmtree(request.work)
    downloaded = look(request, name, options=options)[name]
    shutil.rmtree(options.downloads)
    remembered = look(request, name, options=options)[name]

    assert [f.where for f in downloaded.inputs] == ["download cache"]
    assert (downloaded.engine, downloaded.references_from) == ("native", "headers")
    assert remembered.references_from == "ledger"
    assert {(r.keyword, r.name, r.required) for r in remembered.references} == {
        (r.keyword, r.name, r.required) for r in downloaded.references
    }


def test_fetch_on_request_tells_everything(
    asked: Request,
    own: Observatory,
    mast: tuple[MastServer, FetchOptions],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fetched into a temporary folder, an association is known; nothing stays of it."""
    server, options = mast
    monkeypatch.setenv("HSTFLOW_MAST_URL", server.url)
    request = dataclasses.replace(asked, source="astroquery:")
    name = next(iter(own.associations))
    before = tree(tmp_path)

    found = look(request, name, options=options, fetch=True)[name]

    assert tree(tmp_path) == before
    local = look(asked, name)[name]
    assert found.inputs_known
    assert (found.engine, found.products) == (local.engine, local.products)
    assert found.fingerprint == local.fingerprint
    assert all(member.found for member in found.members if not member.is_product)


def test_bucket_is_listed(asked: Request, own: Observatory, bucket: str, tmp_path: Path) -> None:
    """Objects and archives are listed with sizes; --fetch looks into both."""
    store = S3Store(bucket, "raws", purpose="output")
    first, second = own.datasets[:2]
    local = look(asked, first, second)
    store.put(own.raws / f"{first}_raw.fits", f"{first}/{first}_raw.fits")
    pack(own.raws, second)
    store.put(own.raws / f"{second}.tar.gz", f"{second}.tar.gz")
    request = dataclasses.replace(asked, source=f"s3://{bucket}/raws", output=f"s3://{bucket}/out")
    before = tree(tmp_path)

    listed = look(request, first, second, own.datasets[2])
    fetched = look(request, first, second, fetch=True)

    assert tree(tmp_path) == before
    assert [f.where for name in (first, second) for f in listed[name].inputs] == ["bucket"] * 2
    assert listed[second].inputs[0].suffix == "tar.gz"
    assert all(f.size for name in (first, second) for f in listed[name].inputs)
    assert listed[own.datasets[2]].code == 26
    for name in (first, second):
        assert fetched[name].fingerprint == local[name].fingerprint
    process(request, first)
    assert look(request, first, fetch=True)[first].state == "skip"
    assert look(request, first)[first].current_run == fetched[first].run
