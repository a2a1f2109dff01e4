"""Inputs looked at without fetching them: in place, in lists, in the download cache."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from calib.errors import MissingMember, NotFound
from calib.fetch.cache import DownloadCache
from calib.fetch.download import Remote
from calib.fetch.local import fetch_inputs
from calib.fetch.looking import Sight, find_inputs
from calib.fetch.options import FetchOptions, Patience
from calib.ids import parse_dataset
from calib.simulate.mast_server import MastServer

Write = Callable[..., Path]

PATIENCE = Patience(connect=2, read=5, deadline=10, tries=1, backoff=0.01)


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Return an empty folder."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.fixture
def raws(tmp_path: Path, write_raw: Write, write_table: Write) -> Path:
    """Return a folder with an association of two, and one exposure in capitals."""
    folder = tmp_path / "raws"
    folder.mkdir()
    rows = [("J8BT06NYQ", "EXP-CRJ", True), ("J8BT06NZQ", "EXP-CRJ", True)]
    write_table(folder / "j8bt06040_asn.fits", [*rows, ("J8BT06041", "PROD-CRJ", False)])
    write_raw(folder / "j8bt06nyq_raw.fits")
    write_raw(folder / "J8BT06NZQ_RAW.FITS")
    return folder


def look(name: str, uri: str, scratch: Path, options: FetchOptions | None = None) -> Sight:
    """Look at the inputs of a dataset."""
    return find_inputs(parse_dataset(name), uri, scratch, options or FetchOptions()).look()


@pytest.mark.parametrize("name", ["j8bt06040", "j8bt06nzq"])
def test_seen_is_what_fetch_brings(raws: Path, scratch: Path, tmp_path: Path, name: str) -> None:
    """Names, checksums, sizes and members agree with a fetch; the files are links to ours."""
    sight = look(name, f"file:{raws}", scratch)
    fetched = fetch_inputs(parse_dataset(name), f"file:{raws}", tmp_path / "fetched")

    assert sight.inputs is not None
    assert sight.error is None
    assert sight.inputs.members == fetched.members == sight.members
    assert [(f.name, f.sha256, f.size, f.suffix) for f in sight.inputs.files] == [
        (f.name, f.sha256, f.size, f.suffix) for f in fetched.files
    ]
    assert all(Path(file.path).is_symlink() for file in sight.inputs.files)
    assert {Path(file.place).parent for file in sight.files} == {raws}


def test_missing_member_is_in_the_sight(raws: Path, scratch: Path) -> None:
    """What is there is shown with the table's rows; the error is that of fetch."""
    (raws / "j8bt06nyq_raw.fits").unlink()

    sight = look("j8bt06040", f"file:{raws}", scratch)

    assert isinstance(sight.error, MissingMember)
    assert sight.inputs is None
    assert [file.name for file in sight.files] == ["j8bt06040_asn.fits", "j8bt06nzq_raw.fits"]
    assert [member.name for member in sight.members] == ["j8bt06nyq", "j8bt06nzq", "j8bt06041"]


def test_folder_that_is_not_there(tmp_path: Path, scratch: Path) -> None:
    """As fetch says it."""
    with pytest.raises(NotFound, match="no such folder"):
        look("j8bt06nyq", f"file:{tmp_path / 'nowhere'}", scratch)


def test_table_in_the_cache_shows_the_members(raws: Path, scratch: Path, tmp_path: Path) -> None:
    """With the table at hand the members are asked for; their bytes are still not known."""
    (raws / "J8BT06NZQ_RAW.FITS").rename(raws / "j8bt06nzq_raw.fits")
    with MastServer(raws) as server:
        options = FetchOptions(server.url, cache=tmp_path / "downloads", patience=PATIENCE)
        listed = find_inputs(parse_dataset("j8bt06040"), "astroquery:", scratch, options)
        table = next(f for f in listed.look().files if f.suffix == "asn")
        cache = DownloadCache(options.downloads)
        cache.fetch(Remote(table.place, table.name), tmp_path / "asn.fits", PATIENCE)
        before = len(server.requests)

        sight = find_inputs(parse_dataset("j8bt06040"), "astroquery:", scratch, options).look()

        sent = [request.path for request in server.requests[before:]]
    assert sight.inputs is None
    assert sight.error is None
    assert {file.name: file.where for file in sight.files} == {
        "j8bt06040_asn.fits": "download cache",
        "j8bt06nyq_raw.fits": "MAST",
        "j8bt06nzq_raw.fits": "MAST",
    }
    assert not [path for path in sent if "retrieve_product" in path]


def test_cache_that_knows_nothing_is_not_made(tmp_path: Path) -> None:
    """Asking makes no folder; a file that went from the cache is not known."""
    cache = DownloadCache(tmp_path / "downloads")

    assert cache.find("http://127.0.0.1:9/x") is None
    assert not cache.folder.exists()


def test_file_that_left_the_cache_is_not_known(raws: Path, tmp_path: Path) -> None:
    """The index alone does not count."""
    cache = DownloadCache(tmp_path / "downloads")
    with MastServer(raws) as server:
        options = FetchOptions(server.url, cache=cache.folder, patience=PATIENCE)
        folder = tmp_path / "empty"
        folder.mkdir()
        name = "j8bt06nyq"
        url = find_inputs(parse_dataset(name), "astroquery:", folder, options).look().files[0].place
        cache.fetch(Remote(url, f"{name}_raw.fits"), tmp_path / "raw.fits", PATIENCE)
    found = cache.find(url)
    assert found is not None
    assert found.path.read_bytes() == (raws / f"{name}_raw.fits").read_bytes()

    shutil.rmtree(cache.folder / "files")

    assert cache.find(url) is None
