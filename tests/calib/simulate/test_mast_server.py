"""The loopback MAST, asked by the real clients of astroquery."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from calib.simulate.mast_server import Manner, MastServer

EXPOSURES = ("jh0001aaq", "jh0001abq")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of files with the names of an association; the server opens none."""
    for name in ("jh0001010_asn", *(f"{root}_raw" for root in EXPOSURES), "jh0001acq_raw"):
        (tmp_path / f"{name}.fits").write_bytes(name.encode() * 1000)
    return tmp_path


@pytest.fixture
def mast(folder: Path) -> Iterator[MastServer]:
    """Return a running server of that folder."""
    with MastServer(folder, {"jh0001010": EXPOSURES}) as server:
        yield server


@pytest.fixture
def observations(mast: MastServer) -> Any:
    """Return astroquery's Observations, pointed at the server."""
    from astroquery.mast import ObservationsClass

    client = ObservationsClass()
    portal = client._portal_api_connection
    portal.MAST_REQUEST_URL = f"{mast.url}/api/v0/invoke"
    portal.MAST_DOWNLOAD_URL = f"{mast.url}/api/v0.1/Download/file"
    portal.COLUMNS_CONFIG_URL = f"{mast.url}/portal/Mashup/Mashup.asmx/columnsconfig"
    return client


@pytest.fixture
def missions(mast: MastServer) -> Any:
    """Return astroquery's MastMissions, pointed at the server."""
    from astroquery.mast import MastMissionsClass

    client = MastMissionsClass(mission="hst")
    client._service_api_connection.SERVICE_URL = mast.url
    client._service_api_connection.MISSIONS_DOWNLOAD_URL = f"{mast.url}/search/"
    client.mission = "hst"
    return client


def test_observations_find_list_and_load(observations: Any, folder: Path, tmp_path: Path) -> None:
    """The portal: query, wildcard, product list, filter, download."""
    table = observations.query_criteria(obs_id="jh0001*", obs_collection="HST")
    assert sorted(table["obs_id"]) == ["jh0001010", "jh0001acq"]

    products = observations.get_product_list(table[table["obs_id"] == "jh0001010"])
    raws = observations.filter_products(products, productSubGroupDescription="RAW")
    assert sorted(raws["productFilename"]) == [f"{root}_raw.fits" for root in EXPOSURES]
    assert raws["size"][0] == 13_000

    target = tmp_path / "loaded.fits"
    status, _, _ = observations.download_file(
        raws["dataURI"][0], local_path=str(target), verbose=False
    )
    assert status == "COMPLETE"
    assert target.read_bytes() == (folder / raws["productFilename"][0]).read_bytes()


def test_missions_list_and_load(missions: Any, folder: Path, tmp_path: Path) -> None:
    """MastMissions: product list, download."""
    products = missions.get_product_list("JH0001010")
    assert sorted(products["filename"]) == [
        "jh0001010_asn.fits",
        "jh0001aaq_raw.fits",
        "jh0001abq_raw.fits",
    ]
    target = tmp_path / "loaded.fits"
    uri = "JH0001AAQ/jh0001aaq_raw.fits"
    assert missions.download_file(uri, local_path=str(target), verbose=False)[0] == "COMPLETE"
    assert target.read_bytes() == (folder / "jh0001aaq_raw.fits").read_bytes()


def test_members_may_be_left_out_and_sizes_be_wrong(folder: Path) -> None:
    """Two habits of archives, for clients to be tried on."""
    manner = Manner(members_listed=False, wrong_sizes=True)
    with MastServer(folder, {"jh0001010": EXPOSURES}, manner) as server:
        (product,) = server.holdings.products(["jh0001010"])
    assert product["filename"] == "jh0001010_asn.fits"
    assert product["size"] == 13_000 // 2


def test_a_plan_is_used_up_word_by_word(mast: MastServer) -> None:
    """One fault for each download; a fault of HEAD waits for one."""
    url = f"{mast.url}/api/v0.1/Download/file?uri=jh0001aaq_raw.fits"
    mast.faults["jh0001aaq_raw.fits"] = ["503:7", "html", "head-500"]

    with requests.Session() as session:
        assert session.get(url, timeout=5).headers["Retry-After"] == "7"
        assert "maintenance" in session.get(url, timeout=5).text
        session.head(url, timeout=5)
        assert session.get(url, timeout=5).content == b"jh0001aaq_raw" * 1000
    assert [(r.method, r.status) for r in mast.requests] == [
        ("GET", 503),
        ("GET", 200),
        ("HEAD", 500),
        ("GET", 200),
    ]


@pytest.mark.parametrize("path", ["/", "/etc/passwd", "/api/v0.1/Download/file?uri=../../x"])
def test_nothing_else_is_served(mast: MastServer, path: str) -> None:
    """Only files of the folder, whatever is asked."""
    assert requests.get(mast.url + path, timeout=5).status_code == 404


def test_it_stops_cleanly_in_the_middle_of_an_answer(folder: Path) -> None:
    """No thread is left, the port is free, and a stalled answer does not hold it up."""
    before = set(threading.enumerate())
    with MastServer(folder, {}) as server:
        server.faults["jh0001aaq_raw.fits"] = ["slow:60"]
        url = f"{server.url}/api/v0.1/Download/file?uri=jh0001aaq_raw.fits"
        response = requests.get(url, stream=True, timeout=5)
        start = time.monotonic()
    response.close()

    assert time.monotonic() - start < 5
    assert set(threading.enumerate()) == before
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=5)
    with pytest.raises(RuntimeError, match="not running"):
        _ = server.url


def test_missions_query_is_plain_json(mast: MastServer) -> None:
    """Another client than astroquery's can be written against it."""
    url = f"{mast.url}/search/hst/api/v0.1/post_list_products"
    answer = requests.post(url, json={"dataset_ids": ["JH0001ACQ"]}, timeout=5)
    (product,) = answer.json()["products"]
    assert product["uri"] == "JH0001ACQ/jh0001acq_raw.fits"
